"""Who calls, and what is theirs.

A registered client is bound to organizations. It sees what it sent itself, what clients of the same
organizations sent, and cases in which one of its organizations is a provider; the payer's reviewers see
everything. On a laptop nobody has to say who they are: whoever does not is its owner and sees everything, and
what nobody in particular sent is seen by all. In production it is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from server.security.scopes import REVIEW, Scopes


@dataclass(frozen=True, slots=True)
class Caller:
    """`client` is empty for nobody in particular. `organizations` are identifiers, `system|value`; `kin` are
    the clients whose things are this one's too: itself and those that share an organization with it."""

    client: str = ""
    organizations: frozenset[str] = frozenset()
    kin: frozenset[str] = frozenset()
    scopes: Scopes = field(default_factory=lambda: Scopes(frozenset()))
    endpoints: tuple[str, ...] = ()
    fhir_servers: frozenset[str] = frozenset()

    def sees(self, owner: str, parties: Iterable[str] = ()) -> bool:
        """Whether something that `owner` sent, and that concerns `parties`, may be told to this caller."""
        if not self.client or owner in self.kin or REVIEW in self.scopes.words:
            return True
        return not self.organizations.isdisjoint(parties)

    def speaks_for(self, organization: str) -> bool:
        """Whether the organization, `value` or `system|value`, is one of the caller's."""
        if not self.client:
            return True
        return any(organization in (known, known.rpartition("|")[2]) for known in self.organizations)

    def reached_at(self, url: str) -> bool:
        """Whether the address is one of the caller's registered endpoints, or lies below one."""
        if not self.client or url in self.endpoints:
            return True
        climbs = ".." in unquote(urlsplit(url).path).split("/")
        return not climbs and any(url.startswith(known.rstrip("/") + "/") for known in self.endpoints)

    def keeps_charts_at(self, base: str) -> bool:
        """Whether a FHIR base is one of the caller's registered ones."""
        return not self.client or base in self.fhir_servers


NOBODY = Caller()

_CALLING: ContextVar[Caller] = ContextVar("calling", default=NOBODY)


def calling() -> Caller:
    """Who makes the request that is being answered here; nobody in particular outside of one."""
    return _CALLING.get()


def admit(caller: Caller) -> None:
    """For the rest of this request."""
    _CALLING.set(caller)


class Owned(Protocol):
    @property
    def client(self) -> str: ...


T = TypeVar("T", bound=Owned)


def visible(row: T | None) -> T | None:
    """The row, unless it is another client's: then to this caller it is not there."""
    return row if row is not None and calling().sees(row.client) else None
