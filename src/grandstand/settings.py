"""Every setting of Grandstand: an environment variable `GRANDSTAND_<NAME>`, a command-line flag, or both.

A flag wins over the environment. A wrong value stops the start with one sentence that names it.
Units stand last in the names. README's table is generated from this module (`grandstand settings --markdown`).
"""

import re
import ssl
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "GRANDSTAND_"

Role = Literal["ingest", "api", "worker", "scheduler"]
ROLES: tuple[Role, ...] = ("ingest", "api", "worker", "scheduler")


_COMMA_BEFORE_URL = re.compile(r",\s*(?=[a-z]+://)")
"""A comma inside a URL stands between the hosts of one server."""


class SettingsError(Exception):
    """A setting is missing or wrong. The message is one sentence that names it."""


class Settings(BaseSettings):
    """The settings in force, read once at start."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL (15 or newer) to use; `grandstand up` runs its own when unset."
    )
    database_schema: str = Field(
        "grandstand",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="Schema that holds all tables; a deployment each when several share a database.",
    )
    database_pool_min: int = Field(
        10,
        ge=0,
        le=1000,
        description="Connections that a process opens at its start; with the embedded PostgreSQL 1, unless it is set.",
    )
    database_pool_max: int = Field(
        50, ge=1, le=1000, description="Most connections that a process opens to write; a replay needs two."
    )
    database_read_pool_min: int = Field(0, ge=0, le=1000, description="The same as `POOL_MIN`, for reads.")
    database_read_pool_max: int = Field(
        50, ge=1, le=1000, description="Most connections that an HTTP process opens to read."
    )
    database_pool_idle_seconds: float = Field(
        30.0, ge=0, le=86_400, description="Age at which an idle connection is closed; 0 keeps it."
    )
    database_pool_uses_max: int = Field(
        7500, ge=1, le=1_000_000_000, description="Queries after which a connection is replaced."
    )
    database_acquire_timeout_seconds: float = Field(
        5.0, gt=0, le=300, description="Longest wait for a free connection before the answer is 503."
    )
    database_query_timeout_seconds: float = Field(
        10.0, gt=0, le=3600, description="Longest wait of a process for the answer to one query."
    )
    database_statement_timeout_seconds: float = Field(
        10.0, ge=1, le=3600, description="Longest that PostgreSQL lets a transaction stand still (then it ends it)."
    )
    database_replica_url: SecretStr | None = Field(
        None, description="Read replicas of it, separated by commas: they answer reads that decide nothing."
    )
    database_replica_lag_max_seconds: float = Field(
        5.0, gt=0, le=3600, description="Age of what a replica lacks at which reads go to the primary."
    )
    database_pooler: Literal["none", "pgbouncer"] = Field(
        "none",
        description="`pgbouncer` when the URLs lead to one that pools transactions: nothing is then kept in a session.",
    )
    valkey_url: SecretStr | None = Field(
        None,
        description="Valkey (or Redis 7 or newer) to use; `grandstand up` runs its own when unset. "
        "It must be append-only: acknowledged events live there until they are processed. "
        "`valkey+cluster://host:port,…` or `valkey+sentinel://host:port,…/service` for several servers.",
    )
    valkey_sync_replicas: int | None = Field(
        None,
        ge=0,
        le=5,
        description="Replicas that must have events on disk before they are acknowledged (Valkey 7.2 or newer); "
        "1 with Cluster or Sentinel when unset, else 0.",
    )
    valkey_prefix: str = Field(
        "gs",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
        description="First part of every key; a deployment each when several share a server.",
    )
    valkey_timeout_seconds: float = Field(3.0, gt=0, le=60, description="Longest wait for a reply of Valkey.")
    valkey_memory_max_bytes: int = Field(
        0, ge=0, description="Most memory of the embedded Valkey; 0 is half of what this machine or container has."
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    watch_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which a `grandstand serve` without `ingest` and `api` answers `/api/health/live` and, to "
        "`GRANDSTAND_OPS_ALLOW`, `/metrics`; none when unset.",
    )
    data_dir: Path = Field(Path("grandstand-data"), description="Folder of the embedded engines (`grandstand up`).")
    workers: int = Field(2, ge=1, le=64, description="Worker processes of `grandstand up`.")
    http_processes: int = Field(1, ge=1, le=64, description="HTTP processes of `grandstand up`.")
    shutdown_timeout_seconds: float = Field(
        15.0, gt=0, le=600, description="Longest time a process takes to finish its work when told to stop."
    )

    admin_key: SecretStr | None = Field(None, description="Sets the admin key instead of a made one (`gs_admin_…`).")
    server_key: SecretStr | None = Field(None, description="Sets the server key (`gs_server_…`).")
    client_key: SecretStr | None = Field(None, description="Sets the client key (`gs_client_…`).")
    player_token_ttl_seconds: int = Field(3600, ge=10, le=86400, description="Life of a player token.")
    player_session_max_seconds: int = Field(
        2_592_000, ge=60, le=31_536_000, description="How long a player session may be refreshed before a new proof."
    )
    credential_refresh_seconds: float = Field(
        2.0, gt=0, le=60, description="Age at which a process reads the keys anew, so revocation reaches it."
    )
    ops_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Networks (comma-separated) that may read health and metrics without a key."
    )

    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Networks (comma-separated) of proxies whose `X-Forwarded-For` is believed."
    )

    rate_limit_window_seconds: int = Field(60, ge=1, le=86_400, description="Window of all rate limits.")
    rate_limit_block_seconds: int = Field(
        60, ge=0, le=86_400, description="Block after going over a rate limit; 0 only waits for the window's end."
    )
    rate_limit_player_requests: int = Field(
        200, ge=0, le=1_000_000_000, description="Requests of one player in a window; 0 is no limit (here and below)."
    )
    rate_limit_player_events: int = Field(
        3000, ge=0, le=1_000_000_000, description="Events that one player's token sends in a window."
    )
    rate_limit_address_player_requests: int = Field(
        2000, ge=0, le=1_000_000_000, description="Requests of all players together that come from one address."
    )
    rate_limit_client_requests: int = Field(
        200, ge=0, le=1_000_000_000, description="Requests from one address with a client key or a bad credential."
    )
    rate_limit_anonymous_requests: int = Field(
        6000, ge=0, le=1_000_000_000, description="Requests from one address without a credential."
    )
    rate_limit_server_requests: int = Field(0, ge=0, le=1_000_000_000, description="Requests with one server key.")

    rate_limit_log_ins: int = Field(
        10, ge=1, le=1_000_000, description="Log-ins to the console by name in a window; twice as many by address."
    )
    signed_events_required: bool = Field(
        False, description="Whether the events that a player's token sends must be signed."
    )

    connections_max: int = Field(
        50_000, ge=10, le=1_000_000, description="Connections of one HTTP process; further ones are answered 503."
    )
    console_secure_cookies: bool = Field(
        False, description="Whether the console's cookie is for HTTPS only, as behind a proxy that speaks it."
    )
    cors_allow_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins (comma-separated, or `*`) whose web pages may call the API."
    )
    metrics_enabled: bool = Field(True, description="Whether `/metrics` is served.")
    traces_enabled: bool = Field(
        False,
        description="Whether spans are recorded and sent, as the standard variables of OpenTelemetry (`OTEL_…`) say; "
        "needs the extra `traces`.",
    )
    schema_enabled: bool = Field(True, description="Whether `/schema` is served.")
    tls_cert_file: Path | None = Field(
        None, description="Certificate chain (PEM) to speak HTTPS with, unless a proxy in front does."
    )
    tls_key_file: Path | None = Field(None, description="Private key (PEM, without a password) of that certificate.")

    max_batch: int = Field(100, ge=1, le=10_000, description="Most events in one request.")
    body_max_bytes: int = Field(1_048_576, ge=1024, le=67_108_864, description="Largest decoded request body.")
    payload_max_bytes: int = Field(16_384, ge=2, le=1_048_576, description="Largest `payload` of an event.")
    event_future_limit_seconds: int = Field(
        600, ge=0, le=86_400, description="How far ahead of our clock `occurred_at` may be."
    )
    event_past_limit_days: int = Field(30, ge=1, le=36_500, description="How old `occurred_at` may be.")

    event_streams: int = Field(
        1,
        ge=1,
        le=12,
        description="Streams that events are written to; more than 1 only helps on a Valkey Cluster of several shards.",
    )
    stream_max_events: int = Field(
        5_000_000, ge=1, description="Most events that wait to be processed; beyond it new ones are answered 503."
    )
    stream_max_bytes: int = Field(
        536_870_912,
        ge=1,
        description="Most memory of waiting events, and never more than half of Valkey's `maxmemory`; then 503.",
    )
    stream_max_age_seconds: float = Field(
        86_400.0, gt=0, description="Greatest age of the oldest waiting events; beyond it new ones are answered 503."
    )

    worker_batch_max: int = Field(
        4000, ge=1, le=50_000, description="Events a worker aims to store in one transaction."
    )
    worker_low_share: float = Field(
        0.2, gt=0, lt=1, description="Share of a worker's reads that the low priority always gets."
    )
    reclaim_idle_seconds: float = Field(
        5.0, ge=1, le=600, description="Age at which another worker takes over a delivery that is not done."
    )
    partition_every: Literal["month", "day"] = Field(
        "month", description="What a new partition of events holds, by UTC; those that are there stay as they are."
    )
    partitions_ahead: int = Field(3, ge=1, le=60, description="Partitions kept ready beyond the present one.")
    archive_url: str | None = Field(
        None,
        description="Where old events go as Parquet files: a folder, or `s3://bucket/prefix`; "
        "nothing leaves PostgreSQL when unset.",
    )
    archive_after_days: int = Field(
        90, ge=1, le=36_500, description="Age of a whole partition of events at which it is archived."
    )
    public_url: str | None = Field(
        None,
        description="Where players' browsers find this server, as https://play.example.com: for pictures of boards in "
        "shared links and for boards in pages of others. Without it public pages hold no address.",
    )
    lab_reports_dir: Path | None = Field(
        None, description="Folder with reports of `grandstand lab` (`--json`), which the console shows."
    )
    read_cache_seconds: float = Field(
        0.1, ge=0, le=60, description="Age at which a cached page of ranks is computed anew; 0 turns the cache off."
    )
    tournament_cache_seconds: float = Field(
        1.0, ge=0, le=60, description="Greatest age of what a process remembers of a tournament; 0 for no memory."
    )
    prize_cache_seconds: float = Field(
        1.0, ge=0, le=60, description="Greatest age of what a process remembers of prizes; 0 for no memory."
    )
    analytics_cache_seconds: float = Field(
        15.0,
        ge=0,
        le=3600,
        description="Greatest age of an answer of analytics that a process gives again; 0 for none.",
    )
    analytics_report_seconds: float = Field(
        600.0,
        ge=1,
        le=86_400,
        description="Greatest age of a report over many events, which the scheduler counts while it is asked for.",
    )
    public_max_age_seconds: int = Field(
        5, ge=0, le=3600, description="`max-age`: how long a browser may keep a public answer."
    )
    edge_max_age_seconds: int = Field(
        60, ge=0, le=3600, description="`s-maxage`: how long nginx or a CDN may keep a public answer."
    )
    edge_stale_seconds: int = Field(
        30, ge=0, le=3600, description="`stale-while-revalidate`: how long it may be served while a new one is fetched."
    )
    archive_max_age_seconds: int = Field(
        3600, ge=0, le=31_536_000, description="How long browsers and edges may keep public pages of archived periods."
    )

    tournament_grace_seconds: int = Field(
        120, ge=0, le=86_400, description="How long after a tournament's end its scores may still arrive."
    )
    tournament_slack_seconds: float = Field(
        10.0,
        ge=0,
        le=600,
        description="Wait beyond the grace before settling: for events on their way and clocks that differ.",
    )
    verify_interval_seconds: float = Field(
        300.0, ge=0, le=86_400, description="How often the promises are checked on a sample of the data; 0 for never."
    )
    webhook_allow_private: bool = Field(
        False, description="Lets webhooks reach private, loopback and other addresses that are not public."
    )

    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto` is text on a terminal, else JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @field_validator("database_url", "database_replica_url", "valkey_url")
    @classmethod
    def _check_url(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        schemes: tuple[str, ...] = ("postgresql", "postgres")
        if info.field_name == "valkey_url":
            schemes = (
                "valkey", "valkeys", "redis", "rediss", "unix",
                "valkey+cluster", "valkeys+cluster", "valkey+sentinel", "valkeys+sentinel",
            )  # fmt: skip
        if value is None:
            return None
        text = value.get_secret_value()
        for url in _urls_in(text) if info.field_name == "database_replica_url" else [text]:
            _check_one_url(url, schemes)
        return value

    @field_validator("archive_url")
    @classmethod
    def _check_archive(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, is_url, rest = value.rpartition("://")
        if not rest.strip("/ ") or (is_url and scheme not in ("s3", "file")):
            raise ValueError("must be a folder, or s3://bucket/prefix")
        if scheme == "s3":
            return value
        # Other processes may have another working folder.
        return str(Path(value.removeprefix("file://")).absolute())

    @field_validator("database_schema")
    @classmethod
    def _check_schema(cls, value: str) -> str:
        if value.startswith("pg_"):
            raise ValueError("must not begin with pg_, which PostgreSQL keeps for itself")
        return value

    @field_validator("database_pool_max")
    @classmethod
    def _check_pool(cls, value: int, info: ValidationInfo) -> int:
        # The default gives way to a small maximum; only a minimum that somebody chose contradicts it.
        smallest = info.data.get("database_pool_min", 0)
        if value < smallest and smallest != cls.model_fields["database_pool_min"].default:
            raise ValueError(f"must not be below {ENV_PREFIX}DATABASE_POOL_MIN")
        return value

    @field_validator("database_read_pool_max")
    @classmethod
    def _check_read_pool(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("database_read_pool_min", 0):
            raise ValueError(f"must not be below {ENV_PREFIX}DATABASE_READ_POOL_MIN")
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _check_data_dir(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("must not be empty")
        return value

    @field_validator("admin_key", "server_key", "client_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        if value is None:
            return None
        prefix = f"gs_{info.field_name.removesuffix('_key')}_"
        text = value.get_secret_value()
        if not text.startswith(prefix) or len(text) < len(prefix) + 16 or not text.isascii() or not text.isprintable():
            raise ValueError(f"must be {prefix} followed by at least 16 characters")
        return value

    @field_validator("tls_cert_file", "tls_key_file")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_file():
            raise ValueError("must be a file that can be read")
        return value.absolute()

    @field_validator("tls_key_file")
    @classmethod
    def _check_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("tls_cert_file")
        if value is not None and certificate is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, value, password=lambda: "")
            except (OSError, ssl.SSLError, ValueError) as error:
                raise ValueError("must be the PEM key of the certificate") from error
        return value

    @model_validator(mode="after")
    def _check_pair(self) -> "Settings":
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("certificate and key belong together: set both or none")
        return self

    @field_validator("cors_allow_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            is_plain = bool(parts.netloc) and origin == f"{parts.scheme}://{parts.netloc}"
            if origin != "*" and not (is_plain and parts.scheme in ("http", "https")):
                raise ValueError("must be `*`, or origins such as https://play.example.com")
        return tuple(origin.lower() for origin in value)

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or value.rstrip("/") != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("must be an origin such as https://play.example.com")
        return value.rstrip("/")

    @field_validator("ops_allow", "trusted_proxies", "cors_allow_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


def _check_one_url(url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        places = [urlsplit(f"//{address}") for address in parts.netloc.rpartition("@")[2].split(",")]
        for place in places:
            place.port  # noqa: B018 - reading it is the check: a wrong port raises
    except ValueError:
        # The library quotes what it took for a port or a host, which may be a piece of the password.
        raise ValueError("is not a URL (is its port a number, and a slash in its password written %2F?)") from None
    if "+" in parts.scheme and not all(place.hostname for place in places):
        raise ValueError("is not a URL (an address is missing)")
    if parts.scheme.endswith("+sentinel") and not parts.path.strip("/"):
        raise ValueError("is not a URL (the service is missing behind the addresses)")
    if parts.scheme not in schemes:
        raise ValueError(f"must start with one of {', '.join(s + '://' for s in schemes)}")


def _urls_in(text: str) -> list[str]:
    return [url.strip() for url in _COMMA_BEFORE_URL.split(text)]


def replica_urls(settings: Settings) -> list[str]:
    """Return where the read replicas are."""
    url = settings.database_replica_url
    return [] if url is None else _urls_in(url.get_secret_value())


def connections_of_tree(settings: Settings) -> int:
    """Return how many connections to PostgreSQL the processes of one `grandstand up` may open."""
    http = settings.http_processes * (settings.database_pool_max + settings.database_read_pool_max)
    return http + (settings.workers + 1) * settings.database_pool_max


def load_settings(**flags: Any) -> Settings:
    """Read the settings from flags (those that are not None) and the environment.

    Raises:
        SettingsError: a value is wrong; the message names the variable and says what it must be.

    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # What is wrong with two settings together is said of the certificate: they are the only such pair.
        name = str(first["loc"][0]) if first["loc"] else "tls_cert_file"
        source = f"--{name.replace('_', '-')}" if name in given else f"{ENV_PREFIX}{name.upper()}"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"Setting {source} is wrong: {reason[0].lower()}{reason[1:]}.") from None


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the settings that differ from their defaults as environment variables, for child processes."""
    result: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value is None or value == field.default:
            continue
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
        elif isinstance(value, tuple):
            text = ",".join(str(item) for item in value)
        else:
            text = str(value)
        result[ENV_PREFIX + name.upper()] = text
    return result


def settings_table() -> str:
    """Return all settings as a Markdown table, for README."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        rows.append(f"| `{ENV_PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
