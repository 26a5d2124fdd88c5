"""A subscriber's endpoint: a real HTTP server on loopback that keeps what it is sent.

with Endpoint() as clinic:
    clinic.url                    http://127.0.0.1:<port>/inbox
    clinic.told                   [Told(headers, body), …] in order of arrival, refused ones too
    clinic.answer = 503           from now on; "hang" never answers, "drip" never ends its answer
    clinic.retry_after = "60"     said with every answer
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from server.fhir import json
from tests.loopback import Handler, Loopback

Resource = dict[str, Any]

PATIENCE = 120.0
"""Seconds within which a notification must arrive, also on a machine that is busy."""


@dataclass(frozen=True)
class Told:
    """One notification as it arrived, `at` a moment of the monotonic clock."""

    headers: dict[str, str]
    body: Resource
    at: float

    @property
    def status(self) -> dict[str, Any]:
        """The parameters of its SubscriptionStatus by name; of a primitive its value."""
        return parameters(self.body["entry"][0]["resource"])

    @property
    def kind(self) -> str:
        return str(self.status["type"])

    @property
    def event(self) -> dict[str, Any]:
        return dict(self.status["notification-event"])

    @property
    def number(self) -> int:
        return int(self.event["event-number"])


def parameters(resource: Resource) -> dict[str, Any]:
    """`{name: value}` of a Parameters resource, its parts in the same form."""
    return {each["name"]: _content(each) for each in resource["parameter"]}


def _content(parameter: Resource) -> Any:
    if "part" in parameter:
        return {part["name"]: _content(part) for part in parameter["part"]}
    (found,) = [content for name, content in parameter.items() if name.startswith("value")]
    return found["reference"] if isinstance(found, dict) and "reference" in found else found


class Endpoint(Loopback):
    def __init__(self) -> None:
        super().__init__(_handler(self))
        self.told: list[Told] = []
        self.answer: int | str = 200
        self.retry_after = ""
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        return f"{self.address}/inbox"

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.told]

    @property
    def events(self) -> list[Told]:
        return [each for each in self.told if each.kind == "event-notification"]

    def wait_for(self, kind: str) -> Told:
        """The first notification of that kind, as soon as it arrives."""
        self.wait_until(lambda: kind in self.kinds)
        return next(each for each in self.told if each.kind == kind)

    def wait_until(self, come_true: Callable[[], bool]) -> None:
        """Looks with every notification that arrives."""
        with self.arrived:
            there = self.arrived.wait_for(come_true, PATIENCE)
        assert there, f"not within {PATIENCE} s: only {self.kinds}"


def _handler(endpoint: Endpoint) -> type[Handler]:
    class Taking(Handler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.decode_object(self.rfile.read(int(self.headers["Content-Length"])))
            with endpoint.arrived:
                headers = {name.lower(): text for name, text in self.headers.items()}
                endpoint.told.append(Told(headers, body, monotonic()))
                endpoint.arrived.notify_all()
            if endpoint.answer == "hang":
                endpoint.closing.wait()
                return
            self.send_response(endpoint.answer if isinstance(endpoint.answer, int) else 200)
            if endpoint.answer == "drip":
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                endpoint.closing.wait()
                return
            if endpoint.retry_after:
                self.send_header("Retry-After", endpoint.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Taking
