"""This file is where every command has its name and its place."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from headgate import __version__
from headgate.cli.commands import (
    audit,
    configuring,
    datahub,
    dead,
    definitions,
    demo,
    doctor,
    events,
    executor,
    importing,
    keys,
    lake,
    openlineage,
    recipes,
    rules,
    runs,
    secrets,
    serving,
    smoke,
    starting,
)
from headgate.cli.options import Config
from headgate.cli.printing import say

_WIDEST: Final = 120  #: columns of a help text, where the terminal has as many


def command() -> Any:
    """The whole tree as a command that can be called or looked at (Typer gives its types no public name)."""
    return get_command(_tree())


def _version(asked: bool) -> None:
    if asked:
        say(f"headgate {__version__}")
        raise typer.Exit


def _root(
    config: Config = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The control plane for data ingestion around DataHub and an AWS lakehouse.

    Start with `headgate demo`, or with `headgate init DIR` for a project of your own.
    """


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)


def _tree() -> typer.Typer:
    tree = typer.Typer(
        name="headgate", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
    )  # fmt: skip
    tree.callback()(_root)
    tree.command("demo", short_help="The reference workflow on generated data; then the console.")(demo.demo)
    tree.command("init")(configuring.init)
    tree.command("serve")(serving.serve)
    tree.command("worker")(serving.worker)
    tree.command("executor", short_help="Carry out DataHub's execution requests.")(executor.executor)
    tree.command("validate")(configuring.validate)
    tree.command("plan", short_help="What `apply` would change, and nothing done.")(configuring.plan)
    tree.command("apply", short_help="Make the ledger and AWS Glue what headgate.yaml says.")(configuring.apply)
    tree.command("explain", short_help="Which job a click on a dataset would start, and why.")(configuring.explain)
    tree.command("doctor", short_help="Find out why something did not run, and what mends it.")(doctor.doctor)
    tree.command("audit")(audit.audit)
    tree.command("run")(starting.run)
    tree.command("smoke")(smoke.smoke)
    for name, group in _groups().items():
        tree.add_typer(group, name=name)
    return tree


def _groups() -> dict[str, typer.Typer]:
    groups = {
        "runs": _group("What runs and ran."),
        "jobs": _group("The named pieces of work."),
        "triggers": _group("What must happen for jobs to start."),
        "rules": _group("Which job refreshes a dataset."),
        "events": _group("What happened outside, and what it led to."),
        "keys": _group("Keys that calls to the AWS doors are signed with."),
        "secrets": _group("Values that recipes name, kept sealed."),
        "lake": _group("What was ingested."),
        "recipes": _group("DataHub's recipes."),
        "openlineage": _group("Lineage in the open standard's form."),
        "config": _group("The settings."),
        "datahub": _group("DataHub, made ready."),
        "import": _group("What exists elsewhere, written down as headgate.yaml."),
    }
    groups["runs"].command("list")(runs.show_list)
    groups["runs"].command("show")(runs.show)
    groups["runs"].command("logs")(runs.show_log)
    groups["runs"].command("stop")(runs.stop)
    groups["runs"].command("retry")(starting.retry)
    groups["jobs"].command("list")(definitions.list_jobs)
    groups["triggers"].command("list")(definitions.list_triggers)
    groups["triggers"].command("start")(starting.start_trigger)
    groups["triggers"].command("enable")(definitions.enable)
    groups["triggers"].command("disable")(definitions.disable)
    groups["rules"].command("list")(rules.show_list)
    groups["rules"].command("check")(rules.check)
    groups["rules"].command("set")(rules.put)
    groups["rules"].command("delete")(rules.delete)
    groups["events"].command("list")(events.show_list)
    groups["events"].command("replay")(events.replay)
    letters = _group("Messages of queues that could not be read.")
    letters.command("list")(dead.show_list)
    letters.command("replay")(dead.replay)
    letters.command("delete")(dead.delete)
    groups["events"].add_typer(letters, name="dead")
    groups["keys"].command("create")(keys.create)
    groups["keys"].command("list")(keys.show_list)
    groups["keys"].command("revoke")(keys.revoke)
    groups["secrets"].command("set")(secrets.put)
    groups["secrets"].command("list")(secrets.show_list)
    groups["secrets"].command("delete")(secrets.delete)
    groups["secrets"].command("rotate")(secrets.rotate)
    groups["lake"].command("query")(lake.query)
    groups["lake"].command("tables")(lake.tables)
    groups["recipes"].command("check")(recipes.check)
    groups["recipes"].command("run")(recipes.run)
    groups["openlineage"].command("convert")(openlineage.convert)
    groups["config"].command("show")(configuring.show_config)
    groups["datahub"].command("bootstrap")(datahub.bootstrap)
    groups["import"].command("glue")(importing.glue)
    return groups
