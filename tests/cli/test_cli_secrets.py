"""This file is where secrets are set from the command line, with a server and without one."""

from __future__ import annotations

from .world import Project

VALUE = "s3cr3t-by-cli"


def test_a_secret_is_set_listed_and_deleted(project: Project) -> None:
    """From standard input or a file; no file of the home holds the value."""
    assert project.ok("secrets", "set", "DB", stdin=f"{VALUE}\n") == "DB is kept, sealed\n"
    (project.folder / "value").write_text(VALUE)
    assert project.json("secrets", "set", "FROM_FILE", "--file", "value")["name"] == "FROM_FILE"
    (project.folder / "value").unlink()
    held = b"".join(file.read_bytes() for file in project.folder.rglob("*") if file.is_file())
    assert VALUE.encode() not in held
    assert project.ok("secrets", "delete", "DB", "--reason", "over") == "deleted DB\n"
    table = project.ok("secrets", "list")
    assert ("FROM_FILE" in table, "DB" in table, VALUE in table) == (True, False, False)


def test_a_server_keeps_it_for_us(served: Project) -> None:
    """The same, asked of the server that holds the ledger."""
    served.ok("secrets", "set", "DB", stdin=VALUE)
    assert [one["name"] for one in served.json("secrets", "list")] == ["DB"]
    assert served.ok("secrets", "rotate") == "all are sealed with the first key\n"
    served.ok("secrets", "delete", "DB")
    assert "headgate secrets set NAME" in served.ok("secrets", "list")


def test_a_value_on_the_command_line_is_refused(project: Project) -> None:
    """With why, and without saying it again."""
    said = project.fails(2, "secrets", "set", "DB", VALUE)

    assert "everybody on this machine can read it" in said
    assert VALUE not in said


def test_what_cannot_be_kept_says_why(project: Project) -> None:
    """A file that is not there, and a key that is none, which is not shown."""
    assert project.type("secrets", "set", "DB", "--file", "none").code == 3
    done = project.type("secrets", "set", "DB", stdin=VALUE, env={"HEADGATE_SECRETS_KEY": "not-a-key"})
    assert (done.code, "openssl rand" in done.err, "not-a-key" in done.err) == (2, True, False)
