"""A small EHR for tests: a FHIR server on loopback with real HTTP, well-behaved or not as told.

with Ehr([patient, condition], token="t") as ehr:
    ehr.base                      http://127.0.0.1:<port>/<n>/fhir
    ehr.asked                     ["Condition?patient=p1", …] in order of arrival
    ehr.answers["Observation"] = 503 | "hang" | "redirect" | "outcome" | "garbage"
    ehr.page_size = 2             searches come in pages
    ehr.narrow["Observation"] = "category"       no search of the type without it, and each for one alone
    ehr.takes_batches = True      says so in its metadata, and answers a POST of a batch
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server.fhir import json
from tests.loopback import Handler, Loopback

Resource = dict[str, Any]

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


_NUMBERS = count(1)
"""Each EHR has a base of its own: ports are used again, and a payer knows what it learnt of a base."""


class Ehr(Loopback):
    """`delay` is how long each answer takes, in seconds; a hanging one never comes."""

    def __init__(self, resources: Iterable[Resource], token: str = "", delay: float = 0.0) -> None:
        super().__init__(_handler(self))
        self.resources = list(resources)
        self.path = f"/{next(_NUMBERS)}/fhir"
        self.token = token
        self.page_size = 1000
        self.takes_batches = False
        self.answers: dict[str, int | str] = {}
        self.narrow: dict[str, str] = {}
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.traces: set[str] = set()
        self.most_at_once = 0
        self._at_once = 0
        self._counting = threading.Lock()
        self.delay = delay

    @property
    def base(self) -> str:
        return self.address + self.path

    def answer(self, text: str, token: str) -> tuple[int, Any]:
        """Status and body for a request below the base, `Type/id` or `Type?query`; `most_at_once` counts how
        many were under way together."""
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answer(text, token)
        finally:
            with self._counting:
                self._at_once -= 1

    def _answer(self, text: str, token: str) -> tuple[int, Any]:
        self.asked.append(text)
        self.tokens.append(token)
        kind = text.partition("?")[0].partition("/")[0]
        told = self.answers.get(kind)
        if self.token and token != f"Bearer {self.token}":
            return 401, OUTCOME
        if told == "hang":
            self.closing.wait()
        if self.delay:
            self.closing.wait(self.delay)
        if isinstance(told, int):
            return told, OUTCOME
        if isinstance(told, str):
            return {"redirect": 302}.get(told, 200), {"outcome": OUTCOME}.get(told, "<html>sorry</html>")
        if text == "metadata":
            interaction = [{"code": "batch"}] if self.takes_batches else []
            return 200, {"resourceType": "CapabilityStatement", "rest": [{"interaction": interaction}]}
        return self._searched(text) if "?" in text else self._read(text)

    def batch(self, bundle: Resource, token: str) -> tuple[int, Any]:
        """A batch of GETs, each answered as by itself."""
        self.asked.append("batch")
        if not self.takes_batches:
            return 405, OUTCOME
        answered = [self._answer(entry["request"]["url"], token) for entry in bundle["entry"]]
        self.asked = [text for text in self.asked if text == "batch"]
        entries = [{"response": {"status": str(status)}, "resource": body} for status, body in answered]
        return 200, {"resourceType": "Bundle", "type": "batch-response", "entry": entries}

    def _read(self, text: str) -> tuple[int, Any]:
        found = [resource for resource in self.resources if _name(resource) == text]
        return (200, found[0]) if found else (404, OUTCOME)

    def _searched(self, text: str) -> tuple[int, Any]:
        kind, _, query = text.partition("?")
        asked = parse_qs(query)
        patient = asked.get("patient", [""])[0]
        start = int(asked.get("page", ["0"])[0])
        needed = self.narrow.get(kind, "")
        if needed and needed not in asked:
            return 400, OUTCOME
        found = [
            resource
            for resource in self.resources
            if resource["resourceType"] == kind
            and _patient(resource) in (f"Patient/{patient}", "")
            and (not needed or asked[needed][0] in json.encode(resource.get(needed)).decode())
        ]
        page = found[start : start + self.page_size]
        links = [{"relation": "self", "url": f"{self.base}/{text}"}]
        if start + self.page_size < len(found):
            following = f"{self.base}/{kind}?patient={patient}&page={start + self.page_size}"
            links.append({"relation": "next", "url": following})
        entries = [{"fullUrl": f"{self.base}/{_name(resource)}", "resource": resource} for resource in page]
        return 200, {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _patient(resource: Resource) -> str:
    named = resource.get("subject") or resource.get("patient") or resource.get("beneficiary") or {}
    return str(named.get("reference", ""))


def _handler(ehr: Ehr) -> type[Handler]:
    class Answering(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ehr.traces.add(self.headers.get("traceparent", ""))
            parts = urlsplit(self.path)
            text = parts.path.removeprefix(f"{ehr.path}/") + (f"?{parts.query}" if parts.query else "")
            self._say(*ehr.answer(text, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._say(*ehr.batch(json.decode_object(sent), self.headers.get("Authorization", "")))

        def _say(self, status: int, body: Any) -> None:
            content = body.encode() if isinstance(body, str) else json.encode(body)
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(content)

    return Answering
