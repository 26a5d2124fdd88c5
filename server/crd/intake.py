"""Is this a hook call? What CDS Hooks and the hook's context ask for, checked, with every fault named.

    call = read_call(body, HOOKS["order-sign"], V2_0)

Unknown members are ignored, missing optional ones are no fault. What a call acts upon (orders, appointments)
is held to FHIR element by element in `focus`; prefetched data is read as it comes in `sight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from server.adjudication.patience import MOST
from server.crd.configuration import Configuration, configuration
from server.crd.hooks import REQUESTS, Hook
from server.fhir.errors import InvalidRequest, Issue, Unprocessable
from server.fhir.references import type_and_id

if TYPE_CHECKING:
    from server.crd.version import Version

Test = Callable[[Any], bool]

REQUESTED_VERSION = "davinci-crd.requestedVersion"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a hook's context: what it must be, in words and as a test."""

    words: str
    test: Test
    required: bool = True


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(entry) for entry in value)


def _names_order(value: Any) -> bool:
    """A reference that does not tell the type may be one."""
    meant = type_and_id(value) if _text(value) else None
    return _text(value) and (meant is None or meant[0] in REQUESTS)


def _resource(value: Any) -> bool:
    return isinstance(value, dict) and _text(value.get("resourceType"))


def _bundle(value: Any) -> bool:
    return _resource(value) and value["resourceType"] == "Bundle"


IDENTIFIER = Member("the id of a resource", _text)
REFERENCE = Member("a reference, Type/id", _text)
REFERENCES = Member("an array of references, Type/id", _texts)
ORDER = Member("a reference to an order, such as ServiceRequest/1", _names_order)
ORDERS = Member(
    "an array of references to orders, such as ServiceRequest/1",
    lambda value: _texts(value) and all(map(_names_order, value)),
)
BUNDLE = Member("a Bundle", _bundle)


def optional(member: Member) -> Member:
    return Member(member.words, member.test, required=False)


_IN_ENCOUNTER = {"userId": REFERENCE, "patientId": IDENTIFIER}

CONTEXTS: Mapping[str, Mapping[str, Member]] = {
    "order-sign": {**_IN_ENCOUNTER, "draftOrders": BUNDLE, "encounterId": optional(IDENTIFIER)},
    "order-select": {
        **_IN_ENCOUNTER,
        "selections": REFERENCES,
        "draftOrders": BUNDLE,
        "encounterId": optional(IDENTIFIER),
    },
    "appointment-book": {**_IN_ENCOUNTER, "appointments": BUNDLE, "encounterId": optional(IDENTIFIER)},
    "encounter-start": {**_IN_ENCOUNTER, "encounterId": IDENTIFIER},
    "encounter-discharge": {**_IN_ENCOUNTER, "encounterId": IDENTIFIER},
}
"""The contexts that both guides share; order-dispatch is in each version's table."""


@dataclass(frozen=True, slots=True)
class Access:
    """The EHR's FHIR server and the token for it, good for this call alone."""

    base: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Access({self.base!r})"


@dataclass(frozen=True, slots=True)
class Call:
    """A hook call as checked; `dispatched` are the orders that it sends to a performer, by reference."""

    hook: Hook
    context: Mapping[str, Any]
    prefetch: Mapping[str, Any]
    access: Access | None
    configuration: Configuration
    dispatched: tuple[str, ...] = ()

    @property
    def patient_id(self) -> str:
        return str(self.context["patientId"]).rpartition("/")[2]

    @property
    def user(self) -> str:
        return str(self.context.get("userId", ""))

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """What a dispatch asks the performer for (2.0.1 `task`, 2.2 `fulfillmentTasks`)."""
        several = self.context.get("fulfillmentTasks")
        listed = [self.context.get("task"), *(several if isinstance(several, list) else ())]
        return [each for each in listed if isinstance(each, dict)]

    @property
    def client_server(self) -> str:
        return self.access.base if self.access else ""


