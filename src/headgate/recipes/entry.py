"""This file is where a recipe's run begins, in its own process: DataHub's pipeline is made of the recipe and run.

What it is given: `recipe.json` in the run directory (see `Order`), its `${…}` not put in; the values come from memory
(`headgate.supervision.calling.secrets`). What it leaves behind: result, progress and error, in the files every job has,
masked. It ends as `datahub ingest` does: 0, or 1 for a run with failures.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, cast

from headgate.errors import EngineError
from headgate.recipes import awsing, own, quietly, reporting, targeted, text
from headgate.supervision import calling, records
from headgate.supervision.masking import Masker

ORDER: Final = "recipe.json"
TEST_CONNECTION: Final = "TEST_CONNECTION"
#: Characters of a role's session, at most: as many as a run's id has digits.
SESSION: Final = 64


class Order(TypedDict):
    """What is in `recipe.json`."""

    recipe: text.Document
    debug: bool
    task: str  #: "" to ingest, or TEST_CONNECTION
    plain: list[str]  #: names of values that are not masked
    tables: list[str]  #: the only ones that are wanted; none says nothing of tables


#: Errors that the same recipe will meet again.
_FOR_GOOD: Final = frozenset({"ConfigurationError", "ValidationError", "Invalid", "KeyError", "ModuleNotFoundError"})


def ingest(quiet: str = "", brought: str = "") -> int:
    """Run the recipe of this run; answers the exit code.

    Args:
        quiet: names, with commas between, of handed-over values that libraries look for in the environment. They find
            them; neither `/proc` nor what the recipe starts does (`headgate.recipes.quietly`).
        brought: the same of variables that whoever asked for the run brought along: these are the process's, and those
            of what it starts.
    """
    values = calling.secrets()
    folder = Path(os.environ["HEADGATE_RESULT"]).parent
    order: Order = json.loads((folder / ORDER).read_text("utf-8"))
    hidden = {name: value for name, value in values.items() if name not in order["plain"]}
    mask = Masker(hidden.values()).text
    os.environ.update({name: values[name] for name in filter(None, brought.split(","))})
    quietly.hand({name: values[name] for name in filter(None, quiet.split(","))})
    # a stop ends the run with all that is open closed, and what was done so far reported; the grace is the limit
    signal.signal(signal.SIGTERM, _stopped)
    try:
        document = order["recipe"]
        config = text.in_files(text.fill(document, values), text.in_memory)
        with _logging(debug=bool(order["debug"]), hidden=hidden):
            config = awsing.with_session(config, os.environ["HEADGATE_RUN_ID"].removeprefix("jr_")[:SESSION])
            config = own.fitting(config, say)
            if order["task"] == TEST_CONNECTION:
                return _test(config, folder, mask)
            if tables := order["tables"]:
                config = targeted.narrowed(config, tables)
                print(f"only {', '.join(tables)}; {targeted.NOTE}", flush=True)  # noqa: T201 -- the run's log
            return _ingest(config, document, folder, mask, tables=tables)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:  # noqa: BLE001 -- whatever ends the run is its error, and the process ends with it
        traceback.print_exc()
        told = mask(_told(error))
        reporting.leave_error(folder / records.ERROR, told, kind=type(error).__name__, retryable=not _for_good(error))
        return 1


def _ingest(
    config: text.Document, document: text.Document, folder: Path, mask: reporting.Mask, *, tables: Sequence[str]
) -> int:
    pipeline: Any = fitting_pipeline(config, document)
    progress = reporting.Progress(pipeline, os.environ["HEADGATE_PROGRESS"])
    progress.start()
    try:
        _run(pipeline)
        code = int(pipeline.pretty_print_summary(warnings_as_failure=False) or 0)
    finally:
        progress.close()
        result = reporting.result_of(pipeline, mask)
        if tables:
            result |= {"tables": list(tables), "note": targeted.NOTE}
            if gone := targeted.missing(result, tables):
                result["missing"] = gone
                say(f"{gone} of {len(tables)} tables are not in the catalog, or the recipe's patterns leave them out")
        reporting.leave(folder / records.RESULT, result)
    if code:
        error = reporting.failure_of(result) or "the ingestion ended with failures"
        reporting.leave_error(folder / records.ERROR, error, kind="Failures", retryable=True)
    return code


def _run(pipeline: Any) -> None:
    """Run it. A source that ends the process with a good exit code has not ended the ingestion with one."""
    try:
        pipeline.run()
    except SystemExit as leaving:
        if leaving.code:
            raise
        raise EngineError("something in the recipe has ended its process (exit 0) before it was done") from leaving


def fitting_pipeline(config: text.Document, document: text.Document) -> Any:
    """Make the pipeline; where a source of ours does not fit this DataHub, with DataHub's own."""
    try:
        return _pipeline(config, document)
    except Exception as error:
        other, wrong = own.without(config), own.misfit(error)
        if other is None or wrong is None:
            raise
        say(own.told(config, str(wrong)))
    return _pipeline(other, document)


def _pipeline(config: text.Document, document: text.Document) -> Any:
    """Make the pipeline, telling DataHub nothing of the run by itself: whoever asked for it is told by us."""
    found: Any = _sdk("datahub.ingestion.run.pipeline").Pipeline

    class Quiet(found):
        """Asks nobody on the internet which versions there are."""

        def _warn_old_cli_version(self) -> None:
            return

    options = {"report_to": None, "no_progress": True, "raw_config": document}
    known = inspect.signature(found.create).parameters
    return cast("Any", Quiet).create(config, **{name: value for name, value in options.items() if name in known})


def _test(config: text.Document, folder: Path, mask: reporting.Mask) -> int:
    """Try the source's connection; the result is DataHub's connection report."""
    manager: Any = _sdk("datahub.ingestion.run.connection").ConnectionManager()
    report: Any = manager.test_source_connection(config)
    found = reporting.masked(json.loads(report.as_json()), mask)
    reporting.leave(folder / records.RESULT, {"connection": found})
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


@contextlib.contextmanager
def _logging(*, debug: bool, hidden: Mapping[str, str]) -> Generator[None]:
    """Log as the `datahub` command does, with its own mask beside ours."""
    manager: Any = _sdk("datahub.utilities.logging_manager")
    with manager.configure_logging(debug=debug):
        with contextlib.suppress(ImportError):  # older versions mask nothing; ours is behind it anyhow
            importlib.import_module("datahub.masking.bootstrap").initialize_secret_masking()
            registry: Any = importlib.import_module("datahub.masking.secret_registry").SecretRegistry
            registry.get_instance().register_secrets_batch(dict(hidden))
        yield


def _sdk(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "datahub":
            raise
        raise ModuleNotFoundError(
            "recipes need DataHub's SDK, the extra [datahub]: pip install 'headgate[datahub]'", name="datahub"
        ) from None


def say(words: str) -> None:
    sys.stdout.write(f"headgate: {words}\n")


def _stopped(_number: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _told(error: BaseException) -> str:
    """The error in words. DataHub's own wrap others and have their words already."""
    words = str(error) or type(error).__name__
    known = type(error).__name__ in {
        "PipelineInitError",
        "Invalid",
        "ConfigurationError",
        "ModuleNotFoundError",
        "EngineError",
    }
    return words if known else f"{type(error).__name__}: {words}"


def _for_good(error: BaseException | None) -> bool:
    while error is not None:
        if any(kind.__name__ in _FOR_GOOD for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False
