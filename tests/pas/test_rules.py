"""The guide's rules one by one, in the order of its chapters, as far as no other test states them:
A submission, B response, C updates, D pends, E inquiry, F capability. Where the others are:

A  envelope, mandatory elements, sequences, references: test_intake; how items become orders: test_lines
B  each outcome's shape: test_response; item by item: test_stories; what a reviewer adds: tests/review
C  added, changed, cancelled, stale and crossed updates: test_changes
D  attachments: test_attachments; clock: test_decision_clock; subscriptions: tests/subscriptions
E  each element that narrows, and whom a case concerns: test_inquire
G  the Inferno suites under their numbers: tests/inferno/test_pas_suite
"""

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.fhir.systems import concept
from server.pas.handover import assign_of
from server.pas.marks import INFO_CANCELLED
from server.pas.settling import settle
from server.pas.submit import Submit
from server.pas.terms import extension_url
from server.pas.versions import VERSIONS
from server.report import pas as metric
from tests.conftest import at_noon
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, GUIDE, Answer, Payer
from tests.pas.test_changes import FILM, cancelled, error_code, marked, update

Resource = dict[str, Any]

both = pytest.mark.parametrize("payer", [("sqlite", version) for version in GUIDE], ids=GUIDE, indirect=True)
newer = pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2"], indirect=True)
older = pytest.mark.parametrize("payer", [("sqlite", "2.0")], ids=["2.0"], indirect=True)


def documented(**changes: Any) -> Resource:
    return a.request(*charts.meets_every_criterion(), **changes)


# ---- A. Claim/$submit


@both
def test_a_plain_json_is_accepted_as_a_content_type(payer: Payer) -> None:
    answered = payer.http.post(
        f"{payer.base}/Claim/$submit",
        content=a.raw(documented()),
        headers={"Content-Type": "application/json"},
    )

    assert answered.status_code == 200
    assert answered.headers["content-type"].startswith("application/fhir+json")


@both
def test_a_a_form_may_name_the_order_that_its_item_does_not(payer: Payer) -> None:
    """What it says is missing is known then, and not asked for again."""
    form = charts.answers(**{**charts.SHORT_TRIAL, "CC-OUT": "no-change", "EXM": "no"})
    context = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
    form["extension"] = [{"url": context, "valueReference": {"reference": "ServiceRequest/mri"}}]
    loose = a.claim(a.item(extension=a.item()["extension"][:-1]))  # without requestedService
    assert payer.submit(a.request(charts.film(), charts.quickdash(), form, claim=loose)).action == "A3"


@both
def test_a_elements_that_the_profile_does_not_speak_of_are_no_error(payer: Payer) -> None:
    unspoken = a.claim(
        subType=concept("https://ehr.example/claim-subtype", "routine"),
        text={"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A shoulder</div>'},
        extension=[{"url": "https://ehr.example/colour", "valueCode": "blue"}],
    )

    assert payer.submit(documented(claim=unspoken)).action == "A1"


@both
def test_a_a_modifier_extension_that_nobody_knows_is_refused_with_its_place(payer: Payer) -> None:
    negated = a.item(modifierExtension=[{"url": "https://ehr.example/not", "valueBoolean": True}])
    status, outcome = payer.refused("$submit", documented(claim=a.claim(negated)))

    assert status == 400
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].resource.item[0].modifierExtension"]


@both
@pytest.mark.parametrize("whose", ["card", "order"])
def test_a_a_card_or_order_of_somebody_else_is_a_business_error_and_no_refusal(
    payer: Payer, whose: str
) -> None:
    bob, of_bob = a.anna(id="bob", identifier=[a.member("M-BOB")]), {"reference": "Patient/bob"}
    bobs = {"card": a.coverage(beneficiary=of_bob), "order": a.order(subject=of_bob)}
    sent = {"card": "coverage", "order": "order"}[whose]
    answer = payer.submit(a.request(bob, **{sent: bobs[whose]}))
    (error,) = answer.response["error"]

    assert answer.response["outcome"] == "error"
    assert "item" not in answer.response
    assert error["code"]["coding"][0]["code"] == "64"
    assert {extension["url"] for extension in error["extension"]} >= {
        extension_url(name) for name in ("errorElement", "errorPath", "errorFollowupAction")
    }


@both
def test_a_what_is_asked_by_the_guides_order_is_judged_by_the_claim(payer: Payer) -> None:
    """The order says knee, the Claim says shoulder: what is authorized is what is billed."""
    knee = a.order(code=concept(a.CPT, "73721"))
    answer = payer.submit(documented(order=knee))
    why = payer.http.get(f"/why/{answer.number}").json()

    assert why["line"]["code"] == "73221"


# ---- B. Response


@both
def test_b_the_bundle_has_time_identifier_and_the_response_in_front_and_no_claim(payer: Payer) -> None:
    answer = payer.submit(documented())
    kinds = [entry["resource"]["resourceType"] for entry in answer.bundle["entry"]]

    assert answer.bundle["timestamp"]
    assert answer.bundle["identifier"]["value"]
    assert kinds[0] == "ClaimResponse"
    assert "Claim" not in kinds
    assert answer.response["request"] == {"reference": f"{a.HOST}/Claim/pa-1"}


