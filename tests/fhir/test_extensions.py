"""Extensions by URL, on elements as they come."""

from server.fhir.canonical import canonical
from server.fhir.extensions import extension, extensions, value, values

A, B = "https://a.example/ext", "https://b.example/ext"


def test_the_value_is_found_whatever_its_type() -> None:
    element = {
        "extension": [{"url": A, "valueCode": "x", "_valueCode": {"id": "1"}}, {"url": A, "valueDecimal": 0}]
    }
    assert value(extension(element, A)) == "x"
    assert values(element, A) == ["x", 0]


def test_an_absent_extension_has_no_value() -> None:
    assert value(extension({}, A)) is None
    assert value(extension(None, A)) is None
    assert value({"url": A}) is None


def test_malformed_extensions_are_passed_over() -> None:
    assert list(extensions({"extension": [None, "x", {"url": A}]}, A)) == [{"url": A}]
    assert list(extensions({"extension": {"url": A}}, A)) == []


def test_canonicals() -> None:
    asked = canonical("https://payer.example/Questionnaire/mri-knee")
    kept = canonical("https://payer.example/Questionnaire/mri-knee|1.0.0")
    assert asked.names(kept)
    assert not kept.names(canonical("https://payer.example/Questionnaire/mri-knee|1.1.0"))
    assert str(kept) == "https://payer.example/Questionnaire/mri-knee|1.0.0"
