"""This file is where reports become results: masked, small enough, and with a failure one can read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.recipes import reporting
from headgate.supervision.masking import Masker


class Report:
    """A report of DataHub's, as far as it is asked."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update({"failures": [], "warnings": [], **values})

    def as_obj(self) -> dict[str, Any]:
        return dict(self.__dict__)


def pipeline(source: Report, sink: Report) -> Any:
    return SimpleNamespace(
        source=SimpleNamespace(get_report=lambda: source),
        sink=SimpleNamespace(get_report=lambda: sink),
        source_type="glue",
        sink_type="file",
        cli_report=Report(),
        config=SimpleNamespace(run_id="r1"),
    )


def same(text: str) -> str:
    return text


def test_a_result_counts_and_masks() -> None:
    """Counts are of source and sink together; every text is masked, keys too, and numbers stay numbers."""
    source = Report(events_produced=3, warnings=[{"hunter22": "a hunter22"}], failures=["x"])
    result = reporting.result_of(pipeline(source, Report(total_records_written=7)), Masker(["hunter22"]).text)

    assert (result["records"], result["failures"], result["warnings"], result["run_id"]) == (7, 1, 1, "r1")
    assert result["source"]["report"]["warnings"] == [{"****": "a ****"}]
    assert result["source"]["report"]["events_produced"] == 3


def test_what_was_forgotten_is_counted() -> None:
    """DataHub keeps a sample of the failures, and how many there were."""

    class Lossy(list[str]):
        total_elements = 500

    result = reporting.result_of(pipeline(Report(failures=Lossy(["one"])), Report()), same)

    assert result["failures"] == 500
    assert reporting.failure_of(result) == "500 failures reported; the first: one"


@pytest.mark.parametrize(
    ("failures", "says"),
    [
        ([{"title": "T", "message": "M", "context": ["a", "b"]}], "1 failure reported; the first: T: M: a; b"),
        ([{"title": "Same", "message": "Same"}], "1 failure reported; the first: Same"),
        ({"M": ["a"]}, "1 failure reported; the first: M: ['a']"),
        (["plain", "other"], "2 failures reported; the first: plain"),
        ([], ""),
    ],
)
def test_the_first_failure_is_told_in_words(failures: Any, says: str) -> None:
    """In the forms of all versions, and nothing where there is none."""
    result = reporting.result_of(pipeline(Report(failures=failures), Report()), same)

    assert reporting.failure_of(result) == says


@pytest.mark.parametrize("lost", ["infos", "warnings", "unknown"])
def test_what_is_too_large_loses_its_least_part(lost: str) -> None:
    """A report beyond the limit fits in the end, keeps its failures, and names what was left out."""
    source = Report(failures=["kept"], **{lost: ["x" * 1000] * 1000})
    result = reporting.result_of(pipeline(source, Report(total_records_written=1)), same)

    assert len(json.dumps(result)) <= reporting.LARGEST
    assert result["source"]["report"]["failures"] == ["kept"]
    assert result["omitted"]
    assert (result["records"], reporting.failure_of(result)) == (1, "1 failure reported; the first: kept")


def test_a_result_is_left_whole_or_not_at_all(tmp_path: Path) -> None:
    """What is there before is replaced in one step; nothing else stays."""
    file = tmp_path / "result.json"
    for number in range(2):
        reporting.leave(file, {"n": number})

    assert json.loads(file.read_text("utf-8")) == {"n": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_progress_survives_a_report_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be read just now, or a disk that is full, costs one look; what is told later is true."""
    monkeypatch.setattr(reporting, "_EVERY", 0.005)
    source, sink = Report(events_produced=1), Report(total_records_written=0)
    looked: list[int] = []

    def get_report() -> Report:
        looked.append(1)
        if len(looked) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return source

    run = pipeline(source, sink)
    run.source = SimpleNamespace(get_report=get_report)
    progress = reporting.Progress(run, str(tmp_path / "progress.json"))
    progress.start()
    while not (tmp_path / "progress.json").exists():
        assert len(looked) < 2000
    progress.close()

    assert json.loads((tmp_path / "progress.json").read_text("utf-8")) == {
        "produced": 1, "records": 0, "failures": 0, "warnings": 0,
    }  # fmt: skip
