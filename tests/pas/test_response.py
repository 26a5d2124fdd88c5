"""What is answered about each outcome, and how it is laid out (profile-pas-response-bundle), in both guide
versions; where they differ, the test says which."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from server.fhir.extensions import extension, value, values
from server.fhir.systems import ICD, LOINC, concept
from server.pas import decision, intake, rejection, v2_0, v2_2
from server.pas.case import Case, Item
from server.pas.response import pas_inquiry_response_entries, pas_response_bundle
from server.pas.terms import extension_url
from server.pas.verdict import (
    Cancelled,
    Certifiable,
    Certified,
    Denied,
    InReview,
    Modified,
    NotRequired,
    OnFile,
    Span,
    Verdict,
    from_json,
    to_json,
)
from server.pas.version import Version
from server.policy.denial import denial_of
from server.policy.determination import Determination
from tests.emitted import record
from tests.pas import builders as a
from tests.pas import determinations as said

Resource = dict[str, Any]

NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
BASE = "http://127.0.0.1:8080/r2.0/fhir"
CASE = "3a0b1d56-7c1f-4b52-9a55-1c3d5e7f9a01"
SPAN = Span(dt.date(2026, 12, 1), dt.date(2027, 1, 29))
CERTIFIED = Certified("PA1234567890", dt.date(2026, 11, 25), SPAN, Decimal(1))


GUIDE = {"2.0": "pas-2.0.1", "2.2": "pas-2.2.1"}


@pytest.fixture(params=[v2_0.VERSION, v2_2.VERSION], ids=["2.0.1", "2.2.1"])
def spoken(request: pytest.FixtureRequest) -> Version:
    version: Version = request.param
    return version


def verdict_on(determination: Determination) -> Verdict:
    return decision.verdict_without_number(determination, "case-1", NOW)


OUTCOMES: list[tuple[str, Verdict, str]] = [
    ("approve", CERTIFIED, "A1"),
    ("approve in a dry run", Certifiable(SPAN, Decimal(1)), "A1"),
    ("no authorization required", verdict_on(said.free_of_authorization()), "A1"),
    ("on file", OnFile("PA-OLD", SPAN, Decimal(1)), "A1"),
    (
        "modified",
        Modified("PA1234567890", dt.date(2026, 11, 25), SPAN, "73221", Decimal(1), "Contrast adds nothing."),
        "A6",
    ),
    ("deny", verdict_on(said.denied()), "A3"),
    ("more information", verdict_on(said.needs_more()), "A4"),
    ("pend", verdict_on(said.waits_for_a_person()), "A4"),
    ("pend where a denial is recommended", verdict_on(said.recommends_denial()), "A4"),
    ("cancelled", Cancelled("PA1234567890"), "C"),
]
every_outcome = pytest.mark.parametrize(
    ("name", "verdict", "code"), OUTCOMES, ids=[row[0] for row in OUTCOMES]
)


def case(*verdicts: Verdict, bundle: Resource | None = None, **changes: Any) -> Case:
    asked = a.claim(*(a.item(number) for number in range(1, len(verdicts) + 1)))
    read = intake.read(a.raw(bundle or a.request(claim=asked)), v2_0.SUBMIT)
    items = tuple(Item(item, verdict) for item, verdict in zip(read.items, verdicts, strict=True))
    return Case(CASE, read, items, NOW, **{"request": read.claim_url, **changes})


def answer(spoken: Version, *verdicts: Verdict, bundle: Resource | None = None, **changes: Any) -> Resource:
    answered = pas_response_bundle(spoken, case(*verdicts, bundle=bundle, **changes), BASE, NOW)
    record(GUIDE[spoken.name], answered)
    return answered


def response(bundle: Resource) -> Resource:
    return dict(bundle["entry"][0]["resource"])


def of_type(bundle: Resource, kind: str) -> list[Resource]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def review_action(item: Resource) -> Resource:
    return dict(extension(item["adjudication"][0], extension_url("reviewAction")) or {})


@every_outcome
def test_each_outcome_has_its_own_review_action(
    spoken: Version, name: str, verdict: Verdict, code: str
) -> None:
    """Above all: denied is A3, and what needs no authorization is never that. A client that shows what became
    of an item has the guide's word for it, not only a code."""
    action = value(
        extension(
            review_action(response(answer(spoken, verdict))["item"][0]), extension_url("reviewActionCode")
        )
    )

    words = {"A1": "Certified in total", "A3": "Not Certified", "A4": "Pending", "A6": "Modified"}
    (coding,) = action["coding"]
    assert (coding["system"], coding["code"]) == ("https://codesystem.x12.org/005010/306", code)
    assert coding.get("display") == words.get(code)


