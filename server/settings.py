"""Everything an operator can set, by environment variable or `.env`.

There is no settings object to import: `create_app(settings)` hands one down. What only a developer or a
tester may switch on is marked, and `ENVIRONMENT=production` refuses it by name, together with every other
relaxation of the laptop: plain http, self-made certificates, callers nobody checks.
"""

from collections.abc import Callable
from datetime import datetime
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from server import tracing
from server.clock import SetClock, wall

SERVED = "postgresql+psycopg://"
"""Where no database is named the server has one of the user's name."""

DATABASES = ("sqlite:///", SERVED)


def _for_tests(default: Any, meaning: str, **limits: Any) -> Any:
    """A setting that production refuses unless it has its default."""
    return Field(default, description=meaning, json_schema_extra={"tests_only": True}, **limits)


class Settings(BaseSettings):
    """Field names are the variables' names in lower case; a field's description is its meaning."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses every relaxation and every setting for tests.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    tls: bool = Field(
        False,
        description="Serve https (TLS 1.2 or newer) with TLS_CERT and TLS_KEY, else a self-made certificate.",
    )
    tls_cert: Path | None = Field(None, description="PEM file with the certificate and its chain.")
    tls_key: Path | None = Field(None, description="PEM file with the private key of TLS_CERT.")
    public_base_url: str = Field(
        "",
        description="What every emitted link begins with, whatever a request's headers say. "
        "Empty: scheme, HOST and PORT of this server.",
    )
    database_url: str = Field(
        "sqlite:///payer.db", description="SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://…"
    )
    membership: Literal["open", "registry"] = Field(
        "open",
        description="`open`: any active Coverage is a member. `registry`: only members that were "
        "loaded, by number and, where both sides know it, day of birth.",
    )
    members_file: Path | None = Field(
        None, description="FHIR Bundle or ndjson with the payer's own records, loaded at start."
    )
    fhir_packages: Path | None = Field(
        None,
        description="Folder with FHIR packages (.tgz), hl7.fhir.r4.core among them, whose profiles requests "
        "are validated against.",
    )
    profiles: Literal["off", "refuse"] = Field(
        "off",
        description="`refuse`: a PAS request that breaks a profile it claims is answered 400, with all its "
        "faults at once. Needs FHIR_PACKAGES with FHIR and both versions of PAS.",
    )
    clients_file: Path | None = Field(
        None, description="File with the registered clients, their keys and scopes."
    )
    outbound_cert: Path | None = Field(
        None,
        description="PEM file with a certificate, its chain and its private key, which clients' servers are "
        "shown where they ask for one (mutual TLS). Read at start.",
    )
    udap_anchors: Path | None = Field(
        None,
        description="PEM file with the authorities of the trust communities (UDAP) whose certificates are "
        "taken for proof, of clients that CLIENTS_FILE names. Belongs with UDAP_CERT and UDAP_KEY.",
    )
    udap_cert: Path | None = Field(
        None,
        description="PEM file with this server's own certificate of such a community and its chain. It must "
        "be made out to the addresses of the FHIR bases, as URIs.",
    )
    udap_key: Path | None = Field(None, description="PEM file with the private RSA key of UDAP_CERT.")
    cds_jwt: Literal["off", "on"] = Field(
        "off", description="`on`: CDS Hooks calls must carry a JWT of a registered client."
    )
    max_body_bytes: int = Field(
        50_000_000, ge=1_000, description="A larger request is answered 413. PAS bundles carry attachments."
    )
    body_seconds: float = Field(30, gt=0, description="A body that takes longer to arrive is answered 408.")
    max_running: int = Field(
        200, ge=1, description="Requests at work at a time; one more is answered 503 and told to come again."
    )
    worker_threads: int = Field(
        1,
        ge=1,
        description="Requests at work in threads at a time; the others wait their turn. The interpreter runs "
        "one thread at a time: more of them make each other late, unless the database is slow.",
    )
    rate_limit: int = Field(
        1200,
        ge=0,
        description="Requests a minute of one client (its registration may say another number) and, in "
        "production, of one address that fails to say who it is; more is answered 429. 0: no limit.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks, comma-separated, whose X-Forwarded-For and X-Forwarded-Proto "
        "are believed. Links never follow a header: they begin with PUBLIC_BASE_URL.",
    )
    otel_exporter_otlp_endpoint: str = Field(
        "",
        description="OpenTelemetry collector that hears of every request, OTLP over HTTP, such as "
        "http://127.0.0.1:4318; spans hold routes, never paths. Empty: nobody. Needs the extra `otel`.",
    )
    keep_exchanges_days: int = Field(
        0,
        ge=0,
        description="Days for which calls of CRD and DTR are kept as they came, charts in them; `report "
        "metrics` reaches as far back. 0: for good.",
    )
    unversioned_libraries: bool = Field(
        True,
        description="On r2.0, forms name their CQL libraries without version: what the test kit for DTR "
        "2.0.1 compares with. The guide itself wants the version.",
    )
    static_tokens: Annotated[tuple[str, ...], NoDecode] = _for_tests(
        (), "Bearer tokens, comma-separated, that are valid without a token endpoint."
    )
    demo_reviewer: int = _for_tests(
        0, "Seconds after which a simulated reviewer decides what is pended; 0: nobody does.", ge=0
    )
    test_behaviours: bool = _for_tests(
        False, "Requests may ask for rare behaviour (failure, delay) that a tester must see."
    )
    keep_calls: int = _for_tests(
        0,
        "Calls of late that /calls shows, with all that was sent and answered; in memory. 0: none.",
        ge=0,
        le=1_000,
    )
    test_clock: AwareDatetime | None = _for_tests(
        None,
        "The server's time stands still at this instant, such as 2026-11-25T10:00:00Z, until POST /clock "
        "moves it on, for commands over the same database, too.",
    )

    @field_validator("static_tokens", "trusted_proxies", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("public_base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        parts = urlsplit(value)
        address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if value and (not address or set("?#") & set(value)):
            raise ValueError("must be an http or https address without query, such as https://payer.example")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            named = value.startswith(DATABASES) and (make_url(value).database or value.startswith(SERVED))
        except (ArgumentError, ValueError):
            named = False
        if not named or ":memory:" in value:
            raise ValueError(f"must begin with {' or '.join(DATABASES)} and name a database that lasts")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ip_network(text)
        return value

    @field_validator(
        "members_file",
        "fhir_packages",
        "clients_file",
        "tls_cert",
        "tls_key",
        "outbound_cert",
        "udap_anchors",
        "udap_cert",
        "udap_key",
    )
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.exists():
            raise ValueError("names a file or folder that is not there")
        return value

    @model_validator(mode="after")
    def _certificate_with_key(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS_CERT and TLS_KEY belong together: set both or neither")
        if self.tls_cert is not None and not self.tls:
            raise ValueError("TLS_CERT and TLS_KEY serve nobody without TLS=1: set it, or leave them out")
        return self

    @model_validator(mode="after")
    def _one_community(self) -> "Settings":
        given = [path is not None for path in (self.udap_anchors, self.udap_cert, self.udap_key)]
        if any(given) and not all(given):
            raise ValueError("UDAP_ANCHORS, UDAP_CERT and UDAP_KEY belong together: set all or none")
        return self

    @model_validator(mode="after")
    def _profiles_from_packages(self) -> "Settings":
        if self.profiles != "off" and self.fhir_packages is None:
            raise ValueError("PROFILES needs FHIR_PACKAGES: set both, or leave PROFILES off")
        return self

    @model_validator(mode="after")
    def _exporter_is_installed(self) -> "Settings":
        if self.otel_exporter_otlp_endpoint and not tracing.installed():
            raise ValueError(
                "OTEL_EXPORTER_OTLP_ENDPOINT needs the extra otel: pip install 'davinci-payer[otel]'"
            )
        return self

    @model_validator(mode="after")
    def _production_is_strict(self) -> "Settings":
        if not self.development and (refused := [*self.test_settings(), *self.relaxations()]):
            raise ValueError("ENVIRONMENT=production refuses " + "; ".join(refused))
        return self

    @classmethod
    def misspelt(cls) -> dict[str, str]:
        """What stands in the environment or `.env`, is no setting, and reads like one, with that one's name.
        Others have theirs there too, so that nothing is refused for it."""
        sources = EnvSettingsSource(cls), DotEnvSettingsSource(cls)
        given = {name for source in sources for name in source.env_vars}.difference(cls.model_fields)
        near = {name: get_close_matches(name, cls.model_fields, n=1, cutoff=0.85) for name in sorted(given)}
        return {name.upper(): meant[0].upper() for name, meant in near.items() if meant}

    def test_settings(self) -> list[str]:
        """Names of the settings for tests that are on."""
        return [
            name.upper()
            for name, field in type(self).model_fields.items()
            if _only_for_tests(field.json_schema_extra) and getattr(self, name) != field.default
        ]

    def laxity(self) -> list[str]:
        """Everything that is let pass because this is a laptop, none in production."""
        if not self.development:
            return []
        always = ["a token is optional", "outbound addresses may be http, loopback and private"]
        return [*always, *self.relaxations(), *(f"{name} is on" for name in self.test_settings())]

    def relaxations(self) -> list[str]:
        """What a laptop may do and production may not, as far as these settings go, each with its remedy."""
        found = {
            "links over http (set PUBLIC_BASE_URL to an https address)": not self.base_url.startswith(
                "https://"
            ),
            "plain http (set TLS=1, or TRUSTED_PROXIES to the proxy that ends TLS)": (
                not self.tls and not self.trusted_proxies
            ),
            "a self-made certificate (set TLS_CERT and TLS_KEY)": self.tls and self.tls_cert is None,
            "callers without registration (set CLIENTS_FILE)": self.clients_file is None,
            "unsigned CDS Hooks calls (set CDS_JWT=on)": self.cds_jwt == "off",
        }
        return [relaxation for relaxation, on in found.items() if on]

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @property
    def base_url(self) -> str:
        """The base of every emitted link, without a slash at its end."""
        if self.public_base_url:
            return self.public_base_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        named = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{named}:{self.port}"

    @property
    def hosts(self) -> list[str]:
        """The names clients know the server by: where it listens, and what its links begin with."""
        return [self.host, *filter(None, [urlsplit(self.base_url).hostname])]

    def clock(self) -> Callable[[], datetime]:
        """The only clock of the server: gives aware datetimes in UTC."""
        return wall if self.test_clock is None else SetClock(self.test_clock)


class Given(Settings):
    """Only what is given, and the defaults: for an application whose answers must be the same whatever the
    environment and `.env` say."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _only_for_tests(extra: object) -> bool:
    return isinstance(extra, dict) and bool(extra.get("tests_only"))
