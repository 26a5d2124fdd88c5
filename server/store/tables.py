"""What the payer keeps, one class a table.

JSON columns hold FHIR or our own values as they are, digits kept. Keys named `*_key` are strings that the
policy builds (who the member is, which order it is): the store only compares them. Times are aware UTC
datetimes.

A change here needs a migration beside it (`make migration MESSAGE="…"`); a test compares the two.
"""

from datetime import UTC, date, datetime
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy import Dialect, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.types import TypeDecorator

from server.fhir import json

JsonObject = dict[str, Any]


def new_id() -> str:
    """Unguessable, since it opens what it names to whoever quotes it."""
    return str(uuid4())


class Json(TypeDecorator[Any]):
    """A JSON value as text; decimals come back as they went in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.decode_kept(value)


class Instant(TypeDecorator[datetime]):
    """A moment. SQLite forgets the zone, so everything goes in as UTC and comes out as UTC."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a zone cannot be stored")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(MappedAsDataclass, DeclarativeBase, kw_only=True, repr=False, eq=False):
    """Constructors take every column by name. No `repr`: a row in a log would be a patient in a log."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant,
        JsonObject: Json,
        list[Any]: Json,
        bytes: LargeBinary,
        str: String,
    }


class Assertion(Table):
    """What CRD told a client about one order, under its coverage-assertion-id; `chart` is what of the
    patient's record stood between the order and its approval, or spared it authorization."""

    __tablename__ = "assertion"

    id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    hook: Mapped[str]
    client: Mapped[str]
    member_key: Mapped[str]
    order_key: Mapped[str]
    order: Mapped[JsonObject]
    coverage: Mapped[JsonObject]
    determination: Mapped[JsonObject]
    questionnaires: Mapped[list[Any]]
    what_if: Mapped[bool]
    created: Mapped[datetime]
    chart: Mapped[list[Any]] = mapped_column(default_factory=list, server_default="[]")


class Authorization(Table):
    """A prior authorization that was granted: `number` is what the provider quotes, `span` the days it is
    good for, `place` where the service must be done (CMS code; empty: anywhere)."""

    __tablename__ = "authorization"
    __table_args__ = (Index("authorization_order", "member_key", "order_key"),)

    number: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    client: Mapped[str]
    member_key: Mapped[str]
    order_key: Mapped[str]
    cpt: Mapped[str]
    side: Mapped[str]
    status: Mapped[str]
    span_start: Mapped[date]
    span_end: Mapped[date]
    units: Mapped[int]
    used: Mapped[int]
    door: Mapped[str]
    order: Mapped[JsonObject]
    determination: Mapped[JsonObject]
    created: Mapped[datetime]
    assertion_id: Mapped[str | None] = mapped_column(ForeignKey("assertion.id"), default=None)
    case_id: Mapped[str | None] = mapped_column(ForeignKey("pa_case.id"), default=None)
    place: Mapped[str] = mapped_column(default="", server_default="")


class PaCase(Table):
    """One prior-authorization request as it came (`request`, the raw bytes) and what it was last answered.

    A request that changes an earlier one is a case of its own in the same chain; the earlier one then names
    it in `replaced_by`. The case that nobody replaced is the one that holds.
    """

    __tablename__ = "pa_case"

    id: Mapped[str] = mapped_column(primary_key=True)
    chain_id: Mapped[str] = mapped_column(index=True)
    version: Mapped[str]
    client: Mapped[str]
    member_key: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    request: Mapped[bytes]
    rejections: Mapped[list[Any]]
    response: Mapped[JsonObject]
    created: Mapped[datetime]
    updated: Mapped[datetime]
    replaced_by: Mapped[str | None] = mapped_column(default=None)


class PaIdentifier(Table):
    """A name by which a client may ask for a case again: a Claim.identifier or an item trace number."""

    __tablename__ = "pa_identifier"
    __table_args__ = (Index("pa_identifier_value", "value", "system"),)

    case_id: Mapped[str] = mapped_column(ForeignKey("pa_case.id"), primary_key=True)
    system: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]


_OPEN = text("decided IS NULL")
"""The few lines that the clock looks for again and again."""