@every_outcome
def test_a_verdict_comes_out_of_the_store_as_it_went_in(name: str, verdict: Verdict, code: str) -> None:
    assert from_json(to_json(verdict)) == verdict


@every_outcome
def test_every_answer_opens_with_the_response_and_names_each_entry_once(
    spoken: Version, name: str, verdict: Verdict, code: str
) -> None:
    bundle = answer(spoken, verdict)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]

    assert bundle["type"] == "collection"
    assert response(bundle)["resourceType"] == "ClaimResponse"
    assert len(set(urls)) == len(urls)


def test_an_authorization_says_its_number_its_day_and_its_span(spoken: Version) -> None:
    answered = response(answer(spoken, CERTIFIED))
    line = answered["item"][0]

    assert value(extension(review_action(line), "number")) == "PA1234567890"
    assert value(extension(line, extension_url("itemPreAuthIssueDate"))) == "2026-11-25"
    assert value(extension(line, extension_url("itemPreAuthPeriod"))) == {
        "start": "2026-12-01",
        "end": "2027-01-29",
    }
    assert answered["preAuthRef"] == "PA1234567890"
    assert answered["preAuthPeriod"] == {"start": "2026-12-01", "end": "2027-01-29"}


def test_items_keep_sequence_trace_number_and_the_day_asked_for(spoken: Version) -> None:
    lines = response(answer(spoken, CERTIFIED, verdict_on(said.denied())))["item"]

    assert [line["itemSequence"] for line in lines] == [1, 2]
    assert [values(line, extension_url("itemTraceNumber")) for line in lines] == [
        [{"system": "https://ehr.example/trace", "value": "T-1"}],
        [{"system": "https://ehr.example/trace", "value": "T-2"}],
    ]
    assert value(extension(lines[0], extension_url("itemRequestedServiceDate"))) == "2026-12-01"


def test_what_the_client_sent_comes_back_under_its_own_names(spoken: Version) -> None:
    asked = a.request()
    answered = answer(spoken, CERTIFIED, bundle=asked)
    sent = {entry["fullUrl"]: entry["resource"] for entry in asked["entry"]}
    back = {entry["fullUrl"]: entry["resource"] for entry in answered["entry"][1:]}

    assert set(back) == {
        f"{a.HOST}/Patient/anna",
        f"{a.HOST}/Organization/payer",
        f"{a.HOST}/Organization/clinic",
    }
    assert all(resource == sent[url] for url, resource in back.items())
    assert response(answered)["patient"] == {"reference": f"{a.HOST}/Patient/anna"}
    assert response(answered)["request"] == {"reference": f"{a.HOST}/Claim/pa-1"}
    assert response(answered)["identifier"][0] == {"system": "https://ehr.example/pa", "value": "PA-1"}


def test_who_gave_a_number_is_named_as_the_answer_has_it(spoken: Version) -> None:
    """A relative reference would be read against our base, where no such organization is; one to what the
    Claim contains would lead nowhere."""
    lab = a.organization("lab", "Harbour Group", "1992999981", "X3", "requestor")
    house = {"resourceType": "Organization", "id": "house", "name": "House Numbering"}
    line = a.item(1)
    line["extension"][0]["valueIdentifier"]["assigner"] = {"reference": "#house"}
    number = {"system": "https://ehr.example/pa", "value": "PA-1"}
    asked = a.request(
        lab,
        claim=a.claim(
            line, identifier=[{**number, "assigner": {"reference": "Organization/lab"}}], contained=[house]
        ),
        insurer=a.payer(
            identifier=[{"system": a.NPI, "value": "1234567893", "assigner": {"reference": "#house"}}],
            contained=[house],
        ),
    )
    answered = answer(spoken, verdict_on(said.needs_more()), bundle=asked)
    assigned = {"reference": f"{a.HOST}/Organization/lab"}
    assert response(answered)["identifier"][0] == {**number, "assigner": assigned}
    assert f"{a.HOST}/Organization/lab" in {entry["fullUrl"] for entry in answered["entry"]}
    (trace,) = values(response(answered)["item"][0], extension_url("itemTraceNumber"))
    assert trace["assigner"] == {"display": "House Numbering"}
    assert of_type(answered, "Task")[0]["requester"] == {
        "identifier": {"system": a.NPI, "value": "1234567893"}
    }


