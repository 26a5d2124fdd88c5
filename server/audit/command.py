"""Who comes in by no request: whoever runs a command, under the account that runs it.

    with running(store, clock, "review show", shows=True): …read, decide…

What is told of patients is told after the block, when it is on record.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from getpass import getuser

from server.fhir.errors import FhirError
from server.store import Store, ledger
from server.store.touched import watching


@contextmanager
def running(
    store: Store, clock: Callable[[], dt.datetime], command: str, *, shows: bool = False
) -> Iterator[None]:
    """What the block reads or does is on record when it ends, refused or not; `shows` says that it does no
    more than read. Raises SQLAlchemyError where it cannot be written; then nothing of it may be told."""
    status = 500
    with watching() as touched:
        try:
            yield
            status = 200
        except FhirError as refused:
            status = refused.status
            raise
        finally:
            access = ledger.Access(
                at=clock(),
                client=_account(),
                address="",
                method=ledger.SHOWN if shows else ledger.RUN,
                route=f"davinci-payer {command}",
                status=status,
                request_id="",
            )
            with store.transaction() as tx:
                ledger.record(tx, access, touched)


def _account() -> str:
    """The account's name, or its number, as in a container, where it has none."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
