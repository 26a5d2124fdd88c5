"""Faults that DTR clients report about our questionnaires; their author reads them."""

from collections.abc import Sequence

from sqlalchemy import select

from server.store import Transaction
from server.store.tables import QuestionnaireError


def keep(tx: Transaction, error: QuestionnaireError) -> None:
    tx.add(error)
    tx.flush()


def newest(tx: Transaction, limit: int = 100, questionnaire: str = "") -> Sequence[QuestionnaireError]:
    """The newest first; where `questionnaire` is given, those whose canonical has that text in it."""
    named = QuestionnaireError.questionnaire.contains(questionnaire, autoescape=True)
    asked = select(QuestionnaireError).where(named).order_by(QuestionnaireError.id.desc())
    return tx.scalars(asked.limit(limit)).all()
