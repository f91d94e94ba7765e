"""One log format for all our processes, libraries included: a line on stderr, or JSON. Logs no records, no secrets."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog


def configure(level: str, *, as_json: bool) -> dict[str, Any]:
    """Send everything through one formatter on stderr; returns the dictionary, for Faust to set it again."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.processors.LogfmtRenderer(sort_keys=False)
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _printable, render],
        "foreign_pre_chain": shared,
    }
    quiet = {"level": max(logging.WARNING, logging.getLevelName(level.upper()))}
    settings = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "loggers": {
            **dict.fromkeys(("aiokafka", "faust", "mode", "websockets", "asyncio"), quiet),
            "faust.transport.producer": {"level": "ERROR"},  # warns of every hundred records on their way
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }
    logging.config.dictConfig(settings)
    return settings


def _printable(logger: object, name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """What a venue says is shown, not obeyed: no control or direction character reaches a terminal."""
    return {key: _escaped(value) if isinstance(value, str) else value for key, value in event.items()}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else f"\\x{ord(sign):02x}" for sign in text)
