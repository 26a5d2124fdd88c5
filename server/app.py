"""Where everything is wired together: `create_app(settings)` gives a FastAPI app, and nothing is global.

    /r2.0/cds-services…      server.crd.routes     CRD 2.0.1
    /r2.0/fhir/…             server.dtr.routes     DTR 2.0.1
                             server.pas.routes     PAS 2.0.1
    /r2.2/…                  the same doors, the newer guides
    /health /metrics / …     server.web.routes
    /review…                 server.review.routes
    /auth…                   server.security.routes, server.security.udap
    /.well-known/…           server.directory.routes

A door's `routes` module builds its routes for one guide version (`router(services, version)`); one that
answers at a FHIR base also says what it does there (`capability(version)`), which `metadata` puts together.
Who may come to a door is found out before the door is reached (`server.security.admission`). Middlewares,
from the outside: refusals as a browser wants them, request id, log and span, headers for browsers, CORS,
limits, searches by POST, audit trail, HEAD, then the routes; errors of all of them become OperationOutcomes
in `server.fhir.handlers`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import metadata
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from server import background, logs, process, tracing, web
from server.adjudication import loading
from server.adjudication.adjudicator import Adjudicator
from server.audit import routes as audit
from server.audit.trail import Audited
from server.clock import SetClock, wall
from server.crd import routes as crd
from server.directory import routes as directory
from server.dtr import routes as dtr
from server.fhir.capability import Software, capability_statement
from server.fhir.errors import InvalidRequest, Issue, Unavailable
from server.fhir.handlers import answer_errors
from server.fhir.malformed import READING, malformed
from server.fhir.posting import PostedSearch
from server.fhir.requests import wants_json
from server.fhir.responses import FhirResponse, JsonResponse, error_response
from server.metrics import Metrics
from server.pas import notices
from server.pas import routes as pas
from server.policy.catalog import Catalog
from server.review import routes as review_routes
from server.security import routes as security_routes
from server.security import udap
from server.security.admission import Admission
from server.security.headers import Careful
from server.security.limits import Limits
from server.security.udap import Community
from server.services import GUIDES, Services, Version
from server.settings import Settings
from server.store import Store, unavailable
from server.subscriptions import routes as subscriptions
from server.validation import routes as validation
from server.validation.door import profiled
from server.web import calls
from server.web import clock as clock_routes
from server.web import routes as web_routes
from server.web.described import described
from server.web.heads import Heads
from server.web.refusals import Refusals
from server.work import Work

FHIR_DOORS = (dtr, pas, subscriptions, audit, directory, validation)
"""What answers at the FHIR base of a version."""


@cache
def the_catalog() -> Catalog:
    """The policies that come with the server: immutable, so one for all apps of a process."""
    return Catalog.load()


def create_app(settings: Settings) -> FastAPI:
    """The whole server over one database, migrated and ready. Raises when the database cannot be opened."""
    community = Community.of(settings)
    store, catalog = Store.open(settings.database_url), the_catalog()
    clock = settings.clock()
    if isinstance(clock, SetClock):
        clock_routes.catch_up(clock, store)
    if settings.members_file:
        loading.load_file(store, settings.members_file, clock())
    metrics = Metrics()
    services = Services(
        settings=settings,
        store=store,
        metrics=metrics,
        work=Work(store),
        catalog=catalog,
        adjudicator=Adjudicator(catalog, settings, metrics),
        admission=Admission(settings, store, wall),
        clock=clock,
    )
    # The page of the API with its script and style from here: a payer's network reaches no others.
    app = FastAPIOffline(
        title="Da Vinci payer",
        summary="Coverage requirements, documentation and prior authorization for MRI.",
        description=" ".join(directory.SUNSET.values()),
        version=metadata.version("davinci-payer"),
        docs_url=None,
        redoc_url=None,
        static_url="/static/docs",
        # Whoever reads the description finds the addresses where a proxy has them.
        servers=[{"url": prefix}] if (prefix := urlsplit(settings.base_url).path) else None,
        redirect_slashes=False,
        default_response_class=JsonResponse,
        lifespan=_lifespan(services),
        # FastAPI's own spans hold paths and queries, its own log records messages of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.openapi = described(app.openapi)  # type: ignore[method-assign]
    app.state.services = services
    app.state.focus_of = notices.focus_of(services)
    answer_errors(app)
    app.add_exception_handler(DBAPIError, _database_unavailable)
    app.add_exception_handler(PoolTimeout, _database_unavailable)
    app.add_exception_handler(DataError, _unkeepable)
    for kind in READING:
        app.add_exception_handler(kind, _tripped_over)
    app.add_middleware(Heads)
    app.add_middleware(Audited, store=store, clock=clock)
    app.add_middleware(PostedSearch)
    app.add_middleware(
        Limits,
        most_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        most_running=settings.max_running,
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Accept",
            "Prefer",
            "Cache-Control",
            "If-Modified-Since",
            "If-None-Match",
            "X-Requested-With",
            "X-Dry-Run",
            tracing.PARENT,
            logs.REQUEST_ID,
        ],
        expose_headers=["ETag", "Location", "Retry-After", "WWW-Authenticate", logs.REQUEST_ID],
    )
    app.add_middleware(Careful, tls=settings.base_url.startswith("https://"))
    if settings.keep_calls:
        kept = calls.Calls(maxlen=settings.keep_calls)
        app.add_middleware(calls.Listening, calls=kept, clock=clock)
        app.include_router(calls.router(services, kept))
    app.add_middleware(logs.RequestLog, metrics=services.metrics)
    app.add_middleware(Refusals, base=settings.base_url)
    admission = services.admission
    # Routes are tried one after the other: the doors come before what is called now and then.
    for version in GUIDES:
        hooks = crd.router(services, version)
        app.include_router(hooks, prefix=f"/r{version}", dependencies=[Depends(admission.cds)])
        for door in FHIR_DOORS:
            checks = [admission.fhir, *([profiled(settings, version)] if door is pas else [])]
            app.include_router(
                door.router(services, version),
                prefix=f"/r{version}/fhir",
                dependencies=[Depends(check) for check in checks],
            )
    app.include_router(web_routes.router(services))
    app.include_router(review_routes.router(services))
    if isinstance(services.clock, SetClock):
        app.include_router(clock_routes.router(services.clock, store, background.sweeps(services)))
    app.include_router(security_routes.router(services.admission, community))
    if community is not None:
        app.include_router(udap.router(services.admission, community))
    app.include_router(directory.discovery(services))
    app.mount("/static", StaticFiles(directory=web.STATIC), name="static")
    app.include_router(_metadata(services))
    return app


def _metadata(services: Services) -> APIRouter:
    """`{fhir base}/metadata` of each version: what the doors that answer there say they do."""
    routes = APIRouter(tags=["FHIR base"], dependencies=[Depends(wants_json)])
    software = Software("davinci-payer", metadata.version("davinci-payer"))

    def say(version: Version) -> None:
        parts = [door.capability(version) for door in FHIR_DOORS]
        statement = capability_statement(
            services.fhir_base(version), software, parts, f"{services.settings.base_url}/auth/token"
        )

        @routes.get(f"/r{version}/fhir/metadata", summary="What this base does", response_class=FhirResponse)
        def capabilities() -> FhirResponse:
            return FhirResponse(statement)

    for version in GUIDES:
        say(version)
    return routes


def _lifespan(services: Services):  # type: ignore[no-untyped-def]
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        process.share(services.settings.worker_threads)
        yield
        services.store.close()

    return lifespan


def _tripped_over(request: Request, error: Exception) -> Response:
    """A reader met something that is no FHIR: told as the request's fault where it is one."""
    found = malformed(request.state.body) if hasattr(request.state, "body") else []
    if not found:
        raise error
    logs.failed(request, error)
    return error_response(InvalidRequest(*found))


async def _unkeepable(request: Request, error: Exception) -> Response:
    """A name in an address, or a value, that no database takes: there is nothing of it, and never will be."""
    logs.failed(request, error)
    words = "A value of the request can neither be kept nor looked for, such as the character U+0000."
    return error_response(InvalidRequest(Issue("value", diagnostics=words)))


async def _database_unavailable(request: Request, error: Exception) -> Response:
    """Locked too long, disk full, connection lost: nothing was decided, and the caller may try again. A
    statement that is wrong will be so again."""
    if not isinstance(error, PoolTimeout) and not unavailable(error):
        raise error
    logs.failed(request, error)
    return error_response(
        Unavailable(
            "The database did not answer. Nothing was stored; send the request again.",
            headers={"Retry-After": "5"},
        )
    )
