"""Rules that cannot be evaluated: those of one library are given no steps to take."""

from __future__ import annotations

from typing import Any

import pytest

from server.elm import Engine, Run


def spent(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Whatever that library is asked is more than its budget; the others go on as before."""
    evaluate = Engine.evaluate

    def evaluated(engine: Engine, name: str, *given: Any, **told: Any) -> Run:
        return evaluate(engine, name, *given, **{**told, **({"steps": 0} if name == library else {})})

    monkeypatch.setattr(Engine, "evaluate", evaluated)
