"""Reading from an EHR that is slow, paging, failing or hostile."""

import asyncio
from collections.abc import Mapping
from itertools import cycle
from typing import Any

import httpx
import pytest

from server.fhir.client import Client, Failed, Found, Outcome, Withheld
from server.security.outbound import Outbound
from tests.ehr import Ehr

PATIENT = {"resourceType": "Patient", "id": "p1"}
CONDITIONS = [
    {"resourceType": "Condition", "id": f"c{n}", "subject": {"reference": "Patient/p1"}} for n in range(5)
]


def ask(
    base: str, *texts: str, token: str = "", deadline: float = 5.0, lenient: bool = True
) -> Mapping[str, Outcome]:
    async def asked() -> Mapping[str, Outcome]:
        async with Outbound(lenient).client(deadline) as http:
            return await Client(http, base, token).all(texts, deadline)

    return asyncio.run(asked())


def test_a_read_and_a_search_come_back_as_resources() -> None:
    with Ehr([PATIENT, *CONDITIONS]) as ehr:
        outcomes = ask(ehr.base, "Patient/p1", "Condition?patient=p1", "Procedure?patient=p1")
    assert outcomes["Patient/p1"] == Found((PATIENT,))
    assert outcomes["Condition?patient=p1"] == Found(tuple(CONDITIONS))
    assert outcomes["Procedure?patient=p1"] == Found(())


def test_pages_are_followed_to_the_end() -> None:
    with Ehr(CONDITIONS) as ehr:
        ehr.page_size = 2
        outcomes = ask(ehr.base, "Condition?patient=p1")
    assert outcomes["Condition?patient=p1"] == Found(tuple(CONDITIONS))
    assert len(ehr.asked) == 3


def test_a_long_record_is_read_whole_and_one_that_goes_in_circles_is_not() -> None:
    # Some servers write the port that goes without saying.
    following = [{"relation": "next", "url": "http://ehr.example:80/fhir/Condition?patient=p1"}]
    page = {"resourceType": "Bundle", "entry": [{"resource": condition} for condition in CONDITIONS]}
    pages = [*[{**page, "link": following}] * 40, page]
    assert page_by_page(*pages) == Found(tuple(CONDITIONS * 41))
    assert page_by_page(*pages[:40]) == Failed("pages")


def test_a_search_that_brings_nothing_but_an_error_has_failed() -> None:
    def told(severity: Any) -> Outcome:
        issue = {"severity": severity, "code": "transient"}
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        return page_by_page({"resourceType": "Bundle", "entry": [{"resource": outcome}]})

    assert told("error") == told("fatal") == Failed("outcome")
    assert told("warning") == told(["error"]) == Found(())


def test_an_ehr_behind_a_tls_proxy_may_take_its_own_address_for_http() -> None:
    asked = []
    bundle = {"resourceType": "Bundle", "entry": [{"resource": PATIENT}]}
    first = {**bundle, "link": [{"relation": "next", "url": "http://ehr.example/fhir?page=2"}]}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=first if len(asked) == 1 else bundle)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    found = asyncio.run(Client(http, "https://ehr.example/fhir").one("Patient?name=Ada"))
    assert found == Found((PATIENT, PATIENT))
    assert asked[1] == "https://ehr.example/fhir?page=2"


def page_by_page(*pages: dict[str, Any]) -> Outcome:
    """A search that is answered by these pages, round and round."""
    answers = cycle(httpx.Response(200, json=page) for page in pages)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: next(answers)))
    return asyncio.run(Client(http, "http://ehr.example/fhir").one("Condition?patient=p1"))


def test_one_failure_is_its_own() -> None:
    with Ehr([PATIENT]) as ehr:
        ehr.answers = {"Observation": 503, "Procedure": 403, "Goal": "garbage", "CarePlan": "outcome"}
        outcomes = ask(
            ehr.base,
            "Patient/p1",
            "Observation?patient=p1",
            "Procedure?patient=p1",
            "Goal?patient=p1",
            "CarePlan?patient=p1",
        )
    assert outcomes["Patient/p1"] == Found((PATIENT,))
    assert outcomes["Procedure?patient=p1"] == Withheld(403)
    assert all(
        isinstance(outcomes[f"{kind}?patient=p1"], Failed) for kind in ("Observation", "Goal", "CarePlan")
    )


def test_the_deadline_is_one_for_all() -> None:
    with Ehr([PATIENT]) as ehr:
        ehr.answers = {"Observation": "hang"}
        outcomes = ask(ehr.base, "Observation?patient=p1", "Patient/p1", deadline=0.5)
    assert outcomes["Observation?patient=p1"] == Failed("deadline")
    assert isinstance(outcomes["Patient/p1"], Found)


def test_the_token_is_sent_and_redirects_are_not_followed() -> None:
    with Ehr([PATIENT], token="t") as ehr:
        ehr.answers = {"Condition": "redirect"}
        outcomes = ask(ehr.base, "Patient/p1", "Condition?patient=p1", token="t")
        refused = ask(ehr.base, "Patient/p1", token="other")
    assert isinstance(outcomes["Patient/p1"], Found)
    assert outcomes["Condition?patient=p1"] == Failed("302")
    assert refused["Patient/p1"] == Withheld(401)


def test_nobody_there_is_a_failure_not_an_error() -> None:
    assert isinstance(ask("http://127.0.0.1:1/fhir", "Patient/p1")["Patient/p1"], Failed)


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("http://ehr.example/fhir", "it is not https"),
        ("https://127.0.0.1:1031/fhir", "it leads into a private network"),
        ("https://10.0.0.1/fhir", "it leads into a private network"),
    ],
)
def test_in_production_no_plain_http_and_no_private_address(base: str, why: str) -> None:
    assert ask(base, "Patient/p1", lenient=False)["Patient/p1"] == Failed(why)


@pytest.mark.parametrize(
    "link", ["http://inside.example:8080/fhir?page=2", "http://h:99999/fhir", "http://[x"]
)
def test_a_search_whose_next_page_lies_elsewhere_was_not_read_whole(link: str) -> None:
    """A proxy that leaves its server's own address in the links: half a chart must not pass for the chart."""
    page = {"resourceType": "Bundle", "link": [{"relation": "next", "url": link}], "entry": []}
    assert page_by_page(page) == Failed("next page elsewhere")
