"""Filling a form from a chart, as a DTR client in the EHR does it: by the form's own CQL.

    filling = populate(form, draft, engine, chart, now, AUTO)
    filling.asked                                   -> ("SH-IMM", "CC-DUR.start", …)
    filling = filling.answered({"SH-IMM": ["none"], "CC-DUR.start": date(2026, 9, 1)}, "Practitioner/1")
    filling.response("completed", now)              -> QuestionnaireResponse

An initialExpression fills an enabled question that has no answer; every answer may enable further questions,
so this goes on until nothing changes. What a person or a draft answered is never overwritten. Answers to
questions that no longer apply are dropped. The demo, the tests and `$questionnaire-package` (with the payer's
own records for a chart) fill forms here; an EHR uses its own software.
"""

from __future__ import annotations

import datetime as dt
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

from server.dtr.form import Answer, Element, Form, Item, define_of, plain_answer, same
from server.dtr.render import ELM_JSON
from server.dtr.response import (
    answered_items,
    answers_of,
    blank_items,
    information_origin,
    origin_of,
    with_origin,
)
from server.elm import Engine, EvaluationError
from server.elm.values import Code, Concept, Date, DateTime, Quantity
from server.fhir import json
from server.fhir.dates import instant
from server.fhir.extensions import value
from server.policy.determination import Failure

Resource = dict[str, Any]

NOT_MANUAL = frozenset({"auto", "auto-client", "auto-server", "override"})


class Logic(NamedTuple):
    """What an engine is made of: a package's ELM and value sets, and urls of sets that it only names."""

    libraries: list[Resource]
    value_sets: list[Resource]
    named: list[str]

    @classmethod
    def of(cls, package: Sequence[Resource]) -> Logic:
        libraries = [elm_of(each) for each in package if each["resourceType"] == "Library"]
        held = [each for each in package if each["resourceType"] == "ValueSet"]
        declared = {
            each["id"]
            for library in libraries
            for each in library["library"].get("valueSets", {}).get("def", [])
        }
        return cls(libraries, held, sorted(declared - {each["url"] for each in held}))

    def engine(self, expanded: Iterable[Resource]) -> Engine:
        return Engine(libraries=self.libraries, value_sets=[*self.value_sets, *expanded])


class Engines:
    """Engines by what packages bring, which takes longer to compile than a form to fill: where two bring the
    same CQL and codes, one serves both."""

    def __init__(self) -> None:
        self._by_form: dict[tuple[str, str], Engine] = {}
        self._by_content: dict[bytes, Engine] = {}

    def of(
        self, version: str, form: Form, package: Sequence[Resource], expanded: Callable[[str], Resource]
    ) -> Engine:
        """The engine for a version's form; `expanded` gives a value set that the package only names."""
        if (version, form.canonical) not in self._by_form:
            logic = Logic.of(package)
            fetched = [expanded(url) for url in logic.named]
            sets = [*logic.value_sets, *fetched]
            codes = sorted((each["url"], each["version"], each["expansion"]["contains"]) for each in sets)
            content = sha256(json.encode((logic.libraries, codes))).digest()
            if content not in self._by_content:
                self._by_content[content] = logic.engine(fetched)
            self._by_form[version, form.canonical] = self._by_content[content]
        return self._by_form[version, form.canonical]


def elm_of(library: Resource) -> Resource:
    (data,) = (each["data"] for each in library["content"] if each["contentType"] == ELM_JSON)
    return json.decode_object(b64decode(data))


class Prefill:
    """The form's CQL over a chart; each library runs once, each define when it is first asked for."""

    def __init__(
        self,
        engine: Engine,
        chart: Iterable[Resource],
        now: dt.datetime,
        order: Resource | None = None,
        failed: Callable[[Failure], None] = lambda failure: None,
    ) -> None:
        self._engine, self._chart, self._now = engine, list(chart), now
        self._given = {"Order": order} if order is not None else {}
        self._runs: dict[str, Any] = {}
        self._failed, self._failures = failed, set[tuple[str, str]]()

    def value(self, expression: Element) -> Any:
        """What a define comes to; None where it cannot be evaluated, which `failed` is told once."""
        library, define = define_of(expression)
        if (library, define) in self._failures:
            return None
        if library not in self._runs:
            self._runs[library] = self._engine.evaluate(
                library, data=self._chart, parameters=self._given, now=self._now
            )
        try:
            return self._runs[library][define].value
        except EvaluationError as error:
            self._failures.add((library, define))
            self._failed(Failure.of(error, library))
            return None

    def gate(self, expression: Element) -> bool:
        """An enableWhenExpression; what is not known to hold does not hold."""
        return self.value(expression) is True