@both
def test_b_the_response_says_what_it_answers_and_for_whom(payer: Payer) -> None:
    response = payer.submit(documented()).response

    assert (response["status"], response["use"]) == ("active", "preauthorization")
    assert response["type"] == a.claim()["type"]
    assert a.claim()["identifier"][0] in response["identifier"]
    assert response["patient"]["reference"] == f"{a.HOST}/Patient/anna"
    assert response["insurer"]["reference"] == f"{a.HOST}/Organization/payer"
    assert response["requestor"]["reference"] == f"{a.HOST}/Organization/clinic"


@both
def test_b_every_reference_of_the_answer_leads_to_an_entry_of_it(payer: Payer) -> None:
    answer = payer.submit(a.request())
    names = {entry["fullUrl"] for entry in answer.bundle["entry"]}
    asked = [one["reference"] for one in answer.response["communicationRequest"]]

    assert asked
    assert {
        *asked,
        *(answer.response[name]["reference"] for name in ("patient", "insurer", "requestor")),
    } <= names


# ---- C. Updates


@both
def test_c_an_update_may_bring_the_claim_before_along(payer: Payer) -> None:
    """2.2.1 wants it in the Bundle; 2.0.1 has no place for it and does not mind."""
    payer.submit(documented())
    relation = a.claim()["identifier"][0]
    prior = [{"claim": {"reference": "Claim/pa-1"}, "relationship": concept("urn:x", "prior")}]
    changed = update(
        a.item(1), marked(FILM, "added"), related=prior, identifier=[{**relation, "value": "PA-2"}]
    )
    changed["entry"].insert(1, {"fullUrl": f"{a.HOST}/Claim/pa-1", "resource": a.claim()})

    assert payer.submit(changed).actions == ["A1", "A1"]


@older
def test_c_marks_alone_make_an_update_where_nothing_names_the_claim_before(payer: Payer) -> None:
    first = payer.submit(documented())
    again = payer.submit(documented(claim=a.claim(a.item(1), marked(FILM, "added"))))

    assert again.actions == ["A1", "A1"]
    assert again.number == first.number
    assert [found.actions for found in payer.inquire(a.inquiry())] == [["A1", "A1"]]


@both
def test_c_an_item_marked_as_not_cancelled_is_not_cancelled(payer: Payer) -> None:
    first = payer.submit(documented())
    kept = a.item(1, modifierExtension=[{"url": INFO_CANCELLED, "valueBoolean": False}])

    assert payer.submit(update(kept)).number == first.number


@both
def test_c_a_pended_line_can_be_cancelled_and_leaves_nothing_waiting(payer: Payer) -> None:
    waiting = charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()
    payer.submit(a.request(*waiting, coverage=a.coverage("reviewed")))
    gone = payer.submit(update(cancelled(a.item(1)), chart=list(waiting)))

    assert gone.action == "C"
    assert payer.http.get("/review").json()["items"] == []


@both
def test_c_everything_is_cancelled_by_the_claims_status_too(payer: Payer) -> None:
    payer.submit(documented())

    assert payer.submit(documented(claim=a.claim(status="cancelled"))).action == "C"


@both
def test_c_the_answer_to_a_cancellation_is_active_all_the_same(payer: Payer) -> None:
    """The profile fixes the status; that it is cancelled stands in the items."""
    payer.submit(documented())
    gone = payer.submit(update(a.item(1), extension=[a.certified("3")]))

    assert gone.action == "C"
    assert gone.response["status"] == "active"


@both
def test_c_the_window_of_a_repeat_ends_though_the_bytes_are_the_same(payer: Payer) -> None:
    """The same request later is another request; a study that is authorized keeps its number."""
    services, body = payer.app.state.services, a.raw(documented())
    first = payer.submit(body)
    submit = Submit(
        VERSIONS[payer.version],
        payer.base,
        services.store,
        services.adjudicator,
        assign_of(services),
        partial(settle, services),
    )
    now = services.clock()
    within, after = (
        Answer(submit.answer(body, "", now + dt.timedelta(minutes=minutes))) for minutes in (4, 6)
    )

    assert within.response["id"] == first.response["id"] != after.response["id"]
    assert within.number == first.number == after.number


# ---- D. Pends


@newer
def test_d_the_pend_number_stands_on_the_item_and_names_the_task(payer: Payer) -> None:
    pended = payer.submit(a.request())
    (item,), (task,) = pended.items, pended.of_type("Task")
    (number,) = [
        one["valueString"]
        for one in item["extension"]
        if one["url"] == extension_url("administrationReferenceNumber")
    ]

    assert [identifier["value"] for identifier in task["identifier"]] == [number]


@both
def test_d_the_task_says_where_the_answer_goes_and_until_when(payer: Payer) -> None:
    (task,) = payer.submit(a.request()).of_type("Task")
    (address,) = [one["valueUrl"] for one in task["input"] if one["type"]["coding"][0]["code"] == "payer-url"]

    assert address == f"http://payer.test{payer.base}/$submit-attachment"
    assert task["restriction"]["period"]["end"].startswith("2026-12-02")
    assert task["reasonReference"] == {"reference": f"{a.HOST}/Claim/pa-1"}


