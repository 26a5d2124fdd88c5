"""What adjudication hands back to a door: the determination and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from server.policy.determination import Determination
from server.policy.request import Member

if TYPE_CHECKING:
    from server.policy.catalog import Plan


@dataclass(frozen=True)
class Judged:
    """One order line, judged.

    `order` is the ServiceRequest as judged; `order_key` says which order it is (contract: the assertion it
    was told under, else member, service, side and planned day); `orderer` is the NPI of who ordered, "" where
    it was not sent; `quoted` is the assertion id that the client quoted, if it is one of ours.
    """

    determination: Determination
    member: Member
    plan: Plan
    order: Mapping[str, Any]
    order_key: str
    orderer: str = ""
    quoted: str | None = None

    @cached_property
    def kept(self) -> dict[str, Any]:
        """The determination as it is stored, with the line and with what is granted for it."""
        return self.determination.to_json()
