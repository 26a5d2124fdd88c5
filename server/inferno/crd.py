"""Presets for the CRD server suites 2.0.1 and 2.2.1.

A suite's first test wants TLS, so the server is started with `TLS=1` and the presets made with
`--base https://127.0.0.1:8080`. Each body is a call of its own member with everything prefetched; over the
bodies of a hook every kind of card appears that the suites look for. Nothing needs to be loaded first. Of the
versions, only the context of order-dispatch differs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from server.inferno.crd_patients import (
    Patient,
    appointment,
    back_pain,
    encounter,
    imaging_centre,
    spared,
    torn_cuff,
    treated_shoulder,
)
from server.inferno.preset import Input, Preset
from server.policy.case_draft import bundle

Resource = dict[str, Any]

ORDERING = ("order_select", "order_dispatch", "order_sign")
HOOKS = ("appointment_book", "encounter_start", "encounter_discharge", *ORDERING)


Orders = Callable[[str], Resource]
"""How the context of order-dispatch names an order."""


def presets(base: str, day: dt.date) -> Sequence[Preset]:
    older = _inputs(f"{base}/r2.0", day, lambda order: {"order": order})
    newer = _inputs(f"{base}/r2.2", day, lambda order: {"dispatchedOrders": [order]})
    return (
        Preset("crd_server_v201", "Da Vinci payer, CRD 2.0.1", "crd_server", tuple(older)),
        Preset("crd_server_v221", "Da Vinci payer, CRD 2.2.1", "crd_server_v220", tuple(newer)),
    )


def _inputs(base: str, day: dt.date, orders: Orders) -> Iterator[Input]:
    yield Input("base_url", "CRD server base URL", base, comment="Discovery is at /cds-services below it.")
    yield Input("authentication_required", "Discovery needs authentication", "no", kind="radio")
    yield Input("encryption_method", "Algorithm of the kit's JWT", "ES384", kind="radio")
    yield Input("jwks_kid", "Key id of the kit's JWT", "")
    yield Input.payload(
        "any_hook_request_body",
        "Request body of any hook",
        _order_sign(back_pain("any", day)),
        "An MRI of the lumbar spine for pain down the leg, nothing documented: authorization is needed, and "
        "the form is named.",
    )
    yield Input("any_hook_service_ids", "Service ids for that body", "order-sign")
    for hook in HOOKS:
        requests, comment = _BODIES[hook](hook, day, orders)
        title = hook.replace("_", "-")
        yield Input.payload(f"{hook}_request_bodies", f"Request bodies of {title}", requests, comment)
        yield Input(f"{hook}_service_ids", f"Service ids of {title}", title)


# ---- bodies, a function a kind of hook: requests and what they provoke

_STORY = (
    "One: back pain, nothing documented, claustrophobia on record, no plan on the insurance record: "
    "guideline, instructions, criteria page, insurance update, and on orders therapy beside. Two: a torn "
    "cuff after an injury: a form about the accident, and on orders a film instead and therapy beside."
)


def _signing(hook: str, day: dt.date, orders: Orders) -> tuple[list[Resource], str]:
    kinds = (back_pain, torn_cuff, treated_shoulder, spared)
    calls = [_order_sign(kind("sign", day)) for kind in kinds]
    return calls, f"{_STORY} Three: a documented trial: satisfied at once. Four: no authorization needed."


def _selecting(hook: str, day: dt.date, orders: Orders) -> tuple[list[Resource], str]:
    return [_order_select(kind("select", day)) for kind in (back_pain, torn_cuff)], _STORY


def _dispatching(hook: str, day: dt.date, orders: Orders) -> tuple[list[Resource], str]:
    kinds = (back_pain, torn_cuff, treated_shoulder)
    calls = [_order_dispatch(kind("dispatch", day), orders) for kind in kinds]
    return calls, f"{_STORY} Three: a documented trial: satisfied at once."


def _booking(hook: str, day: dt.date, orders: Orders) -> tuple[list[Resource], str]:
    return [_appointment_book(kind("book", day)) for kind in (back_pain, torn_cuff)], _STORY


def _visiting(hook: str, day: dt.date, orders: Orders) -> tuple[list[Resource], str]:
    calls = [_encounter_call(hook, kind(hook.replace("_", "-"), day)) for kind in (back_pain, torn_cuff)]
    return calls, f"A visit for the complaint, before anything is ordered. {_STORY}"


_BODIES = {
    "appointment_book": _booking,
    "encounter_start": _visiting,
    "encounter_discharge": _visiting,
    "order_select": _selecting,
    "order_dispatch": _dispatching,
    "order_sign": _signing,
}


def _order_sign(who: Patient) -> Resource:
    return _call("order-sign", who, {**_by_user(who), "draftOrders": bundle("collection", [who.order])})


def _order_select(who: Patient) -> Resource:
    context = {"selections": [who.reference], "draftOrders": bundle("collection", [who.order])}
    return _call("order-select", who, {**_by_user(who), **context})


def _order_dispatch(who: Patient, orders: Orders) -> Resource:
    context = {"patientId": who.name, **orders(who.reference), "performer": "Organization/imaging"}
    call = _call("order-dispatch", who, context)
    beside = {"order": who.order, "performer": imaging_centre()}
    return {**call, "prefetch": {**call["prefetch"], **beside}}


def _appointment_book(who: Patient) -> Resource:
    booked = bundle("collection", [appointment(who)])
    return _call("appointment-book", who, {**_by_user(who), "appointments": booked})


def _encounter_call(hook: str, who: Patient) -> Resource:
    visit = encounter(who)
    call = _call(hook.replace("_", "-"), who, {**_by_user(who), "encounterId": visit["id"]})
    return {**call, "prefetch": {**call["prefetch"], "encounter": visit}}


def _by_user(who: Patient) -> Resource:
    return {"userId": "Practitioner/orderer", "patientId": who.name}


def _call(hook: str, who: Patient, context: Resource) -> Resource:
    return {
        "hook": hook,
        "hookInstance": str(uuid5(NAMESPACE_URL, f"{hook}/{who.name}")),
        "context": context,
        "prefetch": who.prefetch,
    }
