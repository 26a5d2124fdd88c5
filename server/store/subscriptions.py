"""Subscriptions, and the notices their subscribers are owed, in order."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Text, bindparam, cast, delete, exists, func, or_, select, update

from server.store import Transaction
from server.store.tables import Notice, Subscription, SubscriptionFilter

Status = Literal["requested", "active", "error", "off"]
Kind = Literal["handshake", "event-notification", "heartbeat"]

LONGEST = timedelta(minutes=10)
"""More than a lease lasts: one that ends later was taken before the clock was set back, and holds nobody."""

_CONCERNED = (
    select(Subscription)
    .join(SubscriptionFilter, SubscriptionFilter.subscription_id == Subscription.id)
    .where(
        SubscriptionFilter.client == bindparam("client"),
        SubscriptionFilter.organization.in_(bindparam("organizations", expanding=True)),
        Subscription.status != "off",
    )
    .distinct()
    .order_by(Subscription.id)
)


def keep(tx: Transaction, subscription: Subscription, organizations: Iterable[str]) -> None:
    """A new subscription, or a changed one, with the organizations it filters by."""
    tx.add(subscription)
    tx.flush()
    tx.execute(delete(SubscriptionFilter).where(SubscriptionFilter.subscription_id == subscription.id))
    tx.add_all(
        SubscriptionFilter(
            subscription_id=subscription.id, organization=organization, client=subscription.client
        )
        for organization in sorted(set(organizations))
    )
    tx.flush()


def by_id(tx: Transaction, subscription_id: str) -> Subscription | None:
    return tx.get(Subscription, subscription_id)


def hold(tx: Transaction, subscription_id: str) -> Subscription | None:
    """The subscription as it is now, for this transaction alone until it ends."""
    return tx.get(Subscription, subscription_id, with_for_update=True, populate_existing=True)


def of_client(tx: Transaction, client: str) -> Sequence[Subscription]:
    asked = select(Subscription).where(Subscription.client == client)
    return tx.scalars(asked.order_by(Subscription.created, Subscription.id)).all()


def speaking_of(tx: Transaction, *words: str) -> Sequence[Subscription]:
    """The subscriptions that are not off and have one of these words somewhere: few, where thousands have
    neither. Whoever asks looks what they say."""
    text = cast(Subscription.resource, Text)
    said = or_(*(text.contains(word, autoescape=True) for word in words))
    return tx.scalars(select(Subscription).where(Subscription.status != "off", said)).all()


def concerned(tx: Transaction, client: str, organizations: Iterable[str]) -> Sequence[Subscription]:
    """Those of the client that filter by one of these organizations and are not off; always in the same
    order, so that two decisions at once never wait for each other."""
    return tx.scalars(_CONCERNED, {"client": client, "organizations": list(organizations)}).all()


def most_of_one(tx: Transaction, client: str, organizations: Iterable[str], but: str) -> int:
    """How many of the client, one left out, filter by that of these organizations which most do."""
    many = func.count()
    asked = (
        select(many)
        .select_from(SubscriptionFilter)
        .join(Subscription, Subscription.id == SubscriptionFilter.subscription_id)
        .where(SubscriptionFilter.client == client, SubscriptionFilter.organization.in_(list(organizations)))
        .where(Subscription.status != "off", Subscription.id != but)
        .group_by(SubscriptionFilter.organization)
    )
    return tx.scalars(asked.order_by(many.desc()).limit(1)).first() or 0


def remove(tx: Transaction, subscription: Subscription) -> None:
    for table in (Notice, SubscriptionFilter):
        tx.execute(delete(table).where(table.subscription_id == subscription.id))
    tx.delete(subscription)
    tx.flush()


def owe(tx: Transaction, subscription: Subscription, kind: Kind, now: datetime, focus: str = "") -> None:
    """One more notice at the end of the line; events are numbered without a gap. Of two transactions that
    come at once the second waits for the first, so that the line is in the order of the numbers."""
    tx.flush()
    tx.refresh(subscription, with_for_update=True)
    number = 0
    if kind == "event-notification":
        number = subscription.events = subscription.events + 1
    tx.add(Notice(subscription_id=subscription.id, kind=kind, number=number, focus=focus, at=now))
    tx.flush()


def supersede(tx: Transaction, subscription: Subscription) -> None:
    """Handshakes and signs of life that have not arrived are owed no more; events are."""
    tx.execute(
        delete(Notice).where(
            Notice.subscription_id == subscription.id,
            Notice.kind != "event-notification",
            Notice.delivered.is_(None),
        )
    )


def next_owed(tx: Transaction, subscription_id: str) -> Notice | None:
    """The oldest notice that has not arrived; before a handshake nothing else goes out."""
    asked = select(Notice).where(Notice.subscription_id == subscription_id, Notice.delivered.is_(None))
    return tx.scalars(asked.order_by(Notice.kind != "handshake", Notice.id).limit(1)).first()


def owed_to(tx: Transaction, now: datetime) -> Sequence[str]:
    """The subscriptions that are not off, have notices waiting, and nobody delivers to."""
    # From the few subscriptions to what waits for each: a join has SQLite go through every notice there was.
    waiting = exists().where(Notice.subscription_id == Subscription.id, Notice.delivered.is_(None))
    asked = select(Subscription.id).where(Subscription.status != "off", _free(now), waiting)
    return tx.scalars(asked).all()


def owed(tx: Transaction) -> int:
    """How many notices have not arrived, of subscriptions that are not off."""
    # By subscription: an index finds the few that wait among all there were.
    asked = (
        select(func.count())
        .select_from(Subscription)
        .join(Notice, Notice.subscription_id == Subscription.id)
        .where(Subscription.status != "off", Notice.delivered.is_(None))
    )
    return tx.scalars(asked).one()


def events(
    tx: Transaction, subscription_id: str, since: int, until: int | None, most: int
) -> Sequence[Notice]:
    """Events numbered since … until, both included, in order, arrived or not: the first of them."""
    asked = select(Notice).where(
        Notice.subscription_id == subscription_id,
        Notice.kind == "event-notification",
        Notice.number >= since,
    )
    if until is not None:
        asked = asked.where(Notice.number <= until)
    return tx.scalars(asked.order_by(Notice.number).limit(most)).all()


def lease(tx: Transaction, subscription_id: str, now: datetime, until: datetime) -> bool:
    """Takes the subscription for delivery; False where another process has it, or it is to be left alone
    until later."""
    taken = tx.execute(
        update(Subscription)
        .where(Subscription.id == subscription_id, Subscription.status != "off", _free(now))
        .values(leased=until)
        .returning(Subscription.id)
    )
    return taken.first() is not None


def renew(tx: Transaction, subscription_id: str, held: datetime, until: datetime | None) -> bool:
    """Holds on to the lease that ends at `held`, or gives it back: until `until` nobody else gets the next
    one. False where it has gone to another process."""
    kept = tx.execute(
        update(Subscription)
        .where(Subscription.id == subscription_id, Subscription.leased == held)
        .values(leased=until)
        .returning(Subscription.id)
    )
    return kept.first() is not None


def _free(now: datetime) -> ColumnElement[bool]:
    leased = Subscription.leased
    return or_(leased.is_(None), leased <= now, leased > now + LONGEST)
