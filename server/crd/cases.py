"""Cases put to the CRD door: each becomes an order-sign call with its whole chart prefetched, over HTTP on
both bases, each with a clean store, and the answer is compared with what the case expects
(`davinci-payer policy test --door crd`).

Like `commands`, this stands above the application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from server.fhir import json
from server.fhir.extensions import extension, value, values
from server.policy.cases import Case, Expected, in_words
from server.policy.catalog import Catalog
from server.policy.determination import Decision
from server.rehearsal import JSON, Stage, call_of, information_of, on_every_base
from server.store import Store, assertions

Resource = dict[str, Any]


def door(catalog: Catalog) -> CrdDoor:
    """The way to put a case to this door, whose policies are those that come with the server."""
    return CrdDoor()


class CrdDoor:
    """`differences` plays a case on r2.0 and on r2.2."""

    def __init__(self) -> None:
        self._stage = Stage()

    def differences(self, case: Case, expected: Expected) -> Sequence[str]:
        return on_every_base(lambda version: self._differences_on(version, case, expected))

    def _differences_on(self, version: str, case: Case, expected: Expected) -> Iterator[str]:
        call = json.encode(call_of(case))
        answered = self._stage.post(case, f"/r{version}/cds-services/order-sign", call, JSON)
        body = json.decode_object(answered.content)
        if answered.status_code != 200:
            yield f"status {answered.status_code}: {body}"
            return
        yield from self._compared(self._stage.store(case), body, case, expected)

    def _compared(self, store: Store, body: Resource, case: Case, expected: Expected) -> Iterator[str]:
        information = information_of(body, case.order)
        if information is None:
            yield "the order came back without coverage information"
            return
        told = Told(information)
        yield from told.otherwise_than(expected)
        with store.reading() as tx:
            kept = assertions.by_id(tx, told.assertion_id)
            if kept is None:
                yield "the assertion is not kept"
                return
            yield from _kept_otherwise(kept.determination, expected)


class Told:
    """What coverage information says."""

    def __init__(self, information: Resource) -> None:
        def one(url: str) -> Any:
            return value(extension(information, url))

        self.covered = one("covered")
        self.authorization = one("pa-needed")
        self.document = one("doc-needed")
        self.number = one("satisfied-pa-id")
        self.assertion_id = str(one("coverage-assertion-id"))
        self.forms = values(information, "questionnaire")
        self.words = " ".join(str(reason.get("text", "")) for reason in values(information, "reason"))

    def otherwise_than(self, expected: Expected) -> Iterator[str]:
        match expected.decision:
            case Decision.APPROVE if expected.pa_needed:
                if (self.authorization, bool(self.number)) != ("satisfied", True):
                    yield f"pa-needed {self.authorization} with number {self.number}: {self.words}"
            case Decision.APPROVE:
                if self.authorization not in ("no-auth", "satisfied"):
                    yield f"pa-needed {self.authorization}, expected no-auth or satisfied: {self.words}"
            case Decision.MORE_INFO:
                if self.authorization != "auth-needed" or self.document is None or not self.forms:
                    yield f"pa-needed {self.authorization}, doc-needed {self.document}: {self.words}"
            case Decision.DENY | Decision.PEND:
                if self.covered == "not-covered":
                    if self.authorization is not None or expected.unmet != ("G-COV",):
                        yield f"not covered: {self.words}"
                elif (self.authorization, self.document, self.forms) != ("auth-needed", None, []):
                    yield f"pa-needed {self.authorization}, doc-needed {self.document}: {self.words}"


def _kept_otherwise(kept: Resource, expected: Expected) -> Iterator[str]:
    """The determination behind the answer; where a person denies, what the rules recommend counts."""
    wanted = expected.decision
    decision = kept["recommended"] if kept["recommended"] == wanted else kept["decision"]
    for name, found, hoped in (
        ("decision", decision, wanted),
        ("unmet", sorted(kept["unmet"]), sorted(expected.unmet)),
        ("unknown", sorted(kept["unknown"]), sorted(expected.unknown)),
        ("theme", kept["theme"], expected.denial_theme),
    ):
        if found != hoped:
            yield f"{name}: {in_words(found)}, expected {in_words(hoped)}"
