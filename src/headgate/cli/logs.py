"""This file is where our own log lines are told where to go: to stderr, always, so that answers stay clean."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import Processor

    from headgate.settings import Settings


def of_command(settings: Settings) -> None:
    """A command shows only what went wrong: its own words say the rest."""
    _configure(settings, at_least="warning")


def of_server(settings: Settings) -> None:
    """A server shows what its settings ask for."""
    _configure(settings, at_least=settings.log_level)


def _configure(settings: Settings, *, at_least: str) -> None:
    import structlog  # noqa: PLC0415 - commands that open no ledger log nothing

    terminal = sys.stderr.isatty()
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not terminal)
    shown: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=terminal)
    )
    exceptions: list[Processor] = [structlog.processors.format_exc_info] if as_json else []
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, at_least.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
