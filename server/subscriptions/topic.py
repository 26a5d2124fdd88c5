"""A result is there: who is to be told. Called in the transaction that made the result, so that nobody is
told of what did not happen and nobody is forgotten."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from server.store import Transaction, subscriptions
from server.subscriptions.resource import passes
from server.work import AGAIN, Work

FLUSH = "flush-subscription"


def result_available(
    tx: Transaction, work: Work, client: str, organizations: Collection[str], focus: str, now: dt.datetime
) -> None:
    """`organizations` are the identifiers of the sender and the requester, `value` and `system|value`;
    `focus` is the case. Subscribers are the sender's own: another client's cases are no affair of theirs."""
    for subscription in subscriptions.concerned(tx, client, organizations):
        if not passes(subscription.resource, organizations):
            continue
        subscriptions.owe(tx, subscription, "event-notification", now, focus)
        wake(tx, work, subscription.id)


def wake(tx: Transaction, work: Work, subscription_id: str) -> None:
    """Has somebody deliver what the subscription is owed, once this transaction is committed."""
    work.enqueue(tx, FLUSH, subscription_id)


def wake_later(tx: Transaction, work: Work, subscription_id: str, delay: float = 0.0) -> None:
    """The same, behind those for whom there is news: many endpoints that do not answer hold up nobody
    else."""
    work.enqueue(tx, FLUSH, subscription_id, delay=delay, queue=AGAIN)
