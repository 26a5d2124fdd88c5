"""Every element the client sent comes back as sent: in order, decimals with their digits, nothing added but
the one extension."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.adjudication.orders import MOST_UNITS
from server.app import create_app
from server.fhir import json
from server.settings import Settings
from tests.crd import builders as ehr
from tests.crd.conftest import Crd

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


def digits(least: int, most: int) -> st.SearchStrategy[Decimal]:
    """Decimals with all their digits, from `least` to below `most`."""
    fractions = st.from_regex(r"[0-9]{1,12}", fullmatch=True)
    whole = st.integers(least, most - 1)
    return st.builds(lambda whole, fraction: Decimal(f"{whole}.{fraction}"), whole, fractions)


DIGITS = digits(-(10**12), 10**12)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Values an extension may have, with the siblings that FHIR allows."""
    return st.one_of(
        st.fixed_dictionaries({"valueDecimal": DIGITS}),
        st.fixed_dictionaries({"valueString": TEXT.filter(str.strip)}),
        st.fixed_dictionaries(
            {"valueQuantity": st.fixed_dictionaries({"value": DIGITS, "unit": st.just("mm")})}
        ),
        st.fixed_dictionaries({"valueBoolean": st.booleans()}),
    )


def extensions() -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.builds(lambda name, value: {"url": f"https://ehr.example/{name}", **value}, NAMES, values())
    return st.lists(one, min_size=1, max_size=3)


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """MRI orders with odd but valid content, their members in any order."""
    order = ehr.shoulder(quantityQuantity={"value": draw(digits(1, MOST_UNITS))})
    if draw(st.booleans()):
        order["extension"] = draw(extensions())
    if draw(st.booleans()):
        order["note"] = [{"text": draw(TEXT.filter(str.strip)), "extension": draw(extensions())}]
    if draw(st.booleans()):
        order["_priority"] = {"extension": draw(extensions())}
    if draw(st.booleans()):
        order["contained"] = [
            {"resourceType": "Basic", "id": "b", "code": {"text": draw(TEXT.filter(str.strip))}}
        ]
    names = draw(st.permutations([name for name in order if name != "resourceType"]))
    return {"resourceType": "ServiceRequest", **{name: order[name] for name in names}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Crd:
    database = tmp_path_factory.mktemp("faithful") / "payer.db"
    over_a_file = Settings(
        _env_file=None, database_url=f"sqlite:///{database}", test_clock="2026-11-20T12:00:00Z"
    )
    app = create_app(over_a_file)
    return Crd(TestClient(app), "2.0", app)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=orders())
def test_every_element_comes_back_as_sent(client: Crd, order: dict[str, Any]) -> None:
    answer = client.post(ehr.sign(order, sent=ehr.prefetch()))
    assert answer.status_code == 200, answer.text
    (action,) = json.decode_object(answer.content)["systemActions"]
    returned = action["resource"]
    kept = [entry for entry in returned["extension"] if entry["url"] != COVERAGE_INFORMATION]
    if "extension" in order:
        expected = order
        restored = {name: kept if name == "extension" else value for name, value in returned.items()}
    else:
        expected = order
        assert list(returned)[-1] == "extension"
        restored = {name: value for name, value in returned.items() if name != "extension"}
    assert json.encode(restored) == json.encode(expected)
