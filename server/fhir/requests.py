"""What every door asks of a request before it reads it: media types and size. FastAPI dependencies.

    router = APIRouter(dependencies=[Depends(wants_json)])

    @router.post("/Claim/$submit")
    def submit(body: FhirBody) -> FhirResponse: ...

A handler written with plain `def` runs in a worker thread, which suits the synchronous store; its body has
been read by then.
"""

from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from server.fhir import json
from server.fhir.errors import NotAcceptable, TooLarge, UnsupportedMediaType

P = ParamSpec("P")
T = TypeVar("T")

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json", "application/json+fhir"})
JSON_RANGES = JSON_TYPES | {"*/*", "application/*"}
JSON_FORMATS = JSON_TYPES | {"json"}
FORM = "application/x-www-form-urlencoded"


async def wants_json(request: Request) -> None:
    """Raises NotAcceptable unless `_format`, which overrides, or else `Accept` leaves room for JSON."""
    wanted = request.query_params.get("_format")
    if wanted is not None:
        # A `+` that the client did not escape arrives as a space.
        if _essence(wanted).replace(" ", "+") not in JSON_FORMATS:
            raise NotAcceptable("This server speaks JSON only. Ask for _format=json or leave _format out.")
        return
    ranges = request.headers.getlist("accept")
    if ranges and not accepts_json(",".join(ranges)):
        raise NotAcceptable("This server speaks JSON only. Accept application/fhir+json or application/json.")


def accepts_json(accept: str) -> bool:
    """Whether an Accept header leaves room for JSON: parameters are ignored, `q=0` refuses."""
    weights = {_essence(part): _weight(part) for part in accept.split(",") if part.strip()}
    return not weights or any(weights.get(media_type, 0.0) > 0 for media_type in JSON_RANGES)


async def fhir_body(request: Request) -> bytes:
    """The body of a FHIR or CDS Hooks request. Raises UnsupportedMediaType, InvalidJson."""
    _refuse_foreign_content(request)
    body = await request.body()
    await beside(body, json.refuse_long, body)
    request.state.body = body
    return body


async def beside(body: bytes, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """The result of `work` on what came in this body. Of millions of elements it takes seconds: then it is
    done in a thread, and others are answered meanwhile."""
    if json.may_be_long(body):
        return await run_in_threadpool(work, *given, **named)
    return work(*given, **named)


FhirBody = Annotated[bytes, Depends(fhir_body)]


def is_form(request: Request) -> bool:
    return _essence(request.headers.get("content-type", "")) == FORM


async def read_limited(request: Request, limit: int) -> bytes:
    """Counts what really arrives: `Content-Length` may be missing or untrue."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _refuse_foreign_content(request: Request) -> None:
    content_type = request.headers.get("content-type")
    if content_type is None or _essence(content_type) not in JSON_TYPES:
        raise UnsupportedMediaType(
            "The body must be JSON. Send it with Content-Type: application/fhir+json or application/json."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body is compressed. Send it without Content-Encoding.")


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _weight(media_range: str) -> float:
    for parameter in media_range.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes. Send less at a time.")
