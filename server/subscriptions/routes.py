"""Subscriptions over HTTP: create, read, search, update, delete, `$status`, `$events`.

A subscription belongs to the client that made it; to everybody else it is not there. The handshake follows
the answer, never the other way round: it is owed from the same transaction that stores the subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from server.fhir import json
from server.fhir.capability import Contribution
from server.fhir.errors import Forbidden, InvalidRequest, Issue, NotFound, Unprocessable
from server.fhir.parameters import DIGITS, Asked, Posted, number, taking
from server.fhir.requests import FhirBody, wants_json
from server.fhir.responses import FhirResponse
from server.fhir.search import honoured, is_one_of, page_of, searchset
from server.security.caller import calling
from server.security.outbound import Outbound
from server.services import Services, Version
from server.store import Transaction, subscriptions
from server.store import tables as stored
from server.subscriptions import topic
from server.subscriptions.delivery import FocusOf, standing_of
from server.subscriptions.notification import Event, notification, status_bundle
from server.subscriptions.resource import BACKPORT, FILTER, PROFILES, TOPIC, Wish, wish

Resource = dict[str, Any]

OPERATIONS = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition"
STATEMENT = (
    "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/backport-subscription-server-r4"
)

SINCE, UNTIL = "eventsSinceNumber", "eventsUntilNumber"

SEARCHED = {"_id": "token", "url": "uri", "status": "token"}
STATUS = "http://hl7.org/fhir/subscription-status"

Texts = Annotated[list[str] | None, Query()]

MOST = 1000
"""Events in one answer. Each is told as it stands now, which takes milliseconds."""

MOST_SUBSCRIPTIONS = 500
"""Of a client to the results of one organization, since all are told in the transaction of the decision."""

HANDSHAKE = 1.0
"""Seconds between the answer and the handshake: a client must know the id that it is greeted under."""


def capability(version: Version) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    return Contribution(
        resources=[
            {
                "extension": [
                    {
                        "url": f"{BACKPORT}/capabilitystatement-subscriptiontopic-canonical",
                        "valueCanonical": TOPIC,
                    }
                ],
                "type": "Subscription",
                "versioning": "no-version",
                "supportedProfile": list(PROFILES[version]),
                "interaction": [
                    {"code": code} for code in ("create", "update", "delete", "read", "search-type")
                ],
                "searchParam": [{"name": name, "type": type_} for name, type_ in SEARCHED.items()],
                "operation": [
                    {"name": name, "definition": f"{OPERATIONS}/backport-subscription-{name}"}
                    for name in ("status", "events")
                ],
            }
        ],
        instantiates=[STATEMENT],
    )


def router(services: Services, version: Version) -> APIRouter:
    """The subscriptions of one guide version, below its FHIR base."""
    base, outbound = services.fhir_base(version), Outbound.of(services.settings)
    routes = APIRouter(
        prefix="/Subscription", tags=[f"Subscriptions {version}"], dependencies=[Depends(wants_json)]
    )

    @routes.post("", summary="Subscribe to results", status_code=201, response_class=FhirResponse)
    def create(body: FhirBody) -> FhirResponse:
        """201 with status `requested`, the handshake follows; or with status `off`, and nothing does."""
        wished = _only_own(wish(json.decode_object(body), version, outbound, services.clock()))
        row = stored.Subscription(
            id=stored.new_id(),
            client=calling().client,
            version=version,
            status="off" if wished.off else "requested",
            resource={},
            created=services.clock(),
        )
        row.resource = {**wished.resource, "id": row.id}
        with services.store.transaction() as tx:
            _refuse_one_too_many(tx, wished, row.id)
            subscriptions.keep(tx, row, wished.organizations)
            if not wished.off:
                _begin(tx, row)
        return FhirResponse(
            rendered(row), status_code=201, headers={"Location": f"{base}/Subscription/{row.id}"}
        )

    @routes.put("/{subscription_id}", summary="Change a subscription", response_class=FhirResponse)
    def update(subscription_id: str, body: FhirBody) -> FhirResponse:
        """Begins anew with a handshake, then what was owed before; or with status `off` stops."""
        wished = _only_own(wish(json.decode_object(body), version, outbound, services.clock()))
        if wished.resource.get("id") != subscription_id:
            place = "Subscription.id"
            raise InvalidRequest(Issue("value", place, "The id must be that of the address."))
        with services.store.transaction() as tx:
            row = _own(tx, subscription_id, changing=True)
            _refuse_one_too_many(tx, wished, row.id)
            row.resource, row.version = wished.resource, version
            row.status, row.failures, row.fault = "off" if wished.off else "requested", 0, ""
            row.leased = None  # a changed address is tried at once, however long the old one was to wait
            subscriptions.keep(tx, row, wished.organizations)
            subscriptions.supersede(tx, row)
            if not wished.off:
                _begin(tx, row)
        return FhirResponse(rendered(row))

    @routes.delete("/{subscription_id}", summary="Unsubscribe", status_code=204)
    def delete(subscription_id: str) -> Response:
        """204 too where there is none of the caller's (FHIR, delete): it may be asked for again."""
        with services.store.transaction() as tx:
            row = subscriptions.hold(tx, subscription_id)
            if row is not None and row.client == calling().client:
                subscriptions.remove(tx, row)
        return Response(status_code=204)

    @routes.get(
        "",
        summary="The caller's subscriptions",
        response_class=FhirResponse,
        openapi_extra=taking(*SEARCHED, "_count"),
    )
    def search(request: Request) -> FhirResponse:
        used = honoured(request, "Subscription", SEARCHED)
        with services.store.reading() as tx:
            rows = subscriptions.of_client(tx, calling().client)
        found = [rendered(row) for row in rows if all(_matches(row, *parameter) for parameter in used)]
        return FhirResponse(searchset(base, "Subscription", used, found, page_of(request)))

    @routes.get("/$status", summary="How the caller's subscriptions stand", response_class=FhirResponse)
    def statuses(ids: Annotated[Texts, Query(alias="id")] = None, status: Texts = None) -> FhirResponse:
        return _some([*(("id", text) for text in ids or ()), *(("status", text) for text in status or ())])

    @routes.post("/$status", include_in_schema=False)
    def statuses_asked(asked: Posted) -> FhirResponse:
        return _some(asked)

    @routes.get("/{subscription_id}", summary="Read a subscription", response_class=FhirResponse)
    def read(subscription_id: str) -> FhirResponse:
        with services.store.reading() as tx:
            return FhirResponse(rendered(_own(tx, subscription_id)))

    @routes.get("/{subscription_id}/$status", summary="How it stands", response_class=FhirResponse)
    @routes.post("/{subscription_id}/$status", include_in_schema=False)
    def status_of(subscription_id: str) -> FhirResponse:
        with services.store.reading() as tx:
            return _stand([_own(tx, subscription_id)], f"{subscription_id}/$status")

    @routes.get("/{subscription_id}/$events", summary="What it was told of", response_class=FhirResponse)
    def events(
        request: Request,
        subscription_id: str,
        since: Annotated[int, Query(alias=SINCE, ge=0, lt=10**DIGITS)] = 1,
        until: Annotated[int | None, Query(alias=UNTIL, ge=0, lt=10**DIGITS)] = None,
    ) -> FhirResponse:
        """Events again, whether or not they arrived, a thousand at most: whoever wants more asks on from the
        number after the last."""
        return _events(request, subscription_id, since, until)

    @routes.post("/{subscription_id}/$events", include_in_schema=False)
    def events_asked(request: Request, subscription_id: str, asked: Posted) -> FhirResponse:
        since, until = (number(dict(asked), name) for name in (SINCE, UNTIL))
        return _events(request, subscription_id, 1 if since is None else since, until)

    def _events(request: Request, subscription_id: str, since: int, until: int | None) -> FhirResponse:
        focus_of: FocusOf = request.app.state.focus_of
        with services.store.reading() as tx:
            row = _own(tx, subscription_id)
            notices = subscriptions.events(tx, row.id, since, until, MOST)
        told = [Event(each.number, each.at, focus_of(each.focus, row.version)) for each in notices]
        standing = standing_of(row, services.fhir_base)
        return FhirResponse(notification(standing, "query-event", told, services.clock()))

    def _some(asked: Asked) -> FhirResponse:
        """The caller's subscriptions, those of any of these ids and statuses where some are named."""
        used = [(name, text) for name, text in asked if name in ("id", "status")]
        ids, statuses = ([text for name, text in used if name == wanted] for wanted in ("id", "status"))
        with services.store.reading() as tx:
            rows = subscriptions.of_client(tx, calling().client)
        found = [row for row in rows if _named(row.id, ids) and _named(row.status, statuses)]
        query = urlencode(used)
        return _stand(found, f"$status{query and '?'}{query}")

    def _refuse_one_too_many(tx: Transaction, wished: Wish, own: str) -> None:
        most = subscriptions.most_of_one(tx, calling().client, wished.organizations, own)
        if not wished.off and most >= MOST_SUBSCRIPTIONS:
            place = f"Subscription.criteria.extension('{FILTER}')"
            words = f"There are {MOST_SUBSCRIPTIONS} to these results already. End those that nobody needs."
            raise Unprocessable(Issue("too-costly", place, words))

    def _begin(tx: Transaction, row: stored.Subscription) -> None:
        subscriptions.owe(tx, row, "handshake", services.clock())
        topic.wake_later(tx, services.work, row.id, delay=HANDSHAKE)

    def _own(tx: Transaction, subscription_id: str, changing: bool = False) -> stored.Subscription:
        row = (
            subscriptions.hold(tx, subscription_id) if changing else subscriptions.by_id(tx, subscription_id)
        )
        if row is None or row.client != calling().client:
            raise NotFound("There is no Subscription with this id, or it is another client's.")
        return row

    def _stand(rows: Sequence[stored.Subscription], address: str) -> FhirResponse:
        standings = [standing_of(row, services.fhir_base) for row in rows]
        return FhirResponse(status_bundle(standings, f"{base}/Subscription/{address}", services.clock()))

    return routes


