"""`ValueSet/$expand` over sets that come expanded."""

import datetime as dt
from typing import Any

import pytest

from server.dtr.terminology import expand
from server.fhir.errors import InvalidRequest, NotFound
from server.fhir.parameters import texts

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
URL = "https://payer.example/ValueSet/xr-shoulder"
CODES = [
    {"system": "http://www.ama-assn.org/go/cpt", "code": "73020", "display": "Shoulder film, one view"},
    {"system": "http://www.ama-assn.org/go/cpt", "code": "73030", "display": "Shoulder film, two views"},
    {"system": "http://www.ama-assn.org/go/cpt", "code": "73000", "display": "Collar-bone film"},
]
SETS = {
    URL: {
        "resourceType": "ValueSet",
        "url": URL,
        "version": "1.0.0",
        "expansion": {"timestamp": "2026-01-01T00:00:00Z", "contains": CODES},
    }
}


def expanded(**asked: str) -> dict[str, Any]:
    return dict(expand(SETS, {"url": URL, **asked}, NOW)["expansion"])


def codes(**asked: str) -> list[str]:
    return [code["code"] for code in expanded(**asked).get("contains", [])]


def test_e_whole() -> None:
    assert codes() == ["73020", "73030", "73000"]


def test_e_a_code_that_was_retired_is_left_out_and_the_day_is_said() -> None:
    retired = [{**CODES[0], "inactive": True}, *CODES[1:]]
    sets = {URL: {**SETS[URL], "expansion": {"timestamp": "2026-01-01T00:00:00Z", "contains": retired}}}
    expansion = expand(sets, {"url": URL, "filter": "film"}, NOW)["expansion"]
    assert [code["code"] for code in expansion["contains"]] == ["73030", "73000"]
    assert expansion["timestamp"] == "2026-11-20T12:00:00+00:00"
    assert expansion["parameter"] == [
        {"name": "date", "valueDateTime": "2026-11-20"},
        {"name": "activeOnly", "valueBoolean": True},
        {"name": "filter", "valueString": "film"},
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("two", ["73030"]),
        ("SHOULDER vi", ["73020", "73030"]),
        ("7303", ["73030"]),
        ("bone", ["73000"]),
        ("hip", []),
    ],
)
def test_e_a_filter_picks_by_beginnings_of_words_or_code(text: str, found: list[str]) -> None:
    assert codes(filter=text) == found


def test_e_a_page_says_how_many_there_are() -> None:
    expansion = expanded(offset="1", count="1")
    assert (expansion["total"], expansion["offset"]) == (3, 1)
    assert [code["code"] for code in expansion["contains"]] == ["73030"]


def test_e_a_count_of_none_gives_only_the_number() -> None:
    expansion = expanded(count="0")
    assert (expansion["total"], expansion["offset"]) == (3, 0)
    assert "contains" not in expansion


def test_e_by_version() -> None:
    for asked in ({"url": f"{URL}|1.0.0"}, {"url": URL, "valueSetVersion": "1.0.0"}):
        assert expand(SETS, asked, NOW)["url"] == URL
    for asked in ({"url": f"{URL}|2.0.0"}, {"url": URL, "valueSetVersion": "2.0.0"}):
        with pytest.raises(NotFound):
            expand(SETS, asked, NOW)


def test_e_an_unknown_set_is_not_found() -> None:
    with pytest.raises(NotFound):
        expand(SETS, {"url": "https://payer.example/ValueSet/nothing"}, NOW)


@pytest.mark.parametrize("asked", [{}, {"url": URL, "count": "many"}, {"url": URL, "count": "²"}])
def test_e_a_broken_question_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        expand(SETS, asked, NOW)


def test_e_a_posted_question_reads_like_a_query() -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "url", "valueUri": URL}, {"name": "count", "valueInteger": 2}],
    }
    assert dict(texts(body)) == {"url": URL, "count": "2"}
