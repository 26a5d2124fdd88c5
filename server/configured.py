"""The server as the environment and `.env` configure it, for the commands: it, or the end of the program."""

from typing import Any

import typer
from fastapi import FastAPI
from pydantic import ValidationError

from server.app import create_app
from server.fhir.errors import FhirError
from server.services import Services
from server.settings import Settings
from server.store import is_there
from server.terminal import stop


def load_settings(**overrides: Any) -> Settings:
    """Settings from environment and `.env`, or the end of the program with a message a person can act on."""
    try:
        return Settings(**overrides)
    except ValidationError as refused:
        for fault in refused.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper()
            message = fault["msg"].removeprefix("Value error, ")
            typer.echo(f"{name}: {message}" if name else message, err=True)
    except UnicodeDecodeError:
        typer.echo(".env: is not UTF-8.", err=True)
    raise typer.Exit(2)


def open_app(settings: Settings) -> FastAPI:
    """The server over the database that the settings name, or the end of the program as above."""
    try:
        return create_app(settings)
    except FhirError as refused:
        for issue in refused.issues:
            typer.echo(f"MEMBERS_FILE: {issue.line}", err=True)
    except ValueError as refused:
        typer.echo(refused, err=True)
    raise typer.Exit(2)


def beside_the_server() -> Settings:
    """Settings for a command on the server's store. What MEMBERS_FILE names is loaded when that starts; a
    command would bring it back over what was loaded later."""
    return load_settings(members_file=None)


def of_the_server() -> Settings:
    """The same for a command about what the server has kept. Where it has kept nothing the program ends: in
    the wrong folder it would make an empty database and tell of that."""
    settings = beside_the_server()
    if not is_there(settings.database_url):
        stop(f"DATABASE_URL: no server has kept anything in {settings.database_url}.", 1)
    return settings


def the_services() -> Services:
    """The server's own, over the database it keeps."""
    services: Services = open_app(of_the_server()).state.services
    return services
