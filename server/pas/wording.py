"""A case in the words of the base it came to, however it is decided later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from server.pas.case import Case
from server.pas.response import pas_response_bundle
from server.pas.versions import VERSIONS
from server.store import tables as stored

Resource = dict[str, Any]


def answer_of(row: stored.PaCase, base: Callable[[Any], str], now: dt.datetime) -> Callable[[Case], Resource]:
    """Gives the response Bundle of that case; `base` is the FHIR base of a version."""
    version = VERSIONS[row.version]
    return lambda case: pas_response_bundle(version, case, base(version.name), now)
