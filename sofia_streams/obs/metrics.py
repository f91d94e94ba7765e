"""The Prometheus metrics of every worker, and of `sofia up`: the only list.

One process is one worker, so the default registry serves; `sofia up` has a registry and a page of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

_MS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000)
_FINE_MS = tuple(round(0.5 * 1.2**step, 3) for step in range(70))
"""0.5 ms to 145 s, each bucket 20 % wider than the one before, so that a quantile is known to a few percent."""

TRADES = Counter("sofia_trades", "Distinct trades taken in", ["venue"])
TICKS_PER_S = Gauge("sofia_ticks_per_second", "Distinct trades a second, over the last second", ["venue"])
FRAMES = Counter("sofia_frames", "Frames received", ["venue"])
DUPLICATES = Counter("sofia_duplicates", "Trades received again", ["venue"])
STALE = Counter("sofia_stale", "Trades older than the limit at receipt", ["venue"])
STALE_RATIO = Gauge("sofia_stale_ratio", "Share of trades that were stale, since the start", ["venue"])
LATE = Counter("sofia_late", "Trades of a second that their own feed had passed", ["venue"])
LEFT_OUT = Counter("sofia_left_out", "Joined prints of ids that come into the log one by one, by REST", ["venue"])
ODD_IDS = Counter("sofia_odd_ids", "Trades whose id does not go on from the ones before", ["venue"])
REFUSED = Counter("sofia_refused", "Trades and tickers that cannot be true, or whose name is not known", ["venue"])
PARSE_ERRORS = Counter("sofia_parse_errors", "Frames or rows that are not as the venue documents them", ["venue"])
QUARANTINED = Counter("sofia_quarantined", "Inputs set aside with the reason", ["source"])
RECONNECTS = Counter("sofia_reconnects", "Connections opened after the first", ["venue"])
CONNECTED = Gauge("sofia_connected", "Connections that are live", ["venue"])
LAST_FRAME_SECONDS = Gauge("sofia_last_frame_seconds", "Unix time of the last frame", ["venue"])
UNLISTED = Gauge("sofia_unlisted", "Configured pairs that the venue does not list, or does not trade now", ["venue"])
RECEIVE_LATENCY_MS = Histogram("sofia_receive_latency_ms", "Exchange time to receipt", ["venue"], buckets=_MS)
QUEUE_FRAMES = Gauge("sofia_queue_frames", "Frames received and not read yet", ["venue"])

LINE_LEAD_MS = Histogram(
    "sofia_line_lead_ms", "How much earlier a line had a trade that another had too", ["venue", "line"], buckets=_MS
)
SKEW_MS = Gauge("sofia_clock_skew_ms", "Smallest receipt minus exchange time of the last minute", ["venue"])
SILENT = Gauge("sofia_silent", "Instruments that are silent for longer than is usual for them", ["shard"])

GAPS_OPEN = Gauge("sofia_gaps_open", "Holes in the trades that are not filled", ["venue"])
BACKFILLED = Counter("sofia_backfilled", "Trades fetched later", ["venue"])
BACKFILL_ERRORS = Counter("sofia_backfill_errors", "Times that a venue did not give what was missing", ["venue"])

RECORDS = Counter("sofia_records", "Log records applied", ["topic"])
TRADES_APPLIED = Counter("sofia_trades_applied", "Trades folded into candles")
TRADES_LATE = Counter("sofia_trades_late", "Trades that revised a closed window")
BARS = Counter("sofia_bars", "Bars published", ["size"])
BARS_NOT_REBUILT = Counter(
    "sofia_bars_not_rebuilt",
    "Minutes, a venue's or consolidated, that a trade or news of a gap reached after the log had dropped them",
)
STAGE_MS = Histogram(
    "sofia_stage_ms", "From the log record's time (live: receipt) to done, by stage", ["stage"], buckets=_FINE_MS
)

PREDICTIONS = Counter("sofia_predictions", "Bars scored, by class, or not, by reason", ["symbol", "outcome"])
_QUALITY = {
    "labels": "Matured labels that the measures are over",
    "accuracy": "Share of labels on the predicted side of one half",
    "brier": "Mean squared error of the probability",
    "ece": "Expected calibration error",
    "base_rate": "Share of labels that came true",
    "log_loss": "Mean log loss, nats",
    "drift_psi": "Largest population stability index of the inputs that matter",
}
MODEL = {name: Gauge(f"sofia_model_{name}", told, ["symbol", "role"]) for name, told in _QUALITY.items()}
"""By the field of `scored.ModelQuality`; role: champion, challenger."""
MODEL_DRIFT = Gauge("sofia_model_drift", "Largest population stability index, all symbols together")
MODEL_AGE_SECONDS = Gauge("sofia_model_age_seconds", "From the data of the model in force to the newest bar")
TRAININGS = Counter("sofia_trainings", "Trainings that ended, by outcome", ["outcome"])
TRAINING = Gauge("sofia_training", "1 while a model is being trained")

ORDERS = Counter("sofia_orders", "Paper orders that were opened or ended, by status and reason", ["status", "reason"])
FILLS = Counter("sofia_fills", "Paper executions", ["venue", "liquidity"])
EQUITY = Gauge("sofia_equity_quote", "Cash and positions of the paper account at their marks")
DRAWDOWN = Gauge("sofia_drawdown", "How far the equity is below its peak, a fraction of that")
ACCOUNT = Gauge("sofia_account_quote", "Of the paper account: cash, realised, unrealised, fees, gross exposure", ["of"])
TRADED = Counter("sofia_traded_quote", "Notional of paper executions: its turnover, by the equity", ["venue"])
SLIPPAGE = Gauge("sofia_slippage_quote", "What executions cost against the middle at their decision, since the start")
CLOSED = Counter("sofia_closing_fills", "Paper executions that realised something, before fees", ["result"])
CLOSED_QUOTE = Counter("sofia_closing_fills_quote", "What they won or lost, both above 0", ["result"])
POSITIONS = Gauge("sofia_positions", "Open positions of the paper account")
TRADING = Gauge("sofia_trading", "1 for the state that the paper account is in", ["state"])

LOOP_BLOCKED = Counter("sofia_loop_blocked", "Times that the event loop did not turn for two seconds")
WAITING = Gauge("sofia_waiting", "1 while it waits for a reason it knows: a store is away, a long read", ["why"])
SINK_QUEUE = Gauge("sofia_writer_queue", "Records waiting for a sink", ["sink"])
SINK_ROWS = Counter("sofia_sink_rows", "Rows or entries acknowledged by a sink", ["sink"])
SINK_ERRORS = Counter("sofia_sink_errors", "Writes that a sink refused or missed", ["sink"])
FAILED_OVER = Gauge("sofia_failed_over", "1 while rows go to the fallback instead of this store", ["store"])
FALLBACK_ROWS = Counter("sofia_fallback_rows", "Rows that the fallback took for the primary store", ["store"])
FILLED_ROWS = Counter("sofia_filled_rows", "Rows that a store missed and that were written to it later", ["store"])
TABLES_SUSPENDED = Gauge("sofia_tables_suspended", "Tables that take rows and do not apply them", ["store"])
LOGS_BEGUN_ANEW = Counter("sofia_logs_begun_anew", "Partitions found to be another log than was read", ["topic"])
GIVEN_UP = Counter("sofia_inputs_given_up", "Times that an input was silent and waited for no longer", ["input"])
STRANGERS = Counter("sofia_paper_strangers", "Records of instruments that no setting of the account names", ["topic"])
PASSED_OVER = Counter("sofia_passed_over", "Records that the client passed over, and were read again", ["topic"])
LOG_OVERTAKEN = Counter("sofia_log_overtaken", "Records that retention dropped before they were read", ["topic"])
SINK_WRITE_SECONDS = Histogram("sofia_sink_write_seconds", "One write to a sink until its ack", ["sink"])
BUS_LAG_MS = Gauge("sofia_bus_lag_ms", "Age of the record just written, from its receipt", ["sink"])

_UP = CollectorRegistry()
UNWATCHED_SECONDS = Gauge(
    "sofia_unwatched_seconds", "Since the watch last saw how far a worker is", ["worker"], registry=_UP
)
RESTARTS = Gauge("sofia_restarts", "Times that a process was started again", ["process"], registry=_UP)
LEFT_DOWN = Gauge("sofia_left_down", "1 where a process is not started again", ["process"], registry=_UP)


@contextmanager
def up_page(host: str, port: int) -> Iterator[None]:
    """Inside, the metrics of `sofia up` are served at /metrics there. Raises OSError where the port is taken."""
    server, thread = start_http_server(port, addr=host, registry=_UP)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def text() -> bytes:
    """All metrics in the exposition format."""
    return generate_latest()