def read_call(body: Mapping[str, Any], hook: Hook, version: Version) -> Call:
    """The call in a decoded body. Raises InvalidRequest with one issue a fault, Unprocessable where it asks
    for another guide version."""
    context = body.get("context")
    faults = [*_faults_of_call(body, hook), *_faults_of_context(context, version.contexts[hook.name])]
    if faults:
        raise InvalidRequest(*faults)
    assert isinstance(context, dict), "else it was a fault"
    extension = body.get("extension")
    requested = extension.get(REQUESTED_VERSION) if isinstance(extension, dict) else None
    if requested not in (None, version.name):
        words = f"This address speaks {version.name}. Call the address of your version."
        raise Unprocessable(Issue("not-supported", f"extension.{REQUESTED_VERSION}", words))
    told = context.get(version.dispatched) if hook.name == "order-dispatch" else None
    return Call(
        hook=hook,
        context=context,
        prefetch=body.get("prefetch") or {},
        access=_access(body),
        configuration=configuration(extension),
        dispatched=(told,) if isinstance(told, str) else tuple(told or ()),
    )


def _faults_of_call(body: Mapping[str, Any], hook: Hook) -> Iterator[Issue]:
    named = body.get("hook")
    if not _text(named):
        yield _required("hook", f"Send the hook's name; this service answers {hook.name}.")
    elif named != hook.name:
        yield Issue("value", "hook", f"This service answers {hook.name}. Call the service of your hook.")
    if not _text(body.get("hookInstance")):
        yield _required("hookInstance", "Send a UUID that identifies this call.")
    if not isinstance(body.get("prefetch", {}), dict | None):
        yield Issue("structure", "prefetch", "It must be an object: prefetch key to resource.")
    yield from _faults_of_access(body)


def _faults_of_access(body: Mapping[str, Any]) -> Iterator[Issue]:
    server, grant = body.get("fhirServer"), body.get("fhirAuthorization")
    if server is not None and not (isinstance(server, str) and _is_address(server)):
        yield Issue("value", "fhirServer", "It must be the http or https base address of your FHIR server.")
    # An EHR that asks for no token may send an empty one.
    if grant is None or (isinstance(grant, dict) and grant.get("access_token") == ""):
        return
    if not isinstance(grant, dict):
        yield Issue("structure", "fhirAuthorization", "It must be an object with an access_token.")
    elif not _text(grant.get("access_token")):
        yield _required("fhirAuthorization.access_token", "Send the token, or leave fhirAuthorization out.")
    elif not (grant["access_token"].isascii() and grant["access_token"].isprintable()):
        yield Issue("value", "fhirAuthorization.access_token", "A token is of printable ASCII characters.")
    if server is None:
        yield _required("fhirServer", "A token was sent without the server it is for. Name the server.")


def _faults_of_context(context: Any, members: Mapping[str, Member]) -> Iterator[Issue]:
    if not isinstance(context, dict):
        yield _required("context", f"Send an object with {', '.join(members)}.")
        return
    for name, member in members.items():
        value = context.get(name)
        if value is None:
            if member.required:
                yield _required(f"context.{name}", f"Send {member.words}.")
        elif not member.test(value):
            yield Issue("value", f"context.{name}", f"It must be {member.words}.")
        elif _length(value) > MOST:
            words = f"More than {MOST} are not answered in one call. Send them in several."
            yield Issue("too-costly", f"context.{name}", words)


def _length(value: Any) -> int:
    """How many a list has, or a Bundle."""
    listed = value.get("entry") if isinstance(value, dict) else value
    return len(listed) if isinstance(listed, list) else 0


def _required(expression: str, remedy: str) -> Issue:
    return Issue("required", expression, f"{expression} is missing. {remedy}")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _access(body: Mapping[str, Any]) -> Access | None:
    server = body.get("fhirServer")
    if not server:
        return None
    return Access(server.rstrip("/"), (body.get("fhirAuthorization") or {}).get("access_token", ""))
