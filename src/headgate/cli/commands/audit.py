"""This file is where it is looked up who changed what, when and why."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Annotated

import typer

from headgate.cli import logs, session
from headgate.cli.client import Doc
from headgate.cli.options import AsOutput, Config, Limit, Since
from headgate.cli.printing import Output, print_json, print_table
from headgate.cli.times import clock, moment


def audit(
    *,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="WHO", help="Only by whom: a URN, or a part of one.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="WHAT", help="Only what begins so: `trigger`, `run.stop`, ….")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="NAME", help="Only to this job, trigger, run, rule, key, ….")
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Who did what, to what, why, and when; newest first. Entries are only ever added, and go after retention_days."""
    begin = moment(since, datetime.now(UTC)) if since else None
    settings = session.settings(config)
    logs.of_command(settings)

    def recent(one: Doc) -> bool:
        return begin is None or datetime.fromisoformat(one["at"]) >= begin

    def fits(one: Doc) -> bool:
        return (
            (actor is None or actor in one["actor"])
            and (action is None or str(one["action"]).startswith(action))
            and (subject is None or subject == one["subject"])
        )

    with session.reading(settings) as client:
        found = list(islice((one for one in takewhile(recent, client.audit()) if fits(one)), limit))
    if output is Output.JSON:
        print_json(found)
        return
    rows = [[clock(one["at"]), one["actor"], one["action"], one["subject"], one["reason"] or ""] for one in found]
    print_table(["AT", "WHO", "DID", "TO", "WHY"], rows, empty="Nobody changed anything that fits.")