@dataclass(frozen=True, slots=True)
class Filling:
    """A form with what has been answered so far. `origin` is the code for what software answered."""

    form: Form
    draft: Element
    prefill: Prefill
    answers: Mapping[str, list[Answer]]
    origin: str

    @property
    def asked(self) -> tuple[str, ...]:
        """linkIds a person must still answer: enabled, required, unanswered."""
        return self.form.asked(self.answers, self.prefill.gate)

    @property
    def open(self) -> tuple[str, ...]:
        """Every enabled question without an answer, the optional ones too."""
        enabled = self.form.enabled(self.answers, self.prefill.gate)
        return tuple(
            item.link_id
            for item in self.form.questions()
            if enabled[item.link_id] and not self.answers.get(item.link_id)
        )

    def answered(self, given: Mapping[str, Any], author: str) -> Filling:
        """A person's answers by linkId, as plain values or lists of them; an empty list takes an answer back.

        Raises KeyError for a question the form does not have, ValueError for a value it does not allow.
        """
        told = {
            link_id: self._told(self.form.items[link_id], value, author) for link_id, value in given.items()
        }
        return replace(self, answers={**self.answers, **told})._settled()

    def response(self, status: str, now: dt.datetime) -> Resource:
        """The QuestionnaireResponse: the draft with the answers of what is enabled."""
        items = answered_items(self.form, self.answers) or blank_items(self.form)
        return {**self.draft, "status": status, "authored": instant(now), "item": items}

    def _told(self, item: Item, value: Any, author: str) -> list[Answer]:
        values = value if isinstance(value, list | tuple) else [value]
        answers = [plain_answer(item, each) for each in values]
        if None in answers or (len(answers) > 1 and not item.repeats):
            raise ValueError(f"{item.link_id} does not take {value!r}")
        # What a person changes after software answered it is an override, and stays one.
        overrides = any(origin_of(answer) in NOT_MANUAL for answer in self.answers.get(item.link_id, []))
        origin = information_origin("override" if overrides else "manual", author)
        return [with_origin(answer, origin) for answer in answers if answer]

    def _settled(self) -> Filling:
        """Fills what the chart can answer until nothing changes, then drops what does not apply."""
        answers = dict(self.answers)
        enabled = self.form.enabled(answers, self.prefill.gate)
        settled = False
        while not settled:
            settled = True
            for item in self.form.questions():
                if enabled[item.link_id] and self._fill(item, answers):
                    enabled, settled = self.form.enabled(answers, self.prefill.gate), False
        return replace(
            self, answers={link_id: given for link_id, given in answers.items() if enabled[link_id]}
        )

    def _fill(self, item: Item, answers: dict[str, list[Answer]]) -> bool:
        """Whether the chart answers a question that nobody answered yet."""
        expression = item.initial_expression
        if expression is None or item.link_id in answers:
            return False
        found = _answers(item, self.prefill.value(expression))
        if found:
            origin = information_origin(self.origin)
            answers[item.link_id] = [with_origin(answer, origin) for answer in found]
        return bool(found)


def populate(
    form: Form,
    draft: Element,
    engine: Engine,
    chart: Iterable[Resource],
    now: dt.datetime,
    origin: str,
    order: Resource | None = None,
    failed: Callable[[Failure], None] = lambda failure: None,
) -> Filling:
    """The form as filled from the chart before anybody answers; answers of the draft stay.

    `origin` is the version's code for what software answered from an EHR or from the payer's data. The
    answers are about `order`; without one, as in an EHR, about the newest of the chart. A question whose CQL
    cannot be evaluated stays open, and `failed` is told.
    """
    answers: Mapping[str, list[Answer]] = answers_of(draft)  # type: ignore[assignment]
    return Filling(form, draft, Prefill(engine, chart, now, order, failed), answers, origin)._settled()


def _answers(item: Item, result: Any) -> list[Answer]:
    answers: list[Answer] = []
    for each in result if isinstance(result, list | tuple) else [result]:
        answer = plain_answer(item, _plain(each))
        if answer is not None and not any(same(value(answer), value(a)) for a in answers):
            answers.append(answer)
    return answers if item.repeats else answers[:1]


def _plain(value: Any) -> Any:
    """A CQL value as `plain_answer` takes it."""
    match value:
        case Code():
            return value.code
        case Concept():
            return value.codes[0].code if value.codes else None
        case Quantity():
            return value.value
        case Date() | DateTime():
            return value.isoformat()
    return value
