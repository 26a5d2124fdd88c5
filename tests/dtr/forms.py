"""The forms as they lie in the repository, and plain answers to them."""

from pathlib import Path
from typing import Any

from server.dtr.form import Form, Item, plain_answer
from server.fhir import json

FOLDER = Path(__file__).parents[2] / "questionnaires"


def neutral(name: str) -> dict[str, Any]:
    return json.decode_object((FOLDER / f"{name}.json").read_bytes())


def form(name: str) -> Form:
    return Form(neutral(name))


def answers(form: Form, **given: Any) -> dict[str, list[dict[str, Any]]]:
    """`IMG_XR_date="2026-11-01"` answers IMG-XR.date; a list gives several answers."""
    return {
        item.link_id: [_answer(item, each) for each in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
        for item in [form.items[_link_id(form, name)]]
    }


def _link_id(form: Form, name: str) -> str:
    return next(link_id for link_id in form.items if link_id.replace("-", "_").replace(".", "_") == name)


def _answer(item: Item, value: Any) -> dict[str, Any]:
    found = plain_answer(item, value)
    assert found is not None, f"{value!r} is no answer to {item.link_id}"
    return dict(found)
