"""This file is where dead letters are handled from the command line, with a server and without one."""

from __future__ import annotations

import json
import sqlite3

from .world import Project


def bury(project: Project, name: str, body: str) -> None:
    """As a door would have, whoever has the ledger open."""
    if not (project.home / "ledger.db").exists():
        project.ok("events", "dead", "list")
    with sqlite3.connect(project.home / "ledger.db", timeout=30) as connection:
        connection.execute(
            "insert into dead_letter (id, source, message, body, error, receives, at) values (?, 'q', ?, ?, ?, 3, 1e9)",
            (name, name, body, "body: expected JSON"),
        )
    connection.close()


GOOD = json.dumps({"Records": [{"s3": {"bucket": {"name": "raw-data"}, "object": {"key": "in/a.csv", "size": 5}}}]})


def test_letters_are_listed_replayed_and_deleted(served: Project) -> None:
    """One that can be read starts its run, one that cannot stays and exits 2, one that is deleted is gone."""
    bury(served, "dl_good", GOOD)
    bury(served, "dl_bad", "no JSON at all")
    assert [one["body"] for one in served.json("events", "dead", "list", "-n", "1")] == ["no JSON at all"]
    assert "1 events, 1 runs" in served.ok("events", "dead", "replay", "dl_good", "--reason", "mended")
    assert "headgate events dead delete" in served.fails(2, "events", "dead", "replay", "dl_bad")
    assert "deleted dl_bad" in served.ok("events", "dead", "delete", "dl_bad")
    assert "no dead letter" in served.fails(1, "events", "dead", "delete", "dl_bad")


def test_letters_are_there_without_a_server(project: Project) -> None:
    """The same list, and the run starts with the next server."""
    bury(project, "dl_good", GOOD)
    table = project.ok("events", "dead", "list")
    assert "dl_good" in table
    assert "expected JSON" in table
    said = project.type("events", "dead", "replay", "dl_good")
    assert (said.code, "1 events, 1 runs" in said.out, "No server runs" in said.err) == (0, True, True), said
