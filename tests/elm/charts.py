"""Charts drawn at random from the value sets the policies read: what a patient might have on file.

Nothing here knows what a policy makes of it; the same seed gives the same chart.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from server.elm.terminology import Terminology
from server.elm.values import Code

Json = dict[str, Any]
CQL = Path(__file__).parents[2] / "cql"
DAY_ZERO = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
BASE = "https://payer.example/ValueSet/"


def libraries() -> list[Json]:
    """The ELM of every policy library."""
    return [json.loads(path.read_text()) for path in sorted((CQL / "elm").glob("*.json"))]


def value_sets() -> list[Json]:
    """Every value set of the policies."""
    found = [json.loads(path.read_text()) for path in sorted((CQL / "valuesets").glob("*.json"))]
    return [each for each in found if each.get("resourceType") == "ValueSet"]


class Drawer:
    """Draws resources; `codes` finds the codes of a value set by the end of its url."""

    def __init__(self, seed: int, sets: Sequence[Mapping[str, Any]]) -> None:
        self.random = Random(seed)
        self._terminology = Terminology(sets)
        self._count = 0

    def codes(self, name: str) -> tuple[Code, ...]:
        return self._terminology.find(BASE + name).codes

    def concept(self, *names: str) -> Json:
        code = self.random.choice(self.codes(self.random.choice(names)))
        return {"coding": [{"system": code.system, "code": code.code}]}

    def day(self, most: int = 400) -> str:
        return (DAY_ZERO - dt.timedelta(days=self.random.randint(-5, most))).isoformat()

    def chart(self, size: int) -> list[Json]:
        """A patient and `size` resources more."""
        patient = {"resourceType": "Patient", "id": "anna", "birthDate": self.day(30_000)}
        kinds = [
            self.procedure,
            self.condition,
            self.observation,
            self.medication,
            self.report,
            self.encounter,
        ]
        return [patient, *(self.random.choice(kinds)() for _ in range(size))]

    def record(self, size: int) -> list[Json]:
        """What a clinic has on anybody: vital signs, laboratory, vaccines, other problems, drugs, visits."""
        kinds = [self._measured, self._measured, self._vaccine, self._problem, self._drug, self._visit]
        return [self.random.choice(kinds)() for _ in range(size)]

    def _measured(self) -> Json:
        code = self.random.choice(["8867-4", "85354-9", "29463-7", "8310-5", "2345-7", "718-7", "4548-4"])
        made = self._resource("Observation", "final") | self._coded("http://loinc.org", code)
        value = {"value": self.random.randint(40, 200), "unit": "1"}
        return made | {"effectiveDateTime": f"{self.day(700)}T10:00:00Z", "valueQuantity": value}

    def _vaccine(self) -> Json:
        made = self._resource("Immunization", "completed")
        made["patient"] = made.pop("subject")
        code = self._coded("http://hl7.org/fhir/sid/cvx", "140")["code"]
        return made | {"vaccineCode": code, "occurrenceDateTime": self.day(700)}

    def _problem(self) -> Json:
        code = self.random.choice(["I10", "E11.9", "E78.5", "J45.20", "K21.9"])
        made = self._resource("Condition") | self._coded("http://hl7.org/fhir/sid/icd-10-cm", code)
        return made | {"onsetDateTime": self.day(2_000), "recordedDate": self.day(700)}

    def _drug(self) -> Json:
        code = self.random.choice(["314076", "861007", "617311"])
        drug = self._coded("http://www.nlm.nih.gov/research/umls/rxnorm", code)["code"]
        made = self._resource("MedicationRequest", "active")
        return made | {"intent": "order", "authoredOn": self.day(700), "medicationCodeableConcept": drug}

    def _visit(self) -> Json:
        made = self.encounter()
        made["type"] = [self._coded("http://www.ama-assn.org/go/cpt", "99213")["code"]]
        return made | {"period": {"start": self.day(700)}}

    def _coded(self, system: str, code: str) -> Json:
        return {"code": {"coding": [{"system": system, "code": code}]}}

    def order(self) -> Json:
        order = self._resource("ServiceRequest", "active")
        order |= {
            "intent": "order",
            "authoredOn": DAY_ZERO.isoformat(),
            "code": self.concept("mri-upper-extremity-joint", "mri-spine"),
            "reasonCode": [self.concept("dx-shoulder", "dx-lumbar-spine")],
            "basedOn": [{"reference": "CarePlan/plan-1"}],
            "supportingInfo": [{"reference": "Observation/observation-1"}],
        }
        if self.random.random() < 0.8:
            order["bodySite"] = [{"coding": [{"system": "http://snomed.info/sct", "code": self._side()}]}]
        return order

    def procedure(self) -> Json:
        made = self._resource("Procedure", "completed", "in-progress", "not-done")
        made["code"] = self.concept("cc-procedure", "xr-shoulder", "xr-lumbar-spine", "mri-any")
        if self.random.random() < 0.5:
            made["performedDateTime"] = self.day(150)
        elif self.random.random() < 0.9:
            made["performedPeriod"] = self._period(150)
        if self.random.random() < 0.3:
            made["bodySite"] = [self.concept("site-any")]
        if self.random.random() < 0.3:
            made["reasonCode"] = [self.concept("dx-shoulder", "dx-lumbar-spine")]
        return made

    def condition(self) -> Json:
        made = self._resource("Condition")
        made["code"] = self.concept("dx-shoulder", "dx-lumbar-spine", "dx-excluded-shoulder")
        status = self.random.choice(["active", "resolved", "inactive"])
        system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        made["clinicalStatus"] = {"coding": [{"system": system, "code": status}]}
        if self.random.random() < 0.7:
            made["onsetDateTime"] = self.day()
        made["recordedDate"] = self.day()
        return made

    def observation(self) -> Json:
        made = self._resource("Observation", "final", "amended", "entered-in-error")
        made["code"] = self.concept("exam-shoulder", "provocative-shoulder", "score-pain", "exam-motor")
        made["effectiveDateTime"] = f"{self.day(120)}T{self.random.randint(0, 23):02}:15:00Z"
        match self.random.randrange(4):
            case 0:
                made["valueQuantity"] = {
                    "value": self.random.randint(0, 100),
                    "unit": "1",
                    "system": "http://unitsofmeasure.org",
                    "code": "1",
                }
            case 1:
                code = self.random.choice(["10828004", "260385009"])
                made["valueCodeableConcept"] = {
                    "coding": [{"system": "http://snomed.info/sct", "code": code}]
                }
            case 2:
                made["valueBoolean"] = self.random.random() < 0.5
        return made

    def medication(self) -> Json:
        made = self._resource("MedicationRequest", "active", "completed", "stopped")
        made |= {"intent": "order", "authoredOn": self.day(150)}
        made["medicationCodeableConcept"] = self.concept("rx-conservative")
        return made

    def report(self) -> Json:
        made = self._resource("DiagnosticReport", "final", "preliminary")
        made["code"] = self.concept(
            "xr-shoulder", "mri-upper-extremity-joint", "xr-lumbar-spine", "mri-spine"
        )
        made["effectiveDateTime"] = self.day(500)
        if self.random.random() < 0.6:
            made["conclusion"] = "No fracture."
        return made

    def encounter(self) -> Json:
        made = self._resource("Encounter", "finished", "planned")
        made["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        made["type"] = [self.concept("reevaluation-visit")]
        made["period"] = self._period(150)
        return made

    def _resource(self, kind: str, *statuses: str) -> Json:
        self._count += 1
        made: Json = {"resourceType": kind, "id": f"{kind.lower()}-{self._count}"}
        made["subject"] = {"reference": "Patient/anna"}
        if statuses:
            made["status"] = self.random.choice(statuses)
        return made

    def _period(self, most: int) -> Json:
        first, last = sorted([self.day(most), self.day(most)])
        return {"start": first, "end": last} if self.random.random() < 0.8 else {"start": first}

    def _side(self) -> str:
        return self.random.choice(["24028007", "7771000", "51440002"])
