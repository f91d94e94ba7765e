"""Every setting: key, default, bounds, what it is for; and what follows from several of them. Reads nothing itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sofia_streams.errors import ConfigError
from sofia_streams.model import Market
from sofia_streams.settings.paper import PaperSettings
from sofia_streams.settings.values import (
    SERVER,
    Exchange,
    check_address,
    check_host,
    override,
    plain_number,
    secret_like,
    split_list,
    unified_name,
)

_COMMITTED_MS = 3_000
"""From the end of a writer's wait until the watch may know: the write, Faust's commit (0.5 s), the next look (1 s)."""
_LIST = BeforeValidator(split_list)
_REDIS = AfterValidator(secret_like(r"(rediss?|unix)://\S+"))
_POSTGRES = AfterValidator(secret_like(r"postgres(ql)?://[^\s/]+/\S+"))
_HTTP = AfterValidator(secret_like(r"https?://\S+"))
_HOST, _ADDRESS = AfterValidator(check_host), AfterValidator(check_address)
_BOT = AfterValidator(secret_like(r"[0-9]+:[A-Za-z0-9_-]+"))


class Settings(PaperSettings):
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

    redis_url: Annotated[
        SecretStr | None, _REDIS, Field(description="Redis; unset: embedded", examples=["redis://localhost:6379/0"])
    ] = None
    crypto_exchanges: Annotated[tuple[Exchange, ...], _LIST, Field(description="venues to read")] = get_args(Exchange)
    crypto_symbols: Annotated[
        tuple[str, ...], _LIST, Field(description="pairs to read at every venue", examples=["BTC/USDT,ETH/USDT"])
    ] = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    questdb_host: Annotated[
        str | None,
        Field(pattern=rf"^({SERVER})$", description="QuestDB; unset: embedded", examples=["localhost"]),
        _HOST,
    ] = None
    questdb_port: Annotated[int, Field(ge=1, le=65535, description="QuestDB's PostgreSQL wire, for queries")] = 8812
    ai_model_types: Annotated[
        tuple[Literal["lightgbm", "logistic"], ...], _LIST, Field(description="models that score")
    ] = ("lightgbm", "logistic")
    ai_min_signal_confidence: Annotated[
        Decimal, Field(ge=0, le=1, description="no order below this calibrated probability")
    ] = Decimal("0.6")
    whale_webhook_url: Annotated[
        SecretStr | None,
        _HTTP,
        Field(description="where whale alerts are posted", examples=["https://example.com/hook"]),
    ] = None
    telegram_bot_token: Annotated[
        SecretStr | None, _BOT, Field(description="bot that sends alerts", examples=["123456:replace-me"])
    ] = None

    broker_url: Annotated[
        str | None,
        Field(pattern=r"^kafka://[^/\s@]+$", description="Kafka; unset: embedded", examples=["kafka://localhost:9092"]),
        _ADDRESS,
    ] = None
    questdb_http_port: Annotated[int, Field(ge=1, le=65535, description="QuestDB's HTTP, for writes")] = 9000
    timescale_url: Annotated[
        SecretStr | None,
        _POSTGRES,
        Field(
            description="PostgreSQL or TimescaleDB that takes the rows while QuestDB is down; unset: none",
            examples=["postgresql://sofia:replace-me@localhost:5432/sofia"],
        ),
    ] = None
    fallback_enabled: Annotated[
        bool, Field(description="where TIMESCALE_URL is unset, `sofia up` starts an embedded PostgreSQL for that")
    ] = False
    failover_after_s: Annotated[
        int, Field(ge=1, le=600, description="QuestDB must fail this long before the rows go to the other, s")
    ] = 3
    data_dir: Annotated[Path, Field(description="where everything on this machine is kept")] = Path(".sofia")
    models_dir: Annotated[
        Path | None, Field(description="where models are kept; unset: below DATA_DIR", examples=["/srv/sofia/models"])
    ] = None
    namespace: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?)?$",
            description="label of topics, tables and streams: a-z, 0-9, and - between them, at most 40",
            examples=["demo-2"],
        ),
    ] = ""
    simulator_url: Annotated[
        str | None,
        Field(pattern=r"^ws://[^/\s]+$", description="stands in for the exchanges", examples=["ws://localhost:8765"]),
        _ADDRESS,
    ] = None
    replay_url: Annotated[
        str | None,
        Field(
            pattern=r"^ws://\S+$",
            description="recorded frames, set by replays",
            examples=["ws://localhost:8765/replay"],
        ),
        _ADDRESS,
    ] = None

    paper_instruments: Annotated[
        tuple[str, ...],
        _LIST,
        Field(description="waited for, set by replays; none: all", examples=["binance|spot|BTC/USDT|tickers"]),
    ] = ()

    crypto_market: Annotated[Market, Field(description="kind of instrument; coinbase has spot only")] = "spot"
    symbol_overrides: Annotated[
        tuple[str, ...],
        _LIST,
        Field(description="where a venue's own name does not follow its rule", examples=["coinbase:BTC/USDT=BTC-USD"]),
    ] = ()
    crypto_lines: Annotated[
        int, Field(ge=1, le=3, description="connections with the same pairs at each venue; the first arrival wins")
    ] = 1
    coalesce_ms_max: Annotated[int, Field(ge=0, le=50, description="trades wait for others at most this long, ms")] = 50
    lateness_ms: Annotated[int, Field(ge=0, le=10_000, description="a candle closes this long after its end, ms")] = (
        1_000
    )
    stale_after_s: Annotated[
        int, Field(ge=1, le=3600, description="a trade older than this at receipt is marked stale, s")
    ] = 15
    dedup_ids_max: Annotated[
        int, Field(ge=1_000, le=10_000_000, description="trade ids remembered for each instrument")
    ] = 50_000
    topic_partitions: Annotated[
        int, Field(ge=1, le=64, description="partitions of every topic that is keyed by symbol; cannot change later")
    ] = 4
    topic_retention_hours: Annotated[int, Field(ge=0, le=87_600, description="log kept, hours; 0: for ever")] = 168
    retention_trades_days: Annotated[int, Field(ge=0, le=36_500, description="rows kept, days; 0: for ever")] = 30
    retention_bars_1s_days: Annotated[int, Field(ge=0, le=36_500, description="rows kept, days; 0: for ever")] = 30
    retention_bars_1m_days: Annotated[int, Field(ge=0, le=36_500, description="rows kept, days; 0: for ever")] = 0
    retention_tickers_days: Annotated[int, Field(ge=0, le=36_500, description="rows kept, days; 0: for ever")] = 7
    redis_maxlen: Annotated[int, Field(ge=100, description="entries kept in a stream, about")] = 100_000
    writer_rows_max: Annotated[
        int, Field(ge=1, le=100_000, description="rows or entries in one write to a sink, about")
    ] = 5_000
    writer_wait_ms_max: Annotated[
        int, Field(ge=1, le=10_000, description="a write to QuestDB waits at most, ms; each costs about 5 ms of a core")
    ] = 500
    bridge_wait_ms_max: Annotated[int, Field(ge=1, le=10_000, description="a write to Redis waits at most, ms")] = 50
    signals_bar_size: Annotated[
        Literal["1s", "1m"], Field(description="candles that features are computed of and models score")
    ] = "1m"
    signals_history_hours: Annotated[
        int, Field(ge=0, le=168, description="candles of the venues before our own, so that features are ready at once")
    ] = 6
    train_horizon_bars: Annotated[int, Field(ge=1, le=1_440, description="how many candles ahead models look")] = 15
    train_after_hours: Annotated[
        int, Field(ge=1, le=8_760, description="a model is trained anew after so long, or earlier where it gets worse")
    ] = 24
    train_lifetime_hours: Annotated[
        int, Field(ge=1, le=8_760, description="a model scores no longer than this after the data it was made of")
    ] = 168
    watchdog_stall_s: Annotated[
        int, Field(ge=5, le=3_600, description="`sofia up` kills and restarts a worker that stands still so long, s")
    ] = 30
    web_host: Annotated[
        str,
        Field(pattern=rf"^({SERVER})$", description="address worker pages listen on", examples=["127.0.0.1"]),
        _HOST,
    ] = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535, description="port of a worker's pages; 0: none")] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least severe line that is logged")
    ] = "info"
    log_json: Annotated[bool, Field(description="one JSON object a log line")] = False

    @field_validator("*", mode="before")
    @classmethod
    def _plain_number(cls, value: object, info: ValidationInfo) -> object:
        return plain_number(value, cls.model_fields[str(info.field_name)].annotation)

    @field_validator("crypto_symbols")
    @classmethod
    def _unified(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(unified_name(name) for name in names)
        if len(set(found)) != len(found):
            raise ValueError(f"expected each pair once, found {', '.join(names)}")
        return found

    @field_validator("symbol_overrides")
    @classmethod
    def _overrides(cls, overrides: tuple[str, ...]) -> tuple[str, ...]:
        for text in overrides:
            override(text, get_args(Exchange))
        return overrides

    @model_validator(mode="after")
    def _listed_market(self) -> Settings:
        if self.crypto_market != "spot" and "coinbase" in self.crypto_exchanges:
            others = ",".join(venue for venue in self.crypto_exchanges if venue != "coinbase") or "binance"
            raise ValueError(
                f"CRYPTO_MARKET: expected spot while coinbase is among CRYPTO_EXCHANGES, since it lists nothing else, "
                f"found {self.crypto_market}. Set CRYPTO_EXCHANGES={others}, or leave CRYPTO_MARKET out."
            )
        return self

    @model_validator(mode="after")
    def _patient_watch(self) -> Settings:
        """A writer that collects commits nothing meanwhile; the watch must not take that for standing still."""
        for name in ("writer_wait_ms_max", "bridge_wait_ms_max"):
            wait_ms = getattr(self, name)
            if self.watchdog_stall_s * 1_000 < 2 * wait_ms + _COMMITTED_MS:
                least_s = -(-(2 * wait_ms + _COMMITTED_MS) // 1_000)
                most_ms = (self.watchdog_stall_s * 1_000 - _COMMITTED_MS) // 2
                raise ValueError(
                    f"WATCHDOG_STALL_S: expected at least {least_s} with {name.upper()}={wait_ms}, since a writer that "
                    f"is well may commit nothing for that long and would be killed, found {self.watchdog_stall_s}. Set "
                    f"WATCHDOG_STALL_S={least_s}, or {name.upper()}={most_ms}."
                )
        return self

    def listings(self) -> dict[tuple[str, str], str]:
        """`symbol_overrides` as {(venue, unified pair): the venue's name}."""
        return dict(override(text, get_args(Exchange)) for text in self.symbol_overrides)

    def broker(self) -> str:
        """The broker's URL, as Faust wants it. Raises ConfigError where none is set."""
        if self.broker_url is None:
            raise ConfigError("BROKER_URL: expected kafka://host:port, found nothing. `sofia up` starts a broker.")
        return self.broker_url

    def broker_address(self) -> str:
        """The broker's address, host:port, as clients want it. Raises ConfigError where none is set."""
        return self.broker().removeprefix("kafka://")

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

    def fallback_url(self) -> str | None:
        """The fallback's URL, password included, or None where there is none."""
        return self.timescale_url.get_secret_value() if self.timescale_url is not None else None

    def models_folder(self) -> Path:
        """Where models are kept, one folder each."""
        return self.models_dir or self.data_dir / "models"

    def table_prefix(self) -> str:
        """What goes before a database table's name: the namespace as a label."""
        return f"{self.namespace.replace('-', '_')}_" if self.namespace else ""

    def stream_prefix(self) -> str:
        """What goes before a Redis stream's name."""
        return f"{self.namespace}:" if self.namespace else ""

    def retention_days(self) -> dict[str, int]:
        """Days that each database table keeps; 0 for ever. What is said behind bars goes with them."""
        bars = {"1s": self.retention_bars_1s_days, "1m": self.retention_bars_1m_days}
        found = {"trades": self.retention_trades_days, "tickers": self.retention_tickers_days}
        found |= {f"{name}_{size}": days for size, days in bars.items() for name in ("bars", "features")}
        return found | dict.fromkeys(("predictions", "signals", "model_quality"), bars[self.signals_bar_size])
