"""An app in an EHR gets the form for an order, fills it from the chart, and asks the rest."""

from server.dtr.validation import faults
from tests.crd.builders import (
    film,
    finding,
    lumbar,
    nsaid,
    occupational_therapy,
    pain,
    ref,
    score,
    shoulder,
    therapy_plan,
    visit,
)
from tests.dtr.conftest import GUIDES, Dtr
from tests.emitted import record

DOCTOR = "Practitioner/dr-lee"


def test_of_a_chart_with_a_film_and_nothing_else_the_rest_is_asked(dtr: Dtr) -> None:
    order = shoulder()
    filling = dtr.package(order).filled([order, film("73030", 10)])
    assert set(filling.asked) == {"SH-IMM", "CC-DUR.start", "EXM", "FUN"}
    assert filling.answers["IMG-XR"][0]["valueCoding"]["code"] == "normal"


def test_c_nothing_is_asked_of_a_chart_that_shows_the_whole_trial(dtr: Dtr) -> None:
    order = shoulder()
    chart = [
        order,
        *occupational_therapy(56, 0),
        nsaid(56, 56),
        film("73030", 50),
        finding("empty-can", 5),
        score("quickdash", 41, 5),
        pain(6, 5),
        visit(5),
        *therapy_plan(order),
    ]
    package = dtr.package(order)
    assert package.filled(chart).asked == ()
    # So it is for an app that fetches what the form's own library lists, and no more.
    listed = {needed["type"] for needed in package.libraries[0]["dataRequirement"]}
    fetched = [each for each in chart if each["resourceType"] in listed]
    assert package.filled(fetched).answers == package.filled(chart).answers


def test_cauda_equina_signs_answer_the_lumbar_form_by_themselves(dtr: Dtr) -> None:
    order = lumbar("M54.16")
    filling = dtr.package(order).filled([order, finding("saddle-anesthesia", 0)])
    assert filling.asked == ()
    assert "LS-IMM.8" in [answer["valueCoding"]["code"] for answer in filling.answers["LS-IMM"]]


def test_an_answer_brings_the_next_questions_until_none_is_left(dtr: Dtr) -> None:
    order = shoulder()
    filling = dtr.package(order).filled(
        [order, film("73030", 10), finding("neer", 3), score("quickdash", 41, 3)]
    )
    assert set(filling.asked) == {"SH-IMM", "CC-DUR.start"}
    filling = filling.answered({"SH-IMM": ["none"], "CC-DUR.start": "2026-09-25"}, DOCTOR)
    assert set(filling.asked) == {"CC-DUR.modalities", "CC-OUT", "CC-REEVAL"}
    filling = filling.answered({"CC-DUR.modalities": ["pt", "nsaid"], "CC-OUT": "no-change"}, DOCTOR)
    filling = filling.answered({"CC-REEVAL": True, "CC-REEVAL.date": "2026-11-18"}, DOCTOR)
    assert filling.asked == ()
    complete = filling.response("completed", dtr.app.state.services.clock())
    record(GUIDES[dtr.version], complete)
    assert faults(filling.form, complete) == []


def test_v7_v8_b3_every_answer_says_who_gave_it(dtr: Dtr) -> None:
    order = shoulder()
    filling = dtr.package(order).filled([order, film("73030", 10)]).answered({"EXM": "yes"}, DOCTOR)
    automatic = {"2.0": "auto", "2.2": "auto-client"}[dtr.version]
    assert origin(filling.answers["IMG-XR"][0]) == (automatic, None)
    assert origin(filling.answers["EXM"][0]) == ("manual", DOCTOR)
    changed = filling.answered({"IMG-XR": "degenerative"}, DOCTOR)
    assert origin(changed.answers["IMG-XR"][0]) == ("override", DOCTOR)


def test_v6_b3_the_draft_is_tied_to_patient_coverage_and_order(dtr: Dtr) -> None:
    order = shoulder()
    draft = dtr.package(order).draft
    assert draft["subject"] == order["subject"]
    links = {
        extension["url"].rpartition("/")[2]: extension["valueReference"]["reference"]
        for extension in draft["extension"]
        if "valueReference" in extension and extension["valueReference"]["reference"] != "Coverage/cov-1"
    }
    assert links == {"qr-context": ref(order)["reference"]}
    coverage_link = {"2.0": "qr-context", "2.2": "qr-coverage"}[dtr.version]
    assert any(
        extension["url"].endswith(coverage_link)
        and extension.get("valueReference") == {"reference": "Coverage/cov-1"}
        for extension in draft["extension"]
    )


def origin(answer: dict) -> tuple[str, str | None]:  # type: ignore[type-arg]
    """Source and author of an answer."""
    (extension,) = [e for e in answer["extension"] if e["url"].endswith("information-origin")]
    parts = {part["url"]: part for part in extension["extension"]}
    author = parts.get("author", {}).get("extension", [{}])[0].get("valueReference", {}).get("reference")
    return parts["source"]["valueCode"], author
