"""What a request Bundle must be before anybody reads it: every fault by name, at its place."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from server.fhir.errors import FhirError, InvalidJson, InvalidRequest
from server.fhir.systems import concept
from server.pas import intake, v2_0
from server.pas.intake import Submission
from server.pas.marks import INFO_CANCELLED
from server.pas.terms import PAS_CODES, extension_url
from tests.pas import builders as a

Resource = dict[str, Any]
CLAIM = "Bundle.entry[0].resource"


def read(bundle: Resource) -> Submission:
    return intake.read(a.raw(bundle), v2_0.SUBMIT)


def refusal(bundle: Resource) -> FhirError:
    with pytest.raises(FhirError) as refused:
        read(bundle)
    return refused.value


def places(bundle: Resource) -> list[str]:
    return [place for issue in refusal(bundle).issues for place in issue.expressions]


def changed(change: Callable[[Resource], object]) -> Resource:
    bundle = copy.deepcopy(a.request())
    change(bundle)
    return bundle


def unknown(element: Resource, name: str) -> None:
    """FHIR lets an extension stand where a required value would."""
    del element[name]
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    element[f"_{name}"] = {"extension": [reason]}


def test_a_sound_request_is_read_with_its_parties() -> None:
    request = read(a.request())

    assert request.claim["id"] == "pa-1"
    assert request.claim_url == f"{a.HOST}/Claim/pa-1"
    assert request.patient["id"] == "anna"
    assert request.insurer["id"] == "payer"
    assert request.provider["id"] == "clinic"
    assert request.coverage["id"] == "card"


@pytest.mark.parametrize("written", [a.with_absolute_references, a.with_uuids, lambda bundle: bundle])
def test_the_parties_are_found_however_they_are_named(written: Callable[[Resource], Resource]) -> None:
    request = read(written(a.request()))

    assert request.patient["id"] == "anna"
    assert request.coverage["id"] == "card"


def test_a_parameters_wrapper_around_the_bundle_is_looked_through() -> None:
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": a.request()}]}

    assert read(wrapped).claim["id"] == "pa-1"

    del wrapped["parameter"][0]["resource"]["entry"][0]["resource"]["insurer"]
    assert places(wrapped) == ["Parameters.parameter[0].resource.entry[0].resource.insurer"]


def test_what_is_not_json_is_refused_as_such() -> None:
    with pytest.raises(InvalidJson):
        intake.read(b'{"resourceType": "Bundle",', v2_0.SUBMIT)


BACKWARDS = {"start": "2026-12-20", "end": "2026-12-01"}


def undated(**changes: Any) -> Resource:
    return {name: content for name, content in a.item(**changes).items() if name != "servicedDate"}


EVENT = {"sequence": 1, "category": concept(PAS_CODES, "patientEvent"), "timingPeriod": BACKWARDS}


def older(entry: Resource) -> Resource:
    """An earlier version of the entry's resource."""
    return {**entry, "fullUrl": f"{entry['fullUrl']}/_history/1"}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b.update(resourceType="Claim"), "Bundle"),
        (lambda b: b.update(type="batch"), "Bundle.type"),
        (lambda b: b.pop("identifier"), "Bundle.identifier"),
        (lambda b: b.pop("timestamp"), "Bundle.timestamp"),
        (lambda b: b.update(entry=[]), "Bundle.entry"),
        (lambda b: b.pop("entry"), "Bundle.entry"),
        (lambda b: b["entry"].pop(0), "Bundle.entry[0]"),
        (lambda b: b["entry"].append({"fullUrl": "urn:x"}), "Bundle.entry[6].resource"),
        (lambda b: b["entry"].append(7), "Bundle.entry[6]"),
        (lambda b: b["entry"][1].pop("fullUrl"), "Bundle.entry[1].fullUrl"),
        (lambda b: b["entry"][1].update(request={"method": "PUT", "url": "x"}), "Bundle.entry[1].request"),
        (lambda b: b["entry"].append(b["entry"][1]), "Bundle.entry[1].fullUrl"),
        (lambda b: b["entry"].append(older(b["entry"][1])), "Bundle.entry[6].fullUrl"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_broken_envelope_is_named(change: Callable[[Resource], object], place: str) -> None:
    assert place in places(changed(change))


def test_a_bundle_without_a_claim_in_front_says_so() -> None:
    fault = refusal(changed(lambda bundle: bundle["entry"].pop(0)))

    assert isinstance(fault, InvalidRequest)
    assert fault.status == 400
    assert [issue.expression for issue in fault.issues] == ["Bundle.entry[0]"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c.pop("identifier"), f"{CLAIM}.identifier"),
        (lambda c: c.pop("patient"), f"{CLAIM}.patient"),
        (lambda c: c.pop("created"), f"{CLAIM}.created"),
        (lambda c: c.pop("insurer"), f"{CLAIM}.insurer"),
        (lambda c: c.pop("provider"), f"{CLAIM}.provider"),
        (lambda c: c.pop("priority"), f"{CLAIM}.priority"),
        (lambda c: c.pop("type"), f"{CLAIM}.type"),
        (lambda c: c.pop("insurance"), f"{CLAIM}.insurance"),
        (lambda c: c.pop("item"), f"{CLAIM}.item"),
        (lambda c: c["item"][0].pop("category"), f"{CLAIM}.item[0].category"),
        (lambda c: c["item"][0].pop("productOrService"), f"{CLAIM}.item[0].productOrService"),
        (lambda c: c["item"][0].update(sequence=0), f"{CLAIM}.item[0].sequence"),
        (lambda c: c["item"][0].update(sequence=True), f"{CLAIM}.item[0].sequence"),
        (lambda c: c["item"].append(c["item"][0]), f"{CLAIM}.item[1].sequence"),
        (lambda c: c["item"][0].update(quantity={"value": 0}), f"{CLAIM}.item[0].quantity.value"),
        (lambda c: c["item"][0].update(quantity={"value": -1}), f"{CLAIM}.item[0].quantity.value"),
        (lambda c: c["item"][0].update(quantity={"value": 10**30}), f"{CLAIM}.item[0].quantity.value"),
        (lambda c: c["item"][0].update(diagnosisSequence=[7]), f"{CLAIM}.item[0].diagnosisSequence"),
        (lambda c: c["item"][0].update(careTeamSequence=[7]), f"{CLAIM}.item[0].careTeamSequence"),
        (lambda c: c["item"][0].update(informationSequence=[7]), f"{CLAIM}.item[0].informationSequence"),
        (lambda c: c.update(item=[undated(servicedPeriod=BACKWARDS)]), f"{CLAIM}.item[0].servicedPeriod"),
        (lambda c: c.update(billablePeriod=BACKWARDS), f"{CLAIM}.billablePeriod"),
        (lambda c: c.update(supportingInfo=[EVENT]), f"{CLAIM}.supportingInfo[0].timingPeriod"),
        (lambda c: c.update(use="claim"), f"{CLAIM}.use"),
        (lambda c: c.update(status="draft"), f"{CLAIM}.status"),
        (lambda c: c.update(created="25 November"), f"{CLAIM}.created"),
        (lambda c: c.update(priority='{"text": "stat"}'), f"{CLAIM}.priority"),
        (lambda c: unknown(c, "created"), f"{CLAIM}.created"),
        (lambda c: unknown(c["diagnosis"][0], "sequence"), f"{CLAIM}.diagnosis[0].sequence"),
        (lambda c: c.update(insurance={}), f"{CLAIM}.insurance"),
        (lambda c: c["patient"].update(reference="Patient/nobody"), f"{CLAIM}.patient.reference"),
        (lambda c: c.update(patient={"display": "Anna"}), f"{CLAIM}.patient"),
        (lambda c: c.update(provider={"reference": "Patient/anna"}), f"{CLAIM}.provider"),
        (
            lambda c: c.update(contained=[a.clinic(id="own")], provider={"reference": "#own"}),
            f"{CLAIM}.provider",
        ),
        (
            lambda c: c.update(
                contained=[a.coverage(id="own")],
                insurance=[{**c["insurance"][0], "coverage": {"reference": "#own"}}],
            ),
            f"{CLAIM}.insurance.coverage",
        ),
        (
            lambda c: c["item"][0]["extension"][3]["valueReference"].update(reference="ServiceRequest/lost"),
            f"{CLAIM}.item[0].extension[3].valueReference.reference",
        ),
        (
            # The Claim itself, says FHIR.
            lambda c: c["item"][0]["extension"][3]["valueReference"].update(reference="#"),
            f"{CLAIM}.item[0].extension('{extension_url('requestedService')}')",
        ),
        (
            lambda c: c["item"][0].update(
                modifierExtension=[{"url": "https://x.example/not", "valueBoolean": True}]
            ),
            f"{CLAIM}.item[0].modifierExtension",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_broken_claim_is_named_element_by_element(change: Callable[[Resource], object], place: str) -> None:
    assert place in places(changed(lambda bundle: change(bundle["entry"][0]["resource"])))


def test_two_pieces_of_supporting_information_need_two_numbers() -> None:
    twice = [
        {"sequence": 1, "category": a.concept(a.PAS_CODES, "freeFormMessage"), "valueString": text}
        for text in ("one", "two")
    ]

    assert places(a.request(claim=a.claim(supportingInfo=twice))) == [f"{CLAIM}.supportingInfo[1].sequence"]


def test_every_fault_of_a_claim_is_its_own_issue() -> None:
    broken = a.claim(use="claim", status="draft")

    assert set(places(a.request(claim=broken))) == {f"{CLAIM}.use", f"{CLAIM}.status"}


def test_a_coverage_that_is_no_fhir_is_refused_at_its_entry() -> None:
    broken = a.coverage(payor="Example")

    assert places(a.request(coverage=broken)) == ["Bundle.entry[4].resource.payor"]


def test_extensions_with_siblings_of_their_values_are_fhir() -> None:
    """`_valueCode` beside `valueCode` is legal and stays."""
    note = {"url": "https://ehr.example/x", "valueCode": "a", "_valueCode": {"id": "i"}}
    request = read(a.request(claim=a.claim(extension=[note])))

    assert request.claim["extension"] == [note]


def test_optional_elements_may_be_absent() -> None:
    """What only the decision needs is asked for by the decision, not refused at the door."""
    bare = a.item()
    for name in (
        "diagnosisSequence",
        "modifier",
        "servicedDate",
        "locationCodeableConcept",
        "quantity",
        "extension",
    ):
        del bare[name]
    sparse = a.claim(bare)
    del sparse["diagnosis"]

    assert read(a.request(claim=sparse)).items == [bare]


def test_an_order_of_nothing_is_refused_where_the_item_leaves_the_quantity_to_it() -> None:
    ordered = a.order(quantityQuantity={"value": 0})
    silent = {name: content for name, content in a.item().items() if name != "quantity"}

    (place,) = places(a.request(claim=a.claim(silent), order=ordered))
    assert place.endswith(".resource.quantityQuantity.value")
    assert read(a.request(order=ordered)).items[0]["quantity"]["value"] == 1


def test_who_cancels_a_request_of_nothing_is_not_held_up_by_it() -> None:
    nothing = a.item(quantity={"value": 0})
    mark = {"url": INFO_CANCELLED, "valueBoolean": True}

    assert read(a.request(claim=a.claim(nothing, status="cancelled"))).items == [nothing]
    assert read(a.request(claim=a.claim({**nothing, "modifierExtension": [mark]})))


def test_an_inquiry_needs_no_name_of_its_own_and_no_category() -> None:
    asked = a.inquiry()
    del asked["entry"][0]["resource"]["identifier"]

    assert intake.read(a.raw(asked), v2_0.INQUIRY).patient["id"] == "anna"


def test_an_inquiry_about_nobody_is_refused() -> None:
    asked = a.inquiry()
    del asked["entry"][0]["resource"]["patient"]
    with pytest.raises(InvalidRequest) as refused:
        intake.read(a.raw(asked), v2_0.INQUIRY)

    assert refused.value.issues[0].expression == f"{CLAIM}.patient"


UNKNOWN = {"modifierExtension": [{"url": "https://ehr.example/refuted", "valueBoolean": True}]}


@pytest.mark.parametrize(
    ("where", "replaced"),
    [
        (f"{CLAIM}.diagnosis[0]", {"claim": a.claim(diagnosis=[{**a.diagnosis(), **UNKNOWN}])}),
        (f"{CLAIM}.provider", {"claim": a.claim(provider={"reference": "Organization/clinic", **UNKNOWN})}),
        ("Bundle.entry[4].resource", {"coverage": a.coverage(**UNKNOWN)}),
        ("Bundle.entry[5].resource", {"order": a.order(**UNKNOWN)}),
    ],
)
def test_nothing_is_acted_upon_that_something_unknown_may_reverse(
    where: str, replaced: dict[str, Resource]
) -> None:
    """A diagnosis that a modifier refutes, an order that it withdraws: both were authorized."""
    assert places(a.request(**replaced)) == [f"{where}.modifierExtension"]


def test_nothing_is_acted_upon_under_rules_that_nobody_here_knows() -> None:
    claim = a.claim(implicitRules="https://clearinghouse.example/rules")
    assert places(a.request(claim=claim)) == [f"{CLAIM}.implicitRules"]
