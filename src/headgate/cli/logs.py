"""This file is where our own log lines are told where to go: to stderr, always, so that answers stay clean.

Whatever goes there goes through the mask of `headgate.secrets.known`: our lines, those of libraries, tracebacks.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, TextIO, cast

from headgate.secrets import known

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
    from headgate.settings.private import secret_texts  # noqa: PLC0415 - `--help` needs no settings

    known.learn([*secret_texts(settings), *os.environ.get("HEADGATE_SECRETS_KEY", "").replace(",", " ").split()])
    _mask_others()
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
            _masked,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, at_least.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unbreakable(sys.stderr))),
        cache_logger_on_first_use=False,
    )


class _Unbreakable(io.TextIOBase):
    """A stream that drops what cannot be written: whoever read our lines may be gone, and the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError, ValueError):  # a pipe without a reader, a full disk; a closed stream
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _masked(_logger: object, _method: str, line: Any) -> Any:
    """The last step: the line as it will stand there."""
    return known.mask(line) if isinstance(line, str) else line


class _Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return known.mask(super().format(record))


def _mask_others() -> None:
    """What libraries log, and how threads end, goes to stderr without asking us; let it go through the mask."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Masking())
    threading.excepthook = _thread_failed


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is SystemExit or failed.exc_value is None:
        return
    name = failed.thread.name if failed.thread else "?"
    text = "".join(traceback.format_exception(failed.exc_value))
    _Unbreakable(sys.stderr).write(known.mask(f"Exception in thread {name}:\n{text}"))
