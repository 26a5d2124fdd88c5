"""`ValueSet/$expand` over sets that come expanded."""

import pytest

from server.dtr.terminology import expand, expansion_request
from server.fhir.errors import InvalidRequest, NotFound

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


def codes(**asked: str) -> list[str]:
    expansion = expand(SETS, {"url": URL, **asked})["expansion"]
    return [code["code"] for code in expansion.get("contains", [])]


def test_whole() -> None:
    assert codes() == ["73020", "73030", "73000"]


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
def test_a_filter_picks_by_beginnings_of_words_or_code(text: str, found: list[str]) -> None:
    assert codes(filter=text) == found


def test_a_page_says_how_many_there_are() -> None:
    expansion = expand(SETS, {"url": URL, "offset": "1", "count": "1"})["expansion"]
    assert (expansion["total"], expansion["offset"]) == (3, 1)
    assert [code["code"] for code in expansion["contains"]] == ["73030"]


def test_a_count_of_none_gives_only_the_number() -> None:
    assert expand(SETS, {"url": URL, "count": "0"})["expansion"] == {
        "timestamp": "2026-01-01T00:00:00Z",
        "total": 3,
        "offset": 0,
    }


def test_by_version() -> None:
    assert expand(SETS, {"url": f"{URL}|1.0.0"})["url"] == URL
    with pytest.raises(NotFound):
        expand(SETS, {"url": f"{URL}|2.0.0"})


def test_an_unknown_set_is_not_found() -> None:
    with pytest.raises(NotFound):
        expand(SETS, {"url": "https://payer.example/ValueSet/nothing"})


@pytest.mark.parametrize("asked", [{}, {"url": URL, "count": "many"}])
def test_a_broken_question_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        expand(SETS, asked)


def test_a_posted_question_reads_like_a_query() -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "url", "valueUri": URL}, {"name": "count", "valueInteger": 2}],
    }
    assert expansion_request(body) == {"url": URL, "count": "2"}