# ---- E. Claim/$inquire


@both
@pytest.mark.parametrize("missing", ["insurer", "provider", "patient"])
def test_e_an_inquiry_names_payer_asker_and_patient(payer: Payer, missing: str) -> None:
    asked = a.inquiry()
    del asked["entry"][0]["resource"][missing]
    status, outcome = payer.refused("$inquire", asked)

    assert status == 400
    assert outcome["issue"][0]["expression"] == [f"Bundle.entry[0].resource.{missing}"]


@both
def test_e_what_was_cancelled_is_told_with_the_rest(payer: Payer) -> None:
    payer.submit(documented(claim=a.claim(a.item(1), FILM)))
    payer.submit(update(a.item(1), cancelled(FILM)))

    assert [found.actions for found in payer.inquire(a.inquiry())] == [["A1", "C"]]


@both
def test_e_the_envelope_and_the_profiles_are_those_of_an_inquiry(payer: Payer) -> None:
    payer.submit(a.request())
    body = payer.post("$inquire", a.inquiry()).json()
    bundle = body if payer.version == "2.0" else body["parameter"][0]["resource"]

    assert body["resourceType"] == {"2.0": "Bundle", "2.2": "Parameters"}[payer.version]
    if payer.version == "2.2":
        assert [part["name"] for part in body["parameter"]] == ["return"]
    assert bundle["meta"]["profile"][0].endswith("profile-pas-inquiry-response-bundle")
    assert bundle["entry"][0]["resource"]["meta"]["profile"][0].endswith("profile-claiminquiryresponse")
    assert "communicationRequest" not in bundle["entry"][0]["resource"]


# ---- F. Capability


@both
def test_f_the_capability_statement_names_operations_topic_and_guide(payer: Payer) -> None:
    said = payer.read(f"{payer.base}/metadata")
    resources = {one["type"]: one for one in said["rest"][0]["resource"]}
    guide = "http://hl7.org/fhir/us/davinci-pas"

    assert said["fhirVersion"] == "4.0.1"
    assert f"{guide}/CapabilityStatement/IntermediaryCapabilities" in said["instantiates"]
    assert any(url.endswith("/backport-subscription-server-r4") for url in said["instantiates"])
    assert {one["name"]: one["definition"] for one in resources["Claim"]["operation"]} == {
        "submit": f"{guide}/OperationDefinition/Claim-submit",
        "inquire": f"{guide}/OperationDefinition/Claim-inquiry",
    }
    assert {"create", "update", "delete"} <= {one["code"] for one in resources["Subscription"]["interaction"]}
    assert resources["Claim"]["supportedProfile"][0] == f"{guide}/StructureDefinition/profile-claim"
    held = {"2.0": "/backport-subscription", "2.2": "/davinci-pas/StructureDefinition/profile-subscription"}
    assert resources["Subscription"]["supportedProfile"][0].endswith(held[payer.version])
    topic = resources["Subscription"]["extension"][0]
    assert topic["url"].endswith("capabilitystatement-subscriptiontopic-canonical")
    assert (
        f"{guide}/ImplementationGuide/hl7.fhir.us.davinci-pas|{GUIDE[payer.version][4:]}"
        in (said["implementationGuide"])
    )


@both
def test_f_every_operation_that_is_named_is_there(payer: Payer) -> None:
    (rest,) = payer.read(f"{payer.base}/metadata")["rest"]
    named = [("", one["name"]) for one in rest["operation"]]
    named += [
        (f"/{one['type']}", each["name"]) for one in rest["resource"] for each in one.get("operation", [])
    ]
    of_one = {"events"}
    asked = {f"{payer.base}{kind}/${name}" for kind, name in named if name not in of_one}
    missing = [
        each for each in asked if payer.http.post(each, json={}, headers=FHIR).status_code in (404, 405)
    ]

    assert len(asked) == 9
    assert missing == []


@both
def test_b_who_is_no_member_is_told_so_and_counted_so(payer: Payer, tmp_path: Path) -> None:
    with at_noon(tmp_path, membership="registry") as app:
        stranger = Payer(TestClient(app), app, payer.version)
        refused = stranger.granted()
        now = app.state.services.clock()
        (record,) = metric.records(app.state.services, now, now + dt.timedelta(days=1))

    assert error_code(refused) == "75"
    assert record["aaaCodes"] == [{"loopID": "2010C", "aaaCode": "75"}]


@newer
def test_a_each_item_says_what_kind_of_request_it_is(payer: Payer) -> None:
    kind = extension_url("certificationType")
    bare = a.item(extension=[each for each in a.item()["extension"] if each["url"] != kind])
    status, outcome = payer.refused("$submit", a.request(claim=a.claim(bare)))

    assert status == 400
    assert outcome["issue"][0]["expression"][0].endswith(f"item[0].extension('{kind}')")
