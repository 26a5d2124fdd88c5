"""The application called from within, without a socket: what commands use that must not need a running
server.

    answered = post(create_app(settings), "/r2.0/fhir/Claim/$submit", body, FHIR)
"""

import asyncio
from collections.abc import Mapping

import httpx
from fastapi import FastAPI

from server.settings import Settings

BASE = "http://payer.inside"


def within(settings: Settings) -> Settings:
    """The settings of an application that is reached from within alone: whoever runs the command need not say
    who they are to it."""
    return settings.model_copy(update={"environment": "development", "cds_jwt": "off"})


def client(app: FastAPI, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """A client whose requests reach the application directly."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE, headers=headers)


def post(app: FastAPI, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    """The answer to one POST."""

    async def ask() -> httpx.Response:
        async with client(app) as http:
            return await http.post(path, content=body, headers=headers)

    return asyncio.run(ask())
