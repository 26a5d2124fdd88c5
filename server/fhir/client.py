"""Reading from somebody else's FHIR server: many requests at once, one deadline for all.

    answers = await Client(http, "https://ehr.example/fhir", token).all(
        ["Condition?patient=p1", "Patient/p1"], deadline=4.0)
    answers["Patient/p1"]            -> Found([patient]) | Withheld(403) | Failed("timeout")

Each request is answered for itself: found (an empty search too), withheld (the server will not or cannot
give this: 4xx), or failed (it could not be had now: 5xx, network, deadline, nonsense). Pages of a search are
followed as far as they lead on the same server. The token goes nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from server.fhir import json
from server.fhir.elements import elements
from server.fhir.errors import FhirError
from server.security.outbound import why

Resource = dict[str, Any]

MAX_PAGES = 50
"""Of one search: a thousand observations where the EHR gives twenty a page. More go in circles."""


@dataclass(frozen=True, slots=True)
class Found:
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Refused or unknown to the server; asking again would not help."""

    status: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Not had this time. `why` is a word or two for the log."""

    why: str


Outcome = Found | Withheld | Failed


@dataclass(frozen=True, slots=True)
class Client:
    """`http` must not follow redirects; whom it may call, and how much is read, is its transport's affair."""

    http: httpx.AsyncClient
    base: str
    token: str = ""

    async def all(self, requests: Iterable[str], deadline: float) -> Mapping[str, Outcome]:
        """Every request's outcome, within `deadline` seconds; a request is `Type/id` or `Type?query`."""
        return await _had_by(deadline, {text: self.one(text) for text in dict.fromkeys(requests)})

    async def batch(self, requests: Iterable[str], deadline: float) -> Mapping[str, Outcome]:
        """As `all`, in one POST of a batch Bundle, further pages by themselves. Where the batch as a whole
        fails, each request goes out by itself in what is left of the time."""
        end = time.monotonic() + deadline
        texts = list(dict.fromkeys(requests))
        entries = await self._batch(texts, deadline) if texts else []
        if entries is None or len(entries) != len(texts):
            return await self.all(texts, end - time.monotonic())
        told = zip(texts, map(_of_entry, entries), strict=True)
        return await _had_by(
            end - time.monotonic(), {text: self._read(text, answer) for text, answer in told}
        )

    async def _batch(self, texts: list[str], deadline: float) -> list[Any] | None:
        """The entries of the batch's answer; None where there is none to be had."""
        bundle = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": text}} for text in texts],
        }
        asked = self._sent("POST", self.base, json.encode(bundle))
        try:
            answer = await asyncio.wait_for(asked, max(deadline, 0))
        except TimeoutError:
            return None
        entries = answer.get("entry") if isinstance(answer, dict) else None
        return entries if isinstance(entries, list) else None

    async def one(self, text: str) -> Outcome:
        """One read or search, all its pages."""
        return await self._read(text, await self._get(f"{self.base}/{text}"))

    async def _read(self, text: str, answer: Resource | Withheld | Failed) -> Outcome:
        """The resources of a first answer and of the pages after it."""
        url = f"{self.base}/{text}"
        found: list[Resource] = []
        for _ in range(MAX_PAGES):
            if not isinstance(answer, dict):
                return answer
            if tells_of_failure(answer):
                return Failed("outcome")
            if answer.get("resourceType") != "Bundle":
                return Found((answer,))
            found += _matches(answer)
            following = link(answer, "next")
            if following is None:
                return Found(tuple(found))
            here = self._here(url, following)
            if here is None:
                return Failed("next page elsewhere")
            url = here
            answer = await self._get(url)
        return Failed("pages")

    async def _get(self, url: str) -> Resource | Withheld | Failed:
        return await self._sent("GET", url)

    async def _sent(self, method: str, url: str, posted: bytes | None = None) -> Resource | Withheld | Failed:
        headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
        if posted is not None:
            headers["Content-Type"] = "application/fhir+json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            async with self.http.stream(method, url, headers=headers, content=posted) as answer:
                if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
                    return Withheld(answer.status_code)
                if answer.status_code != 200:
                    return Failed(str(answer.status_code))
                content = json.decode_object(await answer.aread())
        except (httpx.HTTPError, FhirError, httpx.InvalidURL, OSError) as error:
            return Failed(why(error))
        return content if isinstance(content.get("resourceType"), str) else Failed("no resource")

    def _here(self, url: str, link: str) -> str | None:
        """The address a page links to. None for one on another server, where the token must not go, and for
        what is no address: the rest of that search is not to be had. A server behind a TLS proxy may take its
        own address for http."""
        try:
            following = urljoin(url, link)
            if self.base.startswith("https:") and following.startswith("http:"):
                following = following.replace("http:", "https:", 1)
            return following if _host(following) == _host(self.base) else None
        except ValueError:
            return None


def tells_of_failure(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is an OperationOutcome, or a search that brings nothing but one with an error.
    Outcomes among results are remarks, but what gathers from several sources tells of its errors so."""
    if answer.get("resourceType") != "Bundle":
        return answer.get("resourceType") == "OperationOutcome"
    brought = [entry.get("resource") for entry in elements(answer, "entry")]
    outcomes = [
        each for each in brought if isinstance(each, dict) and each.get("resourceType") == "OperationOutcome"
    ]
    severities = [issue.get("severity") for each in outcomes for issue in elements(each, "issue")]
    return len(outcomes) == len(brought) and ("error" in severities or "fatal" in severities)


def link(bundle: Mapping[str, Any], relation: str) -> str | None:
    """Where a Bundle links to by that relation, as it stands there."""
    urls = (each.get("url") for each in elements(bundle, "link") if each.get("relation") == relation)
    return next((url for url in urls if isinstance(url, str)), None)


async def _had_by(
    deadline: float, asked: Mapping[str, Coroutine[Any, Any, Outcome]]
) -> Mapping[str, Outcome]:
    """What each comes to within so many seconds; what takes longer is given up."""
    tasks = {text: asyncio.create_task(answering) for text, answering in asked.items()}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=max(deadline, 0))
    late = [task for task in tasks.values() if not task.done()]
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {text: Failed("deadline") if task in late else task.result() for text, task in tasks.items()}


def _of_entry(entry: Any) -> Resource | Withheld | Failed:
    """What a batch says of one request, as its own answer would have been."""
    entry = entry if isinstance(entry, dict) else {}
    told = entry.get("response")
    status = str(told.get("status", "") if isinstance(told, dict) else "")[:3]
    if status.startswith("4") and status not in ("408", "429"):
        return Withheld(int(status)) if status.isdecimal() else Failed("no status")
    resource = entry.get("resource")
    if not status.startswith("2"):
        return Failed(status or "no status")
    return resource if isinstance(resource, dict) and resource.get("resourceType") else Failed("no resource")


def _matches(bundle: Resource) -> Iterator[Resource]:
    """The resources of a search; outcomes among them are remarks."""
    for entry in elements(bundle, "entry"):
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") not in (None, "OperationOutcome"):
            yield resource


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
