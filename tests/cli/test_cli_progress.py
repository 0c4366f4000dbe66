"""This file is where it is seen what a run's line says of its outcome."""

from __future__ import annotations

from headgate.cli.progress import outcome


def test_an_ingestion_says_what_it_wrote_and_that_it_warned() -> None:
    """A catalog of which nothing may be read ends well as `datahub ingest` has it; its line must not look like it."""
    assert outcome({"result": {"records": 1500, "failures": 0, "warnings": 3, "source": {}}}) == (
        "records 1,500, warnings 3"
    )
    assert outcome({"error": "denied", "result": {"records": 1}}) == "denied"