def test_a_requester_in_a_role_comes_with_the_person_and_the_place(spoken: Version) -> None:
    doctor = {
        "resourceType": "Practitioner",
        "id": "doctor",
        "meta": {"profile": [a.profile("practitioner")]},
        "identifier": [{"system": a.NPI, "value": "1111111112"}],
        "name": [{"family": "Berg"}],
    }
    role = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "meta": {"profile": [a.profile("practitionerrole")]},
        "practitioner": {"reference": "Practitioner/doctor"},
        "organization": {"reference": "Organization/clinic"},
        "telecom": [{"system": "phone", "value": "555 0100"}],
    }
    asked = a.request(role, doctor, claim=a.claim(provider={"reference": "PractitionerRole/role"}))
    answered = answer(spoken, verdict_on(said.needs_more()), bundle=asked)
    names = {entry["fullUrl"].removeprefix(f"{a.HOST}/") for entry in answered["entry"]}

    assert {"PractitionerRole/role", "Practitioner/doctor", "Organization/clinic"} <= names
    assert response(answered)["requestor"] == {"reference": f"{a.HOST}/PractitionerRole/role"}

    del role["organization"]
    request, task = (
        entry["resource"]
        for entry in answer(spoken, verdict_on(said.needs_more()), bundle=asked)["entry"]
        if entry["resource"]["resourceType"] in ("CommunicationRequest", "Task")
    )
    assert "sender" not in request
    assert task["owner"] == {"identifier": doctor["identifier"][0]}


def test_a_denial_gives_its_reason_by_code_and_in_words(spoken: Version) -> None:
    answered = response(answer(spoken, verdict_on(said.denied())))
    line = answered["item"][0]

    assert values(review_action(line), "reasonCode") == [
        {"coding": [{"system": "https://codesystem.x12.org/external/886", "code": "44"}]}
    ]
    notes = {note["number"]: note["text"] for note in answered["processNote"]}
    assert [notes[number] for number in line["noteNumber"]] == [denial_of(said.denied()).text]
    assert "preAuthRef" not in answered


@pytest.mark.parametrize(
    "beside",
    [verdict_on(said.denied()), verdict_on(said.needs_more()), Cancelled("PA1234567890")],
    ids=["denied", "pended", "cancelled"],
)
def test_one_lines_number_is_not_that_of_the_whole_answer(spoken: Version, beside: Verdict) -> None:
    """A biller who takes the number from the header would put it on the line that has none."""
    answered = response(answer(spoken, CERTIFIED, beside))

    assert value(extension(review_action(answered["item"][0]), "number")) == "PA1234567890"
    assert not {"preAuthRef", "preAuthPeriod"} & answered.keys()


def test_a_film_that_needs_none_takes_nothing_from_the_number_beside_it(spoken: Version) -> None:
    answered = response(answer(spoken, CERTIFIED, verdict_on(said.free_of_authorization())))

    assert answered["preAuthRef"] == "PA1234567890"


def test_what_needs_no_authorization_says_so_and_has_no_number(spoken: Version) -> None:
    answered = response(answer(spoken, verdict_on(said.free_of_authorization())))

    assert answered["disposition"] == "No authorization required"
    assert "preAuthRef" not in answered
    assert extension(review_action(answered["item"][0]), "number") is None


def test_a_request_for_information_names_what_is_missing_and_by_when(spoken: Version) -> None:
    bundle = answer(spoken, verdict_on(said.needs_more()))
    (asked,) = of_type(bundle, "CommunicationRequest")
    (task,) = of_type(bundle, "Task")
    answered = response(bundle)

    assert answered["communicationRequest"] == [{"reference": f"{BASE}/CommunicationRequest/{CASE}-1"}]
    assert answered["processNote"][0]["text"].startswith("Plain film first (IMG-XR): No film")
    assert task["identifier"] == asked["identifier"]
    assert task["reasonReference"] == {"reference": f"{a.HOST}/Claim/pa-1"}
    assert task["restriction"]["period"]["end"].startswith("2026-12-02")


def test_what_is_asked_is_about_the_diagnosis_of_the_line_and_dates_from_before_the_service(
    spoken: Version,
) -> None:
    bundle = answer(spoken, verdict_on(said.needs_more()))
    (asked,) = of_type(bundle, "CommunicationRequest")
    (payload,) = asked["payload"]

    assert value(extension(payload, extension_url("communicatedDiagnosis"))) == concept(ICD, "M75.111")
    assert value(extension(payload, extension_url("contentModifier"))) == concept(LOINC, "18790-6")


