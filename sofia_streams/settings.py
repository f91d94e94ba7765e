"""All settings in one place: `.env` and environment names are the upper-case field names. Read by `load_settings`.

Importing this module reads nothing. What it does not do: start servers where an address is missing (`embedded`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from sofia_streams.errors import ConfigError, UnknownSymbol
from sofia_streams.model import Market
from sofia_streams.venues.symbols import split_joined

Exchange = Literal["binance", "okx", "coinbase", "bybit"]
COMPOSE_PREFIXES = ("COMPOSE_", "REDPANDA_", "GRAFANA_", "PROMETHEUS_")
"""Keys that belong to docker-compose and may stand in the same .env."""
_OURS = (
    *("BROKER_", "REDIS_", "QUESTDB_", "CRYPTO_", "SYMBOL_", "SIMULATOR_", "TOPIC_", "RETENTION_", "WRITER_"),
    *("WHALE_", "TELEGRAM_", "PAPER_", "AI_"),
)
_NEAR = 0.85
_OVERRIDE = re.compile(rf"(?P<venue>{'|'.join(get_args(Exchange))}):(?P<pair>[A-Z0-9]+/[A-Z0-9]+)=(?P<listing>\S+)")


def _listed(value: object) -> object:
    """`a, b` to ("a", "b"); refuses an empty list and repeated members."""
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts or len(set(parts)) != len(parts):
        raise ValueError("expected a comma list without repeats, like binance,okx")
    return parts


class Settings(BaseSettings):
    """Every setting with its default; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over: it alone reads files and the environment, and checks the keys."""
        return (init_settings,)

    broker_url: Annotated[
        str | None, Field(pattern=r"^kafka://[^/\s]+$", description="kafka://host:port; unset: embedded")
    ] = None
    redis_url: Annotated[SecretStr | None, Field(description="redis://host:port/0; unset: embedded")] = None
    questdb_host: Annotated[str | None, Field(description="unset: embedded")] = None
    questdb_port: Annotated[int, Field(ge=1, le=65535, description="PostgreSQL wire, for queries")] = 8812
    questdb_http_port: Annotated[int, Field(ge=1, le=65535, description="HTTP, for writes")] = 9000
    data_dir: Annotated[Path, Field(description="everything the embedded servers keep")] = Path(".sofia")
    namespace: Annotated[
        str, Field(pattern=r"^[a-z0-9-]{0,40}$", description="label of topics, tables and streams")
    ] = ""
    simulator_url: Annotated[
        str | None, Field(pattern=r"^ws://", description="ws://host:port instead of the exchanges")
    ] = None
    replay_url: Annotated[
        str | None, Field(pattern=r"^ws://", description="ws://host:port/replay of recorded frames")
    ] = None

    crypto_exchanges: Annotated[tuple[Exchange, ...], NoDecode, BeforeValidator(_listed)] = get_args(Exchange)
    crypto_symbols: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = (
        "BTC/USDT",
        "ETH/USDT",
        "SOL/USDT",
    )
    crypto_market: Market = "spot"
    symbol_overrides: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_listed),
        Field(description="venue:BASE/QUOTE=LISTING, where a venue's own name does not follow its rule"),
    ] = ()
    coalesce_ms_max: Annotated[
        int, Field(ge=0, le=50, description="trades of an instrument wait at most this long")
    ] = 20
    lateness_ms: Annotated[int, Field(ge=0, le=60_000, description="how late a trade may be before a bar closes")] = (
        1_000
    )
    stale_after_s: Annotated[int, Field(ge=1, le=3600)] = 15
    dedup_ids_max: Annotated[int, Field(ge=1_000, le=10_000_000, description="trade ids remembered an instrument")] = (
        50_000
    )
    queue_frames_max: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000

    topic_partitions: Annotated[int, Field(ge=1, le=64)] = 4
    topic_retention_hours: Annotated[int, Field(ge=0, le=87_600, description="0: for ever")] = 168
    retention_trades_days: Annotated[int, Field(ge=0, le=36_500, description="0: for ever")] = 30
    retention_bars_1s_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    retention_bars_1m_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    retention_tickers_days: Annotated[int, Field(ge=0, le=36_500)] = 7
    redis_maxlen: Annotated[int, Field(ge=100, description="entries kept a stream, about")] = 100_000
    writer_rows_max: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    writer_wait_ms_max: Annotated[
        int, Field(ge=1, le=10_000, description="each commit costs QuestDB about 5 ms of a core, however few its rows")
    ] = 500
    bridge_wait_ms_max: Annotated[int, Field(ge=1, le=10_000)] = 20
    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535, description="0: no web view")] = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    ai_model_types: Annotated[tuple[Literal["lightgbm", "logistic"], ...], NoDecode, BeforeValidator(_listed)] = (
        "lightgbm",
        "logistic",
    )
    ai_min_signal_confidence: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.6")
    paper_initial_balance: Annotated[Decimal, Field(gt=0)] = Decimal(10_000)
    paper_max_position_size_pct: Annotated[Decimal, Field(gt=0, le=100)] = Decimal(10)
    whale_webhook_url: SecretStr | None = None
    telegram_bot_token: SecretStr | None = None

    @field_validator("crypto_symbols")
    @classmethod
    def _unified(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(unified_name(name) for name in names)

    @field_validator("symbol_overrides")
    @classmethod
    def _overrides(cls, overrides: tuple[str, ...]) -> tuple[str, ...]:
        for text in overrides:
            if _OVERRIDE.fullmatch(text) is None:
                raise ValueError(f"expected venue:BASE/QUOTE=LISTING, like coinbase:BTC/USDT=BTC-USD, found {text!r}")
        return overrides

    def listings(self) -> dict[tuple[str, str], str]:
        """`symbol_overrides` as {(venue, unified pair): the venue's name}."""
        found = [_OVERRIDE.fullmatch(text) for text in self.symbol_overrides]
        return {(match["venue"], match["pair"]): match["listing"] for match in found if match}

    def broker(self) -> str:
        """The broker's address. Raises ConfigError where none is set."""
        if self.broker_url is None:
            raise ConfigError("BROKER_URL: expected kafka://host:port, found nothing. `sofia up` starts a broker.")
        return self.broker_url

    def questdb_address(self) -> str:
        """QuestDB's HTTP address, host:port. Raises ConfigError where none is set."""
        if self.questdb_host is None:
            raise ConfigError(
                "QUESTDB_HOST: expected a host name, found nothing. `sofia up` starts an embedded QuestDB."
            )
        return f"{self.questdb_host}:{self.questdb_http_port}"

    def redis_address(self) -> str:
        """The Redis URL, password included. Raises ConfigError where none is set."""
        if self.redis_url is None:
            raise ConfigError("REDIS_URL: expected redis://host:port/0, found nothing. `sofia up` starts a server.")
        return self.redis_url.get_secret_value()

    def table_prefix(self) -> str:
        """What goes before a database table's name: the namespace as a label."""
        return f"{self.namespace.replace('-', '_')}_" if self.namespace else ""

    def stream_prefix(self) -> str:
        """What goes before a Redis stream's name."""
        return f"{self.namespace}:" if self.namespace else ""

    def retention_days(self) -> dict[str, int]:
        """Days that each database table keeps; 0 for ever."""
        return {
            "trades": self.retention_trades_days,
            "bars_1s": self.retention_bars_1s_days,
            "bars_1m": self.retention_bars_1m_days,
            "tickers": self.retention_tickers_days,
        }


def unified_name(name: str) -> str:
    """`BTCUSDT`, `BTC-USDT` or `BTC/USDT` to `BTC/USDT`. Raises ValueError."""
    base, slash, quote = name.upper().replace("-", "/").partition("/")
    if not slash:
        try:
            base, quote, guessed = split_joined(base)
        except UnknownSymbol as error:
            raise ValueError(str(error)) from error
        if guessed:
            raise ValueError(f"expected a pair like BTC/USDT, found {name!r}, which could be split in several ways")
    if not base or not quote:
        raise ValueError(f"expected a pair like BTC/USDT, found {name!r}")
    return f"{base}/{quote}"


class ShownSetting(NamedTuple):
    """One line of `sofia config show`; secrets are masked."""

    key: str
    value: str
    origin: str
    description: str


def load_settings(env_file: Path | None = Path(".env"), environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a file, then the environment over it. Raises ConfigError that names every wrong key."""
    found, _ = _collect(env_file, os.environ if environ is None else environ)
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(problem) for problem in error.errors())) from None


def shown(env_file: Path | None = Path(".env"), environ: Mapping[str, str] | None = None) -> list[ShownSetting]:
    """Every setting as it is in force, and where it comes from. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    settings, (_, origins) = load_settings(env_file, environ), _collect(env_file, environ)
    fields = Settings.model_fields.items()
    return [
        ShownSetting(
            name.upper(), _text(getattr(settings, name)), origins.get(name, "default"), field.description or ""
        )
        for name, field in fields
    ]


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment from which `load_settings` makes equal settings in a child process; only what is not default."""
    chosen = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.default:
            chosen[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else _text(value)
    return chosen


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def _collect(env_file: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    known = {name.upper(): name for name in Settings.model_fields}
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    problems = []
    sources = [(str(env_file), read_env_file(env_file), True)] if env_file and env_file.exists() else []
    for source, pairs, strict in [*sources, ("environment", environ, False)]:
        for key, value in pairs.items():
            if key in known:
                values[known[key]], origins[known[key]] = value, source
            elif not key.startswith(COMPOSE_PREFIXES) and (strict or _looks_ours(key, known)):
                near = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0)
                problems.append(f"{key}: unknown key in {source}; the nearest is {near[0]}. See .env.example for all.")
    if problems:
        raise ConfigError("\n".join(problems))
    return values, origins


def _looks_ours(key: str, known: Mapping[str, str]) -> bool:
    """Whether a variable nobody declared is probably a misspelt setting of ours."""
    return key.startswith(_OURS) or bool(difflib.get_close_matches(key, known, n=1, cutoff=_NEAR))


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines; # comments; quotes around a value are taken off. Raises ConfigError with the line number."""
    pairs: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.removeprefix("export ").partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{path}: line {number}: expected KEY=VALUE, found {text.split()[0][:40]!r}")
        value = value.split(" #")[0].strip()
        pairs[key.strip()] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    return pairs


def _problem(problem: Any) -> str:
    key = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
    field = Settings.model_fields.get(key.lower())
    secret = field is not None and "SecretStr" in str(field.annotation)
    found = "a value that is not shown" if secret else repr(problem.get("input"))
    return f"{key}: {problem['msg']}; found {found}. See .env.example for what is allowed."
