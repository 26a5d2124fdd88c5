"""Subscriptions as clients send them, one for each guide version."""

from typing import Any

Resource = dict[str, Any]

TOPIC = "http://hl7.org/fhir/us/davinci-pas/SubscriptionTopic/PASSubscriptionTopic"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
CLINIC = "1992999999"
NOBODY = "http://127.0.0.1:1031/inbox"
"""Where no one listens."""

FILTER = {"2.0": f"orgIdentifier={CLINIC}", "2.2": f"org-identifier={CLINIC}"}
CONTENT = {"2.0": "id-only", "2.2": "full-resource"}


def subscription(version: str, endpoint: str, **changes: Any) -> Resource:
    """The clinic wants to be told of its results; `channel` is merged, the rest replaced."""
    channel = changes.pop("channel", {})
    return {
        "resourceType": "Subscription",
        "meta": {"profile": [f"{BACKPORT}/backport-subscription"]},
        "status": "requested",
        "reason": "Results of prior authorizations",
        "criteria": TOPIC,
        "_criteria": filtered(FILTER[version]),
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": content(CONTENT[version]),
            "header": ["Authorization: Bearer of-the-clinic"],
            **channel,
        },
        **changes,
    }


def filtered(text: str) -> Resource:
    return {"extension": [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": text}]}


def content(code: str) -> Resource:
    return {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": code}]}


def heartbeat(seconds: int) -> Resource:
    return {"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": seconds}


def timeout(seconds: int) -> Resource:
    return {"url": f"{BACKPORT}/backport-timeout", "valueUnsignedInt": seconds}
