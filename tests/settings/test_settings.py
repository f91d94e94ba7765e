"""Settings: what is set counts, what is wrong is named with its cure, secrets are never shown."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_values import PAPER_VALUES
from pydantic import SecretStr

from sofia_streams.errors import ConfigError
from sofia_streams.settings import Settings, load_settings, shown, worker_environment
from sofia_streams.settings.env_keys import COMPOSE_PREFIXES, read_env_file

SECRET = "hunter2-never-shown"


def refused(env: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, env)
    return str(caught.value)


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# == what is set


def test_without_anything_set_every_server_is_embedded():
    settings = load_settings(None, {})
    assert settings == Settings()
    assert (settings.broker_url, settings.redis_url, settings.questdb_host) == (None, None, None)


def test_the_environment_goes_before_the_file(tmp_path):
    path = written(tmp_path, "LOG_LEVEL=debug\nWEB_PORT=7000\n")
    settings = load_settings(path, {"LOG_LEVEL": "error"})
    assert (settings.log_level, settings.web_port) == ("error", 7000)


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_value_is_one_that_is_not_set(value):
    """Compose hands `${NAME:-}` over as an empty variable."""
    env = dict.fromkeys((name.upper() for name in Settings.model_fields), value)
    assert load_settings(None, env) == Settings()


def test_an_empty_variable_leaves_the_files_value_in_force(tmp_path):
    assert load_settings(written(tmp_path, "WEB_PORT=7000"), {"WEB_PORT": ""}).web_port == 7000


def test_comma_lists_parse_and_symbols_become_unified():
    settings = load_settings(None, {"CRYPTO_EXCHANGES": "binance, okx", "CRYPTO_SYMBOLS": "BTCUSDT,eth-usdt,SOL/USDC"})
    assert settings.crypto_exchanges == ("binance", "okx")
    assert settings.crypto_symbols == ("BTC/USDT", "ETH/USDT", "SOL/USDC")


def test_symbol_overrides_become_listings():
    settings = load_settings(None, {"SYMBOL_OVERRIDES": "coinbase:BTC/USDT=BTC-USD"})
    assert settings.listings() == {("coinbase", "BTC/USDT"): "BTC-USD"}


# == the file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("LOG_LEVEL=debug", "debug"),
        ("export LOG_LEVEL = debug", "debug"),
        ("LOG_LEVEL=debug # loud", "debug"),
        ('LOG_LEVEL="debug"', "debug"),
        ("LOG_LEVEL='a # b' # c", "a # b"),
        ("LOG_LEVEL=a#b", "a#b"),
        ("LOG_LEVEL= # nothing", ""),
        ("\ufeffLOG_LEVEL=debug", "debug"),
    ],
)
def test_a_line_of_the_file_reads_as(tmp_path, line, value):
    assert read_env_file(written(tmp_path, line)) == {"LOG_LEVEL": value}


def test_a_file_that_is_not_there_sets_nothing(tmp_path):
    assert load_settings(tmp_path / ".env", {}) == Settings()


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path):
    path = written(tmp_path, b"LOG_LEVEL=debug\nDATA_DIR=caf\xe9\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path}: expected UTF-8 text, found byte 0xe9 at 28")):
        load_settings(path, {})


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a file that can be read"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize("line", [SECRET, f"TELEGRAM_BOT_TOKEN:{SECRET}", f"{SECRET}=x", "=x"])
def test_a_line_that_is_none_is_refused_by_number_and_not_shown(tmp_path, line):
    with pytest.raises(ConfigError, match="line 2: expected KEY=VALUE") as caught:
        load_settings(written(tmp_path, f"# ok\n{line}\n"), {})
    assert SECRET not in str(caught.value)


# == wrong keys


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("CRYPTO_EXCHANGE", "CRYPTO_EXCHANGES, a comma list without repeats of binance, okx, coinbase, bybit"),
        ("QUESTDB_HTTPPORT", "QUESTDB_HTTP_PORT, a whole number from 1 to 65535"),
        ("REDISURL", "REDIS_URL, a text like redis://localhost:6379/0"),
        ("redis_url", "REDIS_URL"),
        ("LOGLEVEL", "LOG_LEVEL, one of debug, info, warning, error"),
        ("PAPER_BALANCE", "PAPER_INITIAL_BALANCE, a number above 0"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_key_and_its_values(tmp_path, key, nearest):
    assert f"{key}: unknown key in environment; the nearest is {nearest}" in refused({key: "1"})
    path = written(tmp_path, f"{key}=1")
    with pytest.raises(ConfigError, match=re.escape(f"{key}: unknown key in {path}; the nearest is {nearest}")):
        load_settings(path, {})


@pytest.mark.parametrize(
    "key", ["HOME", "HOSTNAME", "PYTHON_VERSION", "GPG_KEY", "AI_AGENT", "LOGNAME", "KUBERNETES_PORT", "HTTP_PROXY"]
)
def test_a_variable_of_another_program_is_left_alone(key):
    assert load_settings(None, {key: "1"}) == Settings()


def test_a_foreign_key_in_the_file_is_refused_but_for_those_of_compose(tmp_path):
    allowed = "".join(f"{prefix}ANYTHING=1\n" for prefix in COMPOSE_PREFIXES)
    assert load_settings(written(tmp_path, allowed), {}) == Settings()
    with pytest.raises(ConfigError, match=r"OTHER: unknown key in .*; the nearest is \w+"):
        load_settings(written(tmp_path, "OTHER=2"), {})


def test_everything_wrong_is_said_at_once():
    said = refused({"CRYPTO_EXCHANGE": "okx", "WEB_PORT": "x", "LOG_LEVEL": "loud"})
    assert [line.partition(":")[0] for line in said.splitlines()] == ["CRYPTO_EXCHANGE", "WEB_PORT", "LOG_LEVEL"]


# == wrong values


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("CRYPTO_EXCHANGES", "okx,binanse", "binance, okx, coinbase, bybit, found 'binanse'. Did you mean binance?"),
        ("CRYPTO_EXCHANGES", ",", "a comma list without repeats of binance, okx, coinbase, bybit, found ','"),
        ("CRYPTO_EXCHANGES", "okx,okx", "without repeats of binance, okx, coinbase, bybit, found 'okx,okx'"),
        ("AI_MODEL_TYPES", "torch", "a comma list without repeats of lightgbm, logistic, found 'torch'"),
        ("CRYPTO_MARKET", "futures", "one of spot, linear, inverse, found 'futures'"),
        ("LOG_LEVEL", "INFO", "one of debug, info, warning, error, found 'INFO'. Did you mean info?"),
        ("LOG_JSON", "maybe", "true or false, found 'maybe'"),
        ("WEB_PORT", "65536", "a whole number from 0 to 65535, found '65536'"),
        ("WEB_PORT", "6_0", "a whole number from 0 to 65535, found '6_0'"),
        ("TOPIC_PARTITIONS", "２", "a whole number from 1 to 64, found '２'"),
        ("REDIS_MAXLEN", "1", "a whole number of at least 100, found '1'"),
        ("AI_MIN_SIGNAL_CONFIDENCE", "1.5", "a number from 0 to 1, found '1.5'"),
        ("AI_MIN_SIGNAL_CONFIDENCE", "NaN", "a number from 0 to 1, found 'NaN'"),
        ("PAPER_INITIAL_BALANCE", "1e9", "a number above 0, found '1e9'"),
        ("PAPER_MAX_POSITION_SIZE_PCT", "0", "a number above 0 and at most 100, found '0'"),
        ("BROKER_URL", "localhost:9092", "a text like kafka://localhost:9092, found 'localhost:9092'"),
        ("SIMULATOR_URL", "http://x", "a text like ws://localhost:8765, found 'http://x'"),
        ("REPLAY_URL", "x", "a text like ws://localhost:8765/replay, found 'x'"),
        ("NAMESPACE", "A b", "a text like demo-2, found 'A b'"),
        ("QUESTDB_HOST", "http://db:9000", "a text like localhost, found 'http://db:9000'"),
        ("WEB_HOST", "0.0.0.0:80", "a text like 127.0.0.1, found '0.0.0.0:80'"),
        ("CRYPTO_SYMBOLS", "FOO", "a pair like BTC/USDT"),
        ("CRYPTO_SYMBOLS", "BTC/US DT", "a pair like BTC/USDT, found 'BTC/US DT'"),
        ("CRYPTO_SYMBOLS", "BTCUSDT,BTC/USDT", "each pair once, found BTCUSDT, BTC/USDT"),
        ("SYMBOL_OVERRIDES", "kraken:BTC/USDT=XBT", "with a venue of binance, okx, coinbase, bybit, found 'kraken"),
        ("REDIS_URL", SECRET, "a text like redis://localhost:6379/0, found a value that is not shown"),
        ("WHALE_WEBHOOK_URL", SECRET, "a text like https://example.com/hook, found a value that is not shown"),
        ("TELEGRAM_BOT_TOKEN", SECRET, "a text like 123456:replace-me, found a value that is not shown"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(key, value, said):
    message = refused({key: value})
    assert message.startswith(f"{key}: expected ")
    assert said in message
    assert SECRET not in message


def test_coinbase_with_contracts_is_refused_before_anything_starts():
    said = refused({"CRYPTO_MARKET": "linear", "CRYPTO_EXCHANGES": "bybit,coinbase,okx"})
    assert said.startswith("CRYPTO_MARKET: expected spot while coinbase is among CRYPTO_EXCHANGES")
    assert "Set CRYPTO_EXCHANGES=bybit,okx" in said
    assert load_settings(None, {"CRYPTO_MARKET": "linear", "CRYPTO_EXCHANGES": "bybit"}).crypto_market == "linear"


# == secrets


def test_secrets_show_in_no_text_but_the_one_for_a_worker():
    env = {
        "REDIS_URL": f"redis://:{SECRET}@cache:6379/0",
        "WHALE_WEBHOOK_URL": f"https://example.com/{SECRET}",
        "TELEGRAM_BOT_TOKEN": f"1:{SECRET}",
        "SIMULATOR_URL": f"ws://user:{SECRET}@host:1",
        "TIMESCALE_URL": f"postgresql://sofia:{SECRET}@db:5432/sofia",
    }
    settings = load_settings(None, env)
    texts = [repr(settings.redis_url), str(shown(None, env)), settings.model_dump_json(exclude={"simulator_url"})]
    assert not [text for text in texts if SECRET in text]
    assert SECRET not in repr(settings.model_copy(update={"simulator_url": None}))
    assert SECRET not in refused(env | {"WEB_PORT": "x", "BROKER_URL": f"kafka://me:{SECRET}@host:1"})
    assert settings.redis_address() == env["REDIS_URL"]
    assert settings.fallback_url() == env["TIMESCALE_URL"]
    assert worker_environment(settings) == env


def test_every_shown_setting_says_its_origin_and_what_it_may_be(tmp_path):
    path = written(tmp_path, "LOG_LEVEL=debug\nWEB_PORT=7000")
    lines = {line.key: line for line in shown(path, {"WEB_PORT": "7001"})}
    assert list(lines) == [name.upper() for name in Settings.model_fields]
    assert (lines["LOG_LEVEL"].origin, lines["WEB_PORT"].origin) == (str(path), "environment")
    assert (lines["WEB_PORT"].value, lines["DATA_DIR"].origin) == ("7001", "default")
    assert all(line.description for line in lines.values())


# == a child process gets the same settings

HOSTS = st.from_regex(r"[a-z]([a-z0-9-]{0,9}[a-z0-9])?(\.[a-z0-9]{1,9})?", fullmatch=True)
PORTS = st.integers(1, 65535)
NUMBERS = st.decimals("0.00000001", "1000000000", places=8)
PAIRS = st.sampled_from(["BTC/USDT", "ETH/USDC", "DOGE/USD", "1000PEPE/USDT", "SOL/BTC"])
VALUES = {
    "redis_url": st.builds("redis://:p#'\"{}@{}:{}/0".format, HOSTS, HOSTS, PORTS).map(SecretStr),
    "broker_url": st.builds("kafka://{}:{}".format, HOSTS, PORTS),
    "questdb_host": HOSTS,
    "models_dir": st.sampled_from([Path("/srv/models"), Path("é")]),
    "data_dir": st.sampled_from([Path("/var/lib/sofia"), Path("with space/and # mark"), Path("é")]),
    "namespace": st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
    "simulator_url": st.builds("ws://{}:{}".format, HOSTS, PORTS),
    "replay_url": st.builds("ws://{}:{}/replay".format, HOSTS, PORTS),
    "crypto_exchanges": st.lists(st.sampled_from(["binance", "okx", "bybit"]), min_size=1, unique=True).map(tuple),
    "crypto_symbols": st.lists(PAIRS, min_size=1, unique=True).map(tuple),
    "crypto_market": st.just("spot"),
    "symbol_overrides": st.lists(PAIRS.map("okx:{}=X-Y".format), min_size=1, unique=True).map(tuple),
    "web_host": HOSTS,
    "signals_bar_size": st.sampled_from(["1s", "1m"]),
    "log_level": st.sampled_from(["debug", "warning"]),
    "log_json": st.booleans(),
    "fallback_enabled": st.booleans(),
    "timescale_url": st.builds("postgresql://{}:p@{}:{}/{}".format, HOSTS, HOSTS, PORTS, HOSTS).map(SecretStr),
    "ai_model_types": st.just(("logistic",)),
    "ai_min_signal_confidence": st.decimals(0, 1, places=6),
    **PAPER_VALUES,
    "paper_instruments": st.lists(PAIRS.map("okx|spot|{}|tickers".format), min_size=1, unique=True).map(tuple),
    "paper_initial_balance": NUMBERS | st.just(Decimal("1E+9")),
    "whale_webhook_url": st.builds("https://{}/{}".format, HOSTS, HOSTS).map(SecretStr),
    "telegram_bot_token": st.from_regex(r"[0-9]{1,9}:[A-Za-z0-9_-]{1,30}", fullmatch=True).map(SecretStr),
}


def whole_numbers(name: str) -> st.SearchStrategy[int]:
    bounds = {
        key: getattr(mark, key)
        for mark in Settings.model_fields[name].metadata
        for key in ("ge", "le")
        if hasattr(mark, key)
    }
    return st.integers(bounds["ge"], bounds.get("le", 10**14))


STRATEGIES = VALUES | {name: whole_numbers(name) for name in Settings.model_fields if name not in VALUES}
STRATEGIES["watchdog_stall_s"] = st.integers(23, 3_600)  # less is refused with long waits


@given(st.fixed_dictionaries({}, optional=STRATEGIES))
def test_a_worker_gets_equal_settings_from_its_environment(chosen):
    settings = Settings.model_validate(chosen)
    env = worker_environment(settings)
    assert load_settings(None, env) == settings
    assert set(env) <= {name.upper() for name in chosen}, "what is default is left out"


@pytest.mark.parametrize("market", ["linear", "inverse"])
def test_a_worker_gets_the_market(market):
    settings = Settings.model_validate({"crypto_market": market, "crypto_exchanges": ("okx",)})
    assert load_settings(None, worker_environment(settings)) == settings


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero, a file without end")
def test_a_file_that_never_ends_is_refused():
    with pytest.raises(ConfigError, match="at most 1048576 bytes"):
        load_settings(Path("/dev/zero"), {})