class PaItem(Table):
    """One line of a case, what was decided about it, and its decision clock: received, by when it is due,
    when it was decided. `orderer` is the NPI of who ordered, "" where it was not sent."""

    __tablename__ = "pa_item"
    __table_args__ = (
        Index("pa_item_orderer", "orderer", "decided"),
        Index("pa_item_open", "due", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    case_id: Mapped[str] = mapped_column(ForeignKey("pa_case.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    order_key: Mapped[str]
    cpt: Mapped[str]
    side: Mapped[str]
    outcome: Mapped[str]
    requested: Mapped[JsonObject]
    verdict: Mapped[JsonObject]
    order: Mapped[JsonObject]
    determination: Mapped[JsonObject]
    expedited: Mapped[bool]
    received: Mapped[datetime]
    due: Mapped[datetime]
    decided: Mapped[datetime | None] = mapped_column(default=None)
    orderer: Mapped[str] = mapped_column(default="", server_default="")
    authorization_number: Mapped[str | None] = mapped_column(ForeignKey("authorization.number"), default=None)


class PaEvent(Table):
    """Something that happened to a line of a case: who did what when. Append only; the figures for regulators
    and the audit are read from it."""

    __tablename__ = "pa_event"
    __table_args__ = (Index("pa_event_kind", "kind", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    case_id: Mapped[str] = mapped_column(ForeignKey("pa_case.id"), index=True)
    sequence: Mapped[int]
    kind: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[JsonObject]


class PaRepeat(Table):
    """The bytes that a client sent and the case that answered them: sent again, they get that answer."""

    __tablename__ = "pa_repeat"

    client: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str]
    answered: Mapped[datetime]


class WorkItem(Table):
    """A line that waits for a person, with what the rules recommend and by when it is due."""

    __tablename__ = "work_item"
    __table_args__ = (
        UniqueConstraint("case_id", "sequence", name="work_item_line"),
        Index("work_item_queue", "status", "due"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("pa_case.id"))
    sequence: Mapped[int]
    recommendation: Mapped[str]
    reason: Mapped[str]
    due: Mapped[datetime]
    status: Mapped[str]
    created: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=1)
    verdict: Mapped[JsonObject | None] = mapped_column(default=None)
    decided: Mapped[datetime | None] = mapped_column(default=None)


class Subscription(Table):
    """A client's wish to be told of results. `resource` is the Subscription as we answer it, without its
    status; `events` counts what it was told of. While `leased` lies ahead, one process delivers."""

    __tablename__ = "subscription"

    id: Mapped[str] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(index=True)
    version: Mapped[str]
    status: Mapped[str]
    resource: Mapped[JsonObject]
    created: Mapped[datetime]
    events: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    fault: Mapped[str] = mapped_column(default="")
    told: Mapped[datetime | None] = mapped_column(default=None)
    leased: Mapped[datetime | None] = mapped_column(default=None)


class SubscriptionFilter(Table):
    """One organization of a subscription, to find who is to be told without reading them all."""

    __tablename__ = "subscription_filter"
    __table_args__ = (Index("subscription_filter_organization", "organization", "client"),)

    subscription_id: Mapped[str] = mapped_column(ForeignKey("subscription.id"), primary_key=True)
    organization: Mapped[str] = mapped_column(primary_key=True)
    client: Mapped[str]


class Notice(Table):
    """Something a subscriber is owed: a handshake, an event, a heartbeat; `number` counts the events of one
    subscription, `focus` is the case an event is about."""

    __tablename__ = "notice"
    __table_args__ = (Index("notice_owed", "subscription_id", "delivered", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    subscription_id: Mapped[str] = mapped_column(ForeignKey("subscription.id"))
    kind: Mapped[str]
    number: Mapped[int]
    focus: Mapped[str]
    at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    delivered: Mapped[datetime | None] = mapped_column(default=None)


class Exchange(Table):
    """Every call of a door and its answer, kept for disputes and counted for the metrics the guides ask
    for."""

    __tablename__ = "exchange"
    __table_args__ = (Index("exchange_calls", "door", "started"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str]
    client: Mapped[str]
    door: Mapped[str]
    version: Mapped[str]
    operation: Mapped[str]
    instance: Mapped[str]
    status: Mapped[int]
    started: Mapped[datetime]
    milliseconds: Mapped[float]
    summary: Mapped[JsonObject]
    request: Mapped[bytes]
    response: Mapped[bytes]


class PayerRecord(Table):
    """A resource of the payer's own: member, claim of old, authorization of old, network location, gold
    cards. `orderer` is the NPI of who asked for what a ruling of old is about, `miles` how far a network
    location is that is open, `beneficiary` the id of the Patient whose a Coverage is, or what its
    Bundle called that one."""

    __tablename__ = "payer_record"
    __table_args__ = (
        UniqueConstraint("kind", "resource_id", name="payer_record_resource"),
        Index("payer_record_member", "member_key", "kind"),
        Index("payer_record_orderer", "orderer", "kind"),
        Index("payer_record_miles", "miles"),
        Index("payer_record_beneficiary", "beneficiary"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    kind: Mapped[str]
    resource_id: Mapped[str]
    member_key: Mapped[str | None]
    resource: Mapped[JsonObject]
    loaded: Mapped[datetime]
    orderer: Mapped[str] = mapped_column(default="", server_default="")
    miles: Mapped[float | None] = mapped_column(default=None)
    beneficiary: Mapped[str | None] = mapped_column(default=None)


class GoldCard(Table):
    """A clinician whom a list among the payer's records names, by NPI; `member` is how it does (its
    `Group.member`)."""

    __tablename__ = "gold_card"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    record_id: Mapped[int] = mapped_column(ForeignKey("payer_record.id"), index=True)
    npi: Mapped[str] = mapped_column(index=True)
    member: Mapped[JsonObject]


class Card(Table):
    """A card that was shown, so that feedback about it can be understood."""

    __tablename__ = "card"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    service: Mapped[str]
    client: Mapped[str]
    kind: Mapped[str]
    suggestions: Mapped[list[Any]]
    created: Mapped[datetime]
    assertion_id: Mapped[str | None] = mapped_column(ForeignKey("assertion.id"), default=None)


class Feedback(Table):
    """What became of a card, as the client reported it; a card may be reported on more than once."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    card_uuid: Mapped[str] = mapped_column(ForeignKey("card.uuid"), index=True)
    outcome: Mapped[str]
    content: Mapped[JsonObject]
    received: Mapped[datetime]


class QuestionnaireError(Table):
    """A fault that a DTR client met while it ran one of our questionnaires."""

    __tablename__ = "questionnaire_error"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    version: Mapped[str]
    client: Mapped[str]
    questionnaire: Mapped[str]
    content: Mapped[JsonObject]
    received: Mapped[datetime]


class AccessToken(Table):
    """A token that was issued to a client; of the token itself only its digest is kept."""

    __tablename__ = "access_token"

    digest: Mapped[str] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(index=True)
    scopes: Mapped[str]
    issued: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)


class UsedAssertion(Table):
    """A client assertion that was used, by the digest of issuer and `jti`, until it has expired anyway."""

    __tablename__ = "used_assertion"

    digest: Mapped[str] = mapped_column(primary_key=True)
    expires: Mapped[datetime] = mapped_column(index=True)
