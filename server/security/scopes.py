"""SMART scopes: what a client may be given, and what a route asks for.

    Scopes.of("system/Claim.cruds system/*.read").allow(Need("Claim", "c"))

Both spellings are read: v2 (`system/Claim.cruds`) and v1 (`system/Claim.read`, `.write`, `.*`). SMART has no
scopes for operations, so each stands for the interaction it amounts to (`OPERATIONS`). What is the payer's
own (reviewing, metrics, the audit trail) has scopes of its own, which no `system/*` includes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

REVIEW, OPERATE, AUDIT = "payer/review", "payer/operate", "payer/audit"
OWN = frozenset({REVIEW, OPERATE, AUDIT})

OWN_KINDS = {"AuditEvent": AUDIT}
"""Types that only a scope of the payer's own opens."""

SUPPORTED = (
    "system/Claim.cruds",
    "system/ClaimResponse.rs",
    "system/CommunicationRequest.r",
    "system/Task.r",
    "system/Subscription.cruds",
    "system/Questionnaire.rs",
    "system/QuestionnaireResponse.c",
    "system/Library.rs",
    "system/ValueSet.rs",
    "system/*.read",
    "system/*.write",
)
"""What clients are told of; whatever is spelt so is taken."""

_SYSTEM = re.compile(r"system/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Need:
    """One interaction (c, r, u, d or s) with one type; `*` is the base as a whole."""

    kind: str
    interaction: str

    def __str__(self) -> str:
        return OWN_KINDS.get(self.kind) or f"system/{self.kind}.{self.interaction}"


OPERATIONS: Mapping[str, tuple[Need, ...]] = {
    "$submit": (Need("Claim", "c"),),
    "$inquire": (Need("Claim", "s"), Need("ClaimResponse", "s")),
    "$submit-attachment": (Need("Claim", "u"), Need("Claim", "c")),
    "$questionnaire-package": (Need("Questionnaire", "r"),),
    "$next-question": (Need("Questionnaire", "r"), Need("QuestionnaireResponse", "c")),
    "$log-questionnaire-errors": (Need("Questionnaire", "r"),),
    "$expand": (Need("ValueSet", "r"),),
    "$status": (Need("Subscription", "r"),),
    "$events": (Need("Subscription", "r"),),
}
"""Any one of the needs suffices."""

ANYONE = frozenset({"metadata", ".well-known", "OperationDefinition", "Endpoint"})
"""First steps of a path that are read without a token: they tell how to get one, and what there is."""

_INTERACTIONS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


@dataclass(frozen=True, slots=True)
class Scopes:
    """A set of scopes, as granted or as asked for."""

    words: frozenset[str]

    @classmethod
    def of(cls, text: str | Iterable[str]) -> Scopes:
        return cls(frozenset(text.split() if isinstance(text, str) else text))

    def allow(self, *needs: Need) -> bool:
        """Whether any one of the needs is met."""
        return any(_meets(word, need) for word in self.words for need in needs)

    def within(self, registered: Scopes) -> Scopes:
        """The words of these that the registered ones cover; a broad word is cut by nobody, it falls away."""
        return Scopes(frozenset(word for word in self.words if registered.cover(word)))

    def cover(self, word: str) -> bool:
        if word in self.words:
            return True
        asked = _parts(word)
        return asked is not None and all(
            any(_meets(held, Need(asked[0], letter)) for held in self.words) for letter in asked[1]
        )

    def __str__(self) -> str:
        return " ".join(sorted(self.words))


def known(word: str) -> bool:
    """Whether the word is a scope of this server."""
    return word in OWN or _parts(word) is not None


def needs(method: str, path: str) -> tuple[Need, ...]:
    """What a request below a FHIR base needs, any one of it; empty where anyone may come. `path` is relative
    to the base, such as `Claim/$submit`."""
    steps = path.strip("/").split("/")
    reading = method in ("GET", "HEAD")
    if reading and steps[0] in ANYONE:
        return ()
    operation = steps[-1] if steps[-1].startswith("$") else ""
    kind = steps[0] if not steps[0].startswith("$") else "*"
    if operation in OPERATIONS:
        return OPERATIONS[operation]
    if operation == "$validate":
        return (Need(kind, "r"), Need(kind, "c"))
    if reading:
        return (Need(kind, "s" if len(steps) == 1 else "r"),)
    return (Need(kind, _INTERACTIONS.get(method, "d")),)


def _parts(word: str) -> tuple[str, str] | None:
    found = _SYSTEM.fullmatch(word)
    if found is None or not found[2]:
        return None
    return found[1], _V1.get(found[2], found[2])


def _meets(word: str, need: Need) -> bool:
    if need.kind in OWN_KINDS:
        return word == OWN_KINDS[need.kind]
    parts = _parts(word)
    if parts is None or need.interaction not in parts[1]:
        return False
    # DTR writes its scopes in lower case.
    return parts[0] == "*" or parts[0].lower() == need.kind.lower()
