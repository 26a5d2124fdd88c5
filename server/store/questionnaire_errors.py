"""Faults that DTR clients report about our questionnaires; their author reads them."""

from collections.abc import Sequence

from sqlalchemy import select

from server.store import Transaction
from server.store.tables import QuestionnaireError


def keep(tx: Transaction, error: QuestionnaireError) -> None:
    tx.add(error)
    tx.flush()


def newest(tx: Transaction, limit: int = 100) -> Sequence[QuestionnaireError]:
    return tx.scalars(select(QuestionnaireError).order_by(QuestionnaireError.id.desc()).limit(limit)).all()
