"""DTRMetricData of the exchanges this payer kept: `davinci-payer report metrics --guide dtr`.

One record a session: it begins with `$questionnaire-package`, and the `$next-question` calls of the same
client in the same context belong to it. The logical model is the guides' own (DTR 2.0.1 and 2.2.0,
informative in both), filled in as far as a payer can see: what the user does in the app is the app's to
report.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from server.fhir.dates import instant
from server.fhir.elements import once
from server.fhir.systems import NPI, concept
from server.services import Services
from server.store import exchanges, questionnaire_errors
from server.store.tables import Exchange, QuestionnaireError

Record = dict[str, Any]
Session = list[Exchange]

ACTIONS = {"$questionnaire-package": "qpackage", "$next-question": "nextq"}
ISSUE_TYPE = "http://hl7.org/fhir/issue-type"
CLIENTS = "https://payer.example/client"
NO_ORDER = {"text": "No order was sent."}
MOST_REPORTS = 10_000


def records(services: Services, start: dt.datetime, end: dt.datetime) -> Iterator[Record]:
    with services.store.reading() as tx:
        calls = exchanges.between(tx, "dtr", start, end)
        reports = [
            report
            for report in questionnaire_errors.newest(tx, MOST_REPORTS)
            if start <= report.received < end
        ]
        payer = services.catalog.payer["identifier"][0]
        told = sessions(calls)
        about = reported(told, reports)
        for place, session in enumerate(told):
            yield dtr_metric_data(session, about[place], payer)


def sessions(calls: Iterable[Exchange]) -> list[Session]:
    """The calls, oldest first, by session."""
    found: list[Session] = []
    current: dict[tuple[str, str, str], Session] = {}
    for call in calls:
        key = (call.version, call.client, call.instance)
        if ACTIONS[call.operation] == "qpackage" or key not in current:
            current[key] = []
            found.append(current[key])
        current[key].append(call)
    return found


def reported(
    told: Sequence[Session], reports: Iterable[QuestionnaireError]
) -> dict[int, list[QuestionnaireError]]:
    """The reports by session, each with the last one in which its client had been sent that form."""
    sent: dict[tuple[str, str, str], list[tuple[dt.datetime, int]]] = defaultdict(list)
    for place, session in enumerate(told):
        for canonical in _forms(session):
            for name in {canonical, canonical.partition("|")[0]}:
                sent[session[0].version, session[0].client, name].append((session[0].started, place))
    found: dict[int, list[QuestionnaireError]] = defaultdict(list)
    for report in reports:
        begun = sent[report.version, report.client, report.questionnaire]
        if last := bisect_right(begun, report.received, key=itemgetter(0)):
            found[begun[last - 1][1]].append(report)
    return found


def dtr_metric_data(session: Session, reports: Sequence[QuestionnaireError], payer: Record) -> Record:
    """DTRMetricData, DTR 2.0.1 and 2.2.0. 2.0.1 wants provider and group; where no practitioner was sent, the
    client stands for both."""
    told = [call.summary for call in session]
    client = {"system": CLIENTS, "value": session[0].client or "unregistered"}
    npi = next((each["provider"] for each in told if each.get("provider")), "")
    contexts = dict.fromkeys(each["context"] for each in told if each.get("context"))
    purposes = dict.fromkeys(purpose for each in told for purpose in each.get("purposes", []))
    launch = next((each["launch"] for each in told if each.get("launch")), "")
    orders = [order for each in told for order in each.get("orders", [])]
    forms = _forms(session)
    coverage = [each["coverage"] for each in told if each.get("coverage")]
    return {
        "source": "payer-src",
        "providerId": {"system": NPI, "value": npi} if npi else client,
        "groupId": client,
        "payerId": payer,
        **({"assertionId": list(contexts)} if contexts else {}),
        **({"docReason": list(purposes)} if purposes else {}),
        **({"launchMode": launch} if launch else {}),
        "orderItem": once(orders) or [NO_ORDER],
        "action": [action(call) for call in session],
        **({"questionnaire": [_form(each, session, reports) for each in forms.values()]} if forms else {}),
        **({"coverageInfo": coverage} if coverage else {}),
    }


def action(call: Exchange) -> Record:
    """DTRMetricData.action. A form under way is told by the canonical of the adaptive form it comes from."""
    forms = call.summary.get("questionnaires", [])
    issues = call.summary.get("issues", [])
    return {
        "actionDetail": ACTIONS[call.operation],
        "requestTime": instant(call.started),
        "responseTime": instant(_answered(call)),
        "httpResponse": call.status,
        **({"questionnaire": forms[0]} if forms else {}),
        **({"issue": [{"code": code} for code in issues]} if issues else {}),
    }


def _forms(session: Session) -> dict[str, Record]:
    """What was sent of each form, by its canonical, as it was sent first."""
    told = reversed([call.summary for call in session])
    return {form["reference"]: form for each in told for form in each.get("forms", [])}


def _form(form: Record, session: Session, reports: Sequence[QuestionnaireError]) -> Record:
    """DTRMetricData.questionnaire. The payer sees time pass only between its answers and the next call."""
    seconds = int((session[-1].started - _answered(session[0])).total_seconds())
    failures = [
        issue.get("code", "processing")
        for report in reports
        if report.questionnaire in (form["reference"], form["reference"].partition("|")[0])
        for issue in report.content.get("issue", [])
    ]
    return {
        **form,
        **({"failure": [concept(ISSUE_TYPE, code) for code in dict.fromkeys(failures)]} if failures else {}),
        "elapsedTime": str(dt.timedelta(seconds=max(0, min(seconds, 86_399)))).zfill(8),
    }


def _answered(call: Exchange) -> dt.datetime:
    return call.started + dt.timedelta(milliseconds=call.milliseconds)
