"""An adaptive form as an app goes through it: draft, question by question, to the end."""

from __future__ import annotations

from typing import Any

from server.dtr.form import Form, plain_answer
from server.dtr.response import information_origin
from server.fhir import json
from tests.crd.builders import coverage, shoulder
from tests.dtr.conftest import GUIDES, Dtr, Package, context, named, resource
from tests.emitted import record

ADAPTIVE = "https://payer.example/Questionnaire/mri-adaptive"
NEXT = "Questionnaire/$next-question"
FACTS: dict[str, Any] = {
    "ORDER.cpt": "73221",
    "ORDER.side": "RT",
    "ORDER.dx": "M75.111",
    "ORDER.pos": "11",
    "PATIENT.age": 52,
}
UNCOMPLICATED: dict[str, Any] = {
    "SH-IMM": "none",
    "CC-DUR.start": "2026-09-01",
    "IMG-XR": "normal",
    "IMG-XR.date": "2026-11-01",
    "CC-DUR.modalities": "pt",
    "CC-OUT": "no-change",
    "CC-REEVAL": True,
    "CC-REEVAL.date": "2026-11-20",
    "EXM": "yes",
    "FUN.quickdash": 41,
}


def package(dtr: Dtr, order: dict[str, Any] | None = None) -> Package:
    asked = [resource("coverage", coverage()), resource("order", order or shoulder()), named(ADAPTIVE)]
    (found,) = dtr.packages(*asked)
    return found


def asked(response: dict[str, Any]) -> list[str]:
    """The questions of the form so far."""
    items = response["contained"][0].get("item", [])
    return [item.link_id for item in Form({"item": items}).questions()]


def answered(response: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """As a client answers what it is asked and knows."""
    form = Form({"item": response["contained"][0].get("item", [])})
    told = {item["linkId"] for item in response.get("item", [])}
    items = []
    for node in form.questionnaire["item"]:
        if node["linkId"] in told:
            continue
        below = [_item(form, each["linkId"], given) for each in node.get("item", [])]
        own = _item(form, node["linkId"], given)
        nested = [each for each in below if each]
        if own:
            items.append(own)
        elif nested:
            items.append({"linkId": node["linkId"], "text": node["text"], "item": nested})
    return {**response, "item": [*response.get("item", []), *items]}


def _item(form: Form, link_id: str, given: dict[str, Any]) -> dict[str, Any] | None:
    item = form.items[link_id]
    if link_id not in given or not item.is_question:
        return None
    answer = plain_answer(item, given[link_id])
    assert answer is not None, link_id
    origin = information_origin("manual", "Practitioner/dr-lee")
    return {"linkId": link_id, "text": item.node["text"], "answer": [{**answer, "extension": [origin]}]}


def step(dtr: Dtr, response: dict[str, Any]) -> dict[str, Any]:
    got = dtr.post(NEXT, response)
    assert got.status_code == 200, got.text
    body = json.decode_object(got.content)
    record(GUIDES[dtr.version], body)
    return body


def interview(
    dtr: Dtr, response: dict[str, Any], given: dict[str, Any]
) -> tuple[list[list[str]], dict[str, Any]]:
    """The questions call by call, and the completed response."""
    calls: list[list[str]] = []
    for _ in range(20):
        before = set(asked(response))
        response = step(dtr, response)
        if response["status"] == "completed":
            return calls, response
        calls.append([link_id for link_id in asked(response) if link_id not in before])
        assert calls[-1], "nothing new is asked, yet the form is not complete"
        response = answered(response, given)
    raise AssertionError("the form never ends")


def said(response: dict[str, Any]) -> dict[str, Any]:
    (told,) = [e for e in response["extension"] if e["url"].endswith("ext-coverage-information")]
    return {
        part["url"]: next(content for name, content in part.items() if name != "url")
        for part in told["extension"]
    }


def begun(
    dtr: Dtr, order: dict[str, Any], card: dict[str, Any], *chart: dict[str, Any], **patient: Any
) -> dict[str, Any]:
    """The draft of the adaptive form for an order that CRD was asked about, with this chart in sight."""
    told = context(dtr.asserted(order, card, chart, **patient))
    (found,) = dtr.packages(resource("coverage", card), named(ADAPTIVE), told)
    return found.draft


def began(dtr: Dtr, member: str, order: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """The same for that member, and the assertion that it was begun under."""
    draft = begun(dtr, order or shoulder(), coverage(subscriberId=f"{member}-{dtr.version}"))
    return draft["identifier"]["value"], draft