def _named(text: str, wanted: Texts) -> bool:
    """Whether it is among what is wanted, in one parameter or several; everything is where none is named."""
    return not wanted or any(text in each.split(",") for each in wanted)


def _matches(row: stored.Subscription, name: str, text: str) -> bool:
    if name == "url":
        return is_one_of(row.resource["channel"]["endpoint"], text)
    return is_one_of(row.id if name == "_id" else row.status, text, "" if name == "_id" else STATUS)


def rendered(row: stored.Subscription) -> Resource:
    """The Subscription as sent, with its id and where it stands; an error in it is what we said before."""
    sent = {name: content for name, content in row.resource.items() if name not in ("error", "_error")}
    error = {"error": row.fault} if row.fault else {}
    return {**sent, "id": row.id, "status": row.status, **error}


def _only_own(wished: Wish) -> Wish:
    """Raises Forbidden where it filters by an organization that the caller does not speak for, or wants to be
    told where the caller is not registered to be."""
    if not all(calling().speaks_for(organization) for organization in wished.organizations):
        place = f"Subscription.criteria.extension('{FILTER}')"
        words = "Subscribe for your own organizations only; they are in your registration."
        raise Forbidden(Issue("forbidden", place, words))
    if not calling().reached_at(str(wished.resource["channel"]["endpoint"])):
        words = "Notifications go to registered endpoints only. Have this one registered."
        raise Forbidden(Issue("forbidden", "Subscription.channel.endpoint", words))
    return wished