def test_what_is_asked_for_goes_from_the_provider_to_the_insurer(spoken: Version) -> None:
    """Base FHIR: the sender is the source of the communication that is requested, the recipient its target.
    The profile has the requestor as the sender."""
    (request,) = of_type(answer(spoken, verdict_on(said.needs_more())), "CommunicationRequest")
    assert request["sender"] == {"reference": f"{a.HOST}/Organization/clinic"}
    assert request["recipient"] == [request["requester"]] == [{"reference": f"{a.HOST}/Organization/payer"}]


def test_in_2_0_the_request_speaks_in_words_and_the_task_by_identifier() -> None:
    bundle = answer(v2_0.VERSION, verdict_on(said.needs_more()))
    (asked,) = of_type(bundle, "CommunicationRequest")
    (task,) = of_type(bundle, "Task")
    (payload,) = asked["payload"]

    assert payload["contentString"].startswith("Plain film first (IMG-XR): No film")
    assert value(extension(payload, extension_url("serviceLineNumber"))) == 1
    assert task["input"][1]["valueIdentifier"] == asked["identifier"][0]
    assert value(extension(task["input"][1], extension_url("paLineNumber"))) == 1


def test_in_2_2_the_request_speaks_in_loinc_and_the_task_by_context() -> None:
    bundle = answer(v2_2.VERSION, verdict_on(said.needs_more()))
    (asked,) = of_type(bundle, "CommunicationRequest")
    (task,) = of_type(bundle, "Task")
    line = response(bundle)["item"][0]
    tracking = asked["identifier"][0]["value"]

    assert [payload["contentString"] for payload in asked["payload"]] == ["102089-0"]
    assert value(extension(asked, extension_url("serviceLineNumber"))) == 1
    assert task["input"][1]["valueString"] == tracking
    assert value(extension(line, extension_url("administrationReferenceNumber"))) == tracking


def test_a_review_asks_the_provider_for_nothing(spoken: Version) -> None:
    bundle = answer(spoken, verdict_on(said.recommends_denial()))

    assert of_type(bundle, "CommunicationRequest") == []
    assert response(bundle)["disposition"] == "Pended: clinical review"


def test_a_recommendation_is_not_told_as_if_it_were_the_decision(spoken: Version) -> None:
    verdict = verdict_on(said.recommends_denial())

    assert isinstance(verdict, InReview)
    assert verdict.recommended == denial_of(said.denied())
    assert values(review_action(response(answer(spoken, verdict))["item"][0]), "reasonCode") == []


@pytest.mark.parametrize(
    ("verdicts", "in_2_0", "in_2_2"),
    [
        ([CERTIFIED], "complete", "complete"),
        ([Denied(denial_of(said.denied()))], "complete", "complete"),
        ([NotRequired("Exempt.")], "complete", "complete"),
        ([verdict_on(said.needs_more())], "queued", "complete"),
        ([verdict_on(said.waits_for_a_person()), verdict_on(said.needs_more())], "queued", "complete"),
        ([CERTIFIED, verdict_on(said.needs_more())], "partial", "partial"),
    ],
)
def test_the_outcome_tells_whether_all_is_decided(verdicts: list[Verdict], in_2_0: str, in_2_2: str) -> None:
    assert response(answer(v2_0.VERSION, *verdicts))["outcome"] == in_2_0
    assert response(answer(v2_2.VERSION, *verdicts))["outcome"] == in_2_2


MODIFIED = Modified("PA1", dt.date(2026, 11, 25), SPAN, "73221", Decimal(1), "Contrast adds nothing here.")


def with_contrast() -> Resource:
    return a.request(claim=a.claim(a.item(1, "73223", quantity={"value": 2, "unit": "unit"})))


def test_in_2_0_a_modified_item_says_what_was_authorized_instead() -> None:
    answered = response(answer(v2_0.VERSION, MODIFIED, bundle=with_contrast()))
    detail = extension(answered["item"][0], extension_url("itemAuthorizedDetail"))

    assert value(extension(detail, "productOrServiceCode"))["coding"][0]["code"] == "73221"
    assert value(extension(detail, "quantity")) == {"value": Decimal(1)}
    assert "addItem" not in answered


