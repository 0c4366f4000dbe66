"""This file is where the tables are. Alembic's migrations make them; a test holds the two against each other.

Times are seconds since the epoch (double precision), JSON is text. Numbers of `event` and `run` are given out
by us (see dialects.take_numbers), so that rows of one batch can refer to each other before they are written.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table, Text, text
from sqlalchemy.types import BigInteger

from headgate.model import OCCUPYING

metadata = sa.MetaData()

#: SQLite only numbers rows by itself for a column declared INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

meta = Table("meta", metadata, Column("name", String, primary_key=True), Column("value", Number, nullable=False))

job = Table(
    "job",
    metadata,
    Column("name", String, primary_key=True),
    Column("max_concurrent_runs", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("origin", String, nullable=False),
    Column("declared", Text),  # the spec the file last declared; null for what an API made
    Column("deleted", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

trigger = Table(
    "trigger_",
    metadata,
    Column("name", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("spec", Text, nullable=False),
    Column("origin", String, nullable=False),
    Column("declared", Text),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("last_tick", Double),  # SCHEDULED: every tick up to here has been dealt with
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("first_start", Double),  # SCHEDULED with at_first_start: when that was dealt with, once for ever
)

event = Table(
    "event",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),  # made from the identity: a redelivery has the same one
    Column("door", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("bucket", String),
    Column("key", Text),
    Column("size", Number),
    Column("etag", String),
    Column("version", String),
    Column("sequencer", String),
    Column("path", Text),
    Column("payload", Text),
    Column("downstream", Boolean, nullable=False),
    Index("event_key", "bucket", "key"),
    Index("event_received", "received_at"),
)

#: The newest sequencer seen of each object: an event older than that is late.
newest = Table(
    "newest",
    metadata,
    Column("object", Text, primary_key=True),  # bucket/key
    Column("sequencer", String, nullable=False),
    sqlite_with_rowid=False,
)

decision = Table(
    "decision",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("event_seq", Number, nullable=False, index=True),
    Column("trigger", String, nullable=False),
    Column("job", String),
    Column("outcome", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_seq", Number, index=True),
    Column("run", String),
    Column("at", Double, nullable=False),
    Index("decision_trigger", "trigger", "seq"),
)


def _run_columns() -> list[Column[object]]:
    """What `run` and `history` have in common: everything."""
    return [
        Column("seq", Number, primary_key=True, autoincrement=False),
        Column("id", String, nullable=False, unique=True),
        Column("job", String, nullable=False),
        Column("engine", String, nullable=False),
        Column("state", String, nullable=False),
        Column("detail", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("event", String),
        Column("trigger", String),
        Column("actor", String),
        Column("reason", Text),
        Column("arguments", Text, nullable=False),
        Column("external_id", String),
        Column("created_at", Double, nullable=False),
        Column("started_at", Double),
        Column("ended_at", Double),
        Column("error", Text),
        Column("result", Text),
        Column("predecessors", Text),
        Column("timeout", Double),
        Column("objects", Integer, nullable=False),
        Column("owner", String),
        Column("root", String),
        Column("downstream", Boolean, nullable=False),
        Column("not_before", Double),
        Column("settle_until", Double),  # a settling run starts at the latest then
        Column("max_retries", Integer, nullable=False),
        Column("progress", Text),
        Column("stop_reason", Text),  # why it is STOPPING: `timeout`, or what the person said
        Column("deadline", Double),
        Column("previous", String),  # the run this one is a retry of
    ]


#: Written out, since neither database uses a partial index for a condition on a parameter.
IS_OCCUPYING = text("state in (" + ", ".join(f"'{state}'" for state in sorted(OCCUPYING)) + ")")
IS_WAITING = text("state = 'WAITING'")

#: Runs that are not over. Small, whatever the history.
run = Table(
    "run",
    metadata,
    *_run_columns(),
    Index("run_waiting", "job", "seq", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("run_due", "not_before", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("run_joinable", "trigger", "job", "seq", sqlite_where=IS_WAITING, postgresql_where=IS_WAITING),
    Index("run_occupying", "job", sqlite_where=IS_OCCUPYING, postgresql_where=IS_OCCUPYING),
    Index("run_owner", "owner", sqlite_where=IS_OCCUPYING, postgresql_where=IS_OCCUPYING),
)

#: Runs that are over. Append-only until retention takes them.
history = Table(
    "history",
    metadata,
    *_run_columns(),
    Index("history_job", "job", "seq"),
    Index("history_state", "state", "seq"),
    Index("history_ended", "ended_at"),
    Index(
        "history_external",
        "external_id",
        sqlite_where=text("external_id is not null"),
        postgresql_where=text("external_id is not null"),
    ),
)

#: Attempts of runs that had more than one; a run's only attempt is the run's own row.
attempt = Table(
    "attempt",
    metadata,
    Column("run", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String, nullable=False),
    Column("external_id", String),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("error", Text),
)

latch = Table(
    "latch",
    metadata,
    Column("trigger", String, primary_key=True),
    Column("job", String, primary_key=True),
    Column("root", String, primary_key=True),
    Column("run", String, nullable=False),
    Column("at", Double, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", String, primary_key=True),
    Column("until", Double, nullable=False),  # the lease; past it, others may take over what it owned
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
)

#: Whether the job's last end was a failure: what makes the next success a recovery.
health = Table(
    "health",
    metadata,
    Column("job", String, primary_key=True),
    Column("failing", Boolean, nullable=False),
    Column("run", String, nullable=False),
    Column("at", Double, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("channel", String, nullable=False),
    Column("subject", String, nullable=False),  # messages of one subject keep their order
    Column("payload", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("last_error", Text),
    Column("created_at", Double, nullable=False),
    Column("claimed_until", Double, nullable=False),
    Index("outbox_due", "not_before"),
    Index("outbox_subject", "channel", "subject", "seq"),
)

#: Rules that say which job refreshes a dataset, given through the API or the console. One for each thing they cover.
rule = Table(
    "rule_",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("job", String),
    Column("function", String),
    Column("state_machine_arn", String),
    Column("region", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

#: Messages of queues that nobody could read, until a person has looked at them.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("message", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("receives", Integer, nullable=False),
    Column("sent_at", Double),
    Column("at", Double, nullable=False),
    Index("dead_letter_at", "at"),
)

#: Our own secrets, sealed: the key is not in the database.
secret = Table(
    "secret",
    metadata,
    Column("name", String, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("actor", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
)

#: The embedded catalog's aspects. Version 0 is the newest; what it was before stands under its own number.
catalog_aspect = Table(
    "catalog_aspect",
    metadata,
    Column("urn", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("value", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("actor", String, nullable=False),
)

#: Aspects that are a series: each time stands for itself; the same one told twice is one row.
catalog_series = Table(
    "catalog_series",
    metadata,
    Column("urn", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("at_ms", Number, primary_key=True, autoincrement=False),
    Column("digest", String, primary_key=True),
    Column("value", Text, nullable=False),
    Column("system", Text, nullable=False),
)

catalog_entity = Table(
    "catalog_entity",
    metadata,
    Column("urn", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("platform", String),
    Column("origin", String),
    Column("created", Double, nullable=False),  # by its own properties where they say so, else when it was first seen
    Index("catalog_entity_kind", "kind", "urn"),
)

catalog_edge = Table(
    "catalog_edge",
    metadata,
    Column("source", String, primary_key=True),
    Column("aspect", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("target", String, primary_key=True),
    Index("catalog_edge_target", "target", "type"),
)

#: Execution requests of DataHub's that are for us. `state`: new, taken (there is a run), over (there is none).
execution_request = Table(
    "execution_request",
    metadata,
    Column("urn", String, primary_key=True),
    Column("executor", String, nullable=False),
    Column("task", String, nullable=False),
    Column("job", String, nullable=False),
    Column("given", Text, nullable=False),  # the whole aspect …Input
    Column("requested_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("state", String, nullable=False),
    Column("run", String),
    Column("killed_by", String),  # who stopped it before there was a run
    Column("why", Text),  # what became of it, or what it waits for
    Column("tries", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Index("execution_request_state", "executor", "state", "received_at"),
)

#: When somebody is to look at the catalog an EVENT trigger watches, and whether there is something to compare with.
catalog_watch = Table(
    "catalog_watch",
    metadata,
    Column("trigger", String, primary_key=True),
    Column("next_look", Double, nullable=False),
    Column("looked_at", Double),  # the end of its newest whole look, if ever
    Column("comparable", Boolean, nullable=False),
)

#: What was seen there: tables with their version, and databases (a name with a dot at its end).
watched_table = Table(
    "watched_table",
    metadata,
    Column("trigger", String, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
)

#: What executors remember: who they are to DataHub, how far they have read.
executor_note = Table(
    "executor_note",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

#: What Glue's API was told of a job, trigger or workflow, word for word; what runs by it is in `job` and `trigger_`.
glue_definition = Table(
    "glue_definition",
    metadata,
    Column("kind", String, primary_key=True),  # job | trigger | workflow
    Column("name", String, primary_key=True),
    Column("members", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("invocation", String, nullable=False),  # the call that made it, by which its repetition is recognised
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

#: Where bookmarks were set back: runs after `kept` up to `cut` do not count any more.
glue_bookmark = Table(
    "glue_bookmark",
    metadata,
    Column("job", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kept", Number, nullable=False),
    Column("cut", Number, nullable=False),
)

glue_workflow_run = Table(
    "glue_workflow_run",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("workflow", String, nullable=False),
    Column("previous", String),
    Column("properties", Text, nullable=False),
    Column("snapshot", Text, nullable=False),  # the workflow's triggers as they were when it started
    Column("event", String, nullable=False),
    Column("actor", String),
    Column("stopped_at", Double),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Index("glue_workflow_run_workflow", "workflow", "seq"),
)

#: The runs that belong to a workflow's run. Whether that is over is seen from them, and from nothing else.
glue_workflow_action = Table(
    "glue_workflow_action",
    metadata,
    Column("workflow_run", String, primary_key=True),
    Column("run", String, primary_key=True),
    Column("trigger", String, nullable=False),
    Column("job", String, nullable=False),
)

#: Tokens by which functions say how they ended. More than one where an attempt was invoked again.
callback = Table(
    "callback",
    metadata,
    Column("attempt", String, primary_key=True),
    Column("sha256", String, primary_key=True),  # of the secret
    Column("at", Double, nullable=False),
)

#: Keys that calls to the AWS doors are signed with. Verifying needs the secret itself, so it is kept sealed.
access_key = Table(
    "access_key",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("session", String),  # sha256 of the session token, for keys that have one
    Column("actor", String, nullable=False),  # who made it
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)

#: What `apply` last made of jobs, triggers and workflows on AWS Glue itself.
glue_applied = Table(
    "glue_applied",
    metadata,
    Column("place", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("members", Text, nullable=False),  # which the file named, and fingerprints of all that there were
    Column("enabled", Boolean),
    Column("made", Boolean, nullable=False),
    Column("at", Double, nullable=False),
)
