"""Policy data as tests change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from server.elm import Engine
from server.elm.terminology import Spellings
from server.policy import catalog


@pytest.fixture(autouse=True, scope="module")
def _a_translation_is_compiled_once() -> Any:
    """Most changes leave the libraries as they are, and compiling those is most of loading: whoever loads
    the very libraries and value sets of the committed data gets the engine that is there."""
    with pytest.MonkeyPatch.context() as patch:
        compiled: list[tuple[Sequence[Any], Sequence[Any], Engine]] = []

        def engine(libraries: Sequence[Any], value_sets: Sequence[Any], spellings: Spellings) -> Engine:
            for known, sets, made in compiled:
                if known == libraries and sets == value_sets:
                    return made
            compiled.append((libraries, value_sets, Engine(libraries, value_sets, spellings)))
            return compiled[-1][-1]

        patch.setattr(catalog, "Engine", engine)
        yield