def test_in_2_2_what_was_authorized_instead_is_a_line_of_its_own() -> None:
    answered = response(answer(v2_2.VERSION, MODIFIED, bundle=with_contrast()))
    detail = extension(answered["item"][0], extension_url("itemAuthorizedDetail"))
    (line,) = answered["addItem"]

    assert value(extension(detail, "productOrServiceCode"))["coding"][0]["code"] == "73223"
    assert line["itemSequence"] == [1]
    assert line["productOrService"]["coding"][0]["code"] == "73221"
    assert line["quantity"] == {"value": Decimal(1), "unit": "unit"}
    assert (
        value(extension(review_action(line), extension_url("reviewActionCode")))["coding"][0]["code"] == "A1"
    )
    assert value(extension(review_action(line), "number")) == "PA1"


def test_a_business_error_names_element_path_and_what_to_do(spoken: Version) -> None:
    asked = a.request(claim=a.claim(a.item(1, "")))
    del asked["entry"][0]["resource"]["item"][0]["productOrService"]["coding"][0]["code"]
    read = intake.read(a.raw(asked), v2_0.SUBMIT)
    failed = Case(CASE, read, (), NOW, (rejection.no_service(0),), request=read.claim_url)
    bundle = pas_response_bundle(spoken, failed, BASE, NOW)
    record(GUIDE[spoken.name], bundle)
    (error,) = response(bundle)["error"]

    assert response(bundle)["outcome"] == "error"
    assert "item" not in response(bundle)
    assert error["code"]["coding"][0] == {"system": "https://codesystem.x12.org/005010/901", "code": "AG"}
    assert value(extension(error, extension_url("errorPath"))) == "Claim.item[0].productOrService"
    element = extension(error, extension_url("errorElement"))
    assert (value(element) or value(extension(element, "error"))) == "2000F-SV1"


def test_numbers_of_earlier_decisions_that_a_request_quotes_come_back_with_it(spoken: Version) -> None:
    quoting = a.item()
    quoting["extension"].append({"url": extension_url("authorizationNumber"), "valueString": "PA-OLD"})
    line = response(answer(spoken, CERTIFIED, bundle=a.request(claim=a.claim(quoting))))["item"][0]

    assert value(extension(line, extension_url("authorizationNumber"))) == "PA-OLD"


@every_outcome
def test_an_inquiry_is_told_the_same_without_the_requests_for_information(
    spoken: Version, name: str, verdict: Verdict, code: str
) -> None:
    entries = pas_inquiry_response_entries(spoken, case(verdict), BASE)
    body = spoken.inquiry_answer([entries], [], NOW)
    record(GUIDE[spoken.name], body)
    bundle = body["parameter"][0]["resource"] if spoken is v2_2.VERSION else body
    told, first = response(bundle), response(answer(spoken, verdict))

    assert told["meta"]["profile"] == [a.profile("claiminquiryresponse")]
    assert told["item"] == first["item"]
    assert "communicationRequest" not in told


def test_a_dry_run_is_readable_nowhere_and_says_so(spoken: Version) -> None:
    bundle = answer(spoken, Certifiable(SPAN, Decimal(1)), dry=True)

    assert bundle["entry"][0]["fullUrl"] == f"urn:uuid:{CASE}"
    assert response(bundle)["disposition"] == "Dry run, nothing was stored: would be authorized"


def test_an_authorization_that_no_claim_asked_for_is_told_with_its_service(spoken: Version) -> None:
    told = response(answer(spoken, OnFile("PA-OLD", SPAN, Decimal(1)), request=None))

    assert told["preAuthRef"] == "PA-OLD"
    assert told["identifier"] == [{"system": "https://payer.example/pas-case", "value": CASE}]
    assert "reference" not in told.get("request", {})


def test_in_2_2_the_answer_says_who_reviewed_and_turns_the_transmission_round() -> None:
    parts = {
        "applicationSenderCode": "EHR",
        "applicationReceiverCode": "EXAMPLE",
        "interchangeSenderID": "ISA1",
    }
    sent = {
        "url": extension_url("TransmissionIdentifiers"),
        "extension": [{"url": name, "valueString": content} for name, content in parts.items()],
    }
    told = response(answer(v2_2.VERSION, CERTIFIED, bundle=a.request(claim=a.claim(extension=[sent]))))
    turned = extension(told, extension_url("TransmissionIdentifiers"))
    reviewer = extension(told, extension_url("claimResponseReviewer"))

    assert value(extension(turned, "applicationSenderCode")) == "EXAMPLE"
    assert value(extension(turned, "applicationReceiverCode")) == "EHR"
    assert value(extension(turned, "interchangeReceiverID")) == "ISA1"
    assert value(extension(reviewer, "wasHumanReviewedFlag")) is False
