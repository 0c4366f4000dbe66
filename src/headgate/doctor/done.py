"""This file is where the page's list `Is it done?` (docs/datahub.md) is gone through: what is done, what is not yet.

Nothing is started and nothing changed; what only a person can do (press the button) is seen by what it left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from headgate.aws import Clients
from headgate.aws.present import ENGINES, Presence, look
from headgate.datahub import GmsClient
from headgate.doctor.datahub import connection, rights, wanted_property
from headgate.doctor.finding import Finding, Rank, ranked
from headgate.doctor.records import Doc, Records, moment, short, told
from headgate.errors import Forbidden, NotFound, Unavailable
from headgate.flow.click import DATASET
from headgate.settings import Settings

_RULES: Final = 20  #: whose job is looked for, and whether it is there
_RUNS: Final = 200  #: among which a click's is looked for


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an item. `done` None: nobody knows."""

    done: bool | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom the items are asked of. `client` None: the embedded catalog stands for DataHub."""

    records: Records
    settings: Settings
    client: GmsClient | None
    clients: Clients
    broken: str = ""  #: what is wrong with a file that headgate.yaml names


def diagnose(
    records: Records, settings: Settings, client: GmsClient | None, clients: Clients, *, broken: str = ""
) -> list[Finding]:
    """One finding for each item of the list. `broken`: what is wrong with a file that headgate.yaml names, or ""."""
    asking = Asking(records, settings, client, clients, broken)
    return ranked((_item(what, how, see, asking) for what, how, see in ITEMS))


def _item(what: str, how: str, see: Callable[[Asking], Seen], asking: Asking) -> Finding:
    try:
        seen = see(asking)
    except (Unavailable, Forbidden, NotFound) as error:
        seen = Seen(None, str(error))
    if seen.done is None:
        return Finding(Rank.UNSEEN, f"unknown: {what}", seen.evidence, how)
    return Finding(Rank.NOTE if seen.done else Rank.POSSIBLE, f"{'done' if seen.done else 'not yet'}: {what}",
                   seen.evidence, "" if seen.done else how)  # fmt: skip


def _reached(asking: Asking) -> Seen:
    if asking.client is None:
        return Seen(True, "no DataHub is configured: the embedded catalog stands in for it")
    found = list(connection(asking.client))
    if not any(one.rank is Rank.UNSEEN for one in found):
        found += [*rights(asking.settings, asking.client), *wanted_property(asking.settings, asking.client)]
    wrong = sorted((one for one in found if one.rank is not Rank.NOTE), key=lambda one: one.rank)
    if not wrong:
        return Seen(True, "; ".join(one.what for one in found))
    unseen = wrong[0].rank is Rank.UNSEEN
    return Seen(None if unseen else False, f"{wrong[0].what}: {wrong[0].evidence}; see headgate doctor datahub")


def _holds(asking: Asking) -> Seen:
    """Whoever is asked this has read headgate.yaml already."""
    file = asking.settings.config_file
    return Seen(not asking.broken, asking.broken or (str(file) if file else "no headgate.yaml: the defaults"))


def _datasets(asking: Asking) -> Seen:
    rules = asking.records.rules(stale=False)
    stale = asking.records.rules(stale=True)
    if stale:
        return Seen(False, "not there: " + ", ".join(f"{one['value']} ({one['place']})" for one in stale[:5]))
    return Seen(True, f"rules for one dataset: {sum(one['kind'] == 'urn' for one in rules)}")


def _found(asking: Asking) -> Seen:
    rules = asking.records.rules(stale=False)
    if not rules:
        return Seen(False, "there is no rule under datasets:, in the environment or in the ledger")
    urns = [str(one["value"]) for one in rules if one["kind"] == "urn"][:_RULES]
    lost = [urn for urn in urns if asking.records.explain(urn)["job"] is None]
    if lost:
        return Seen(False, "nothing starts for " + ", ".join(lost[:5]))
    return Seen(True, f"each of the datasets that rules name starts something: {len(urns)}"
                if urns else f"{len(rules)} rules, none for one dataset alone")  # fmt: skip


def _there(asking: Asking) -> Seen:
    jobs = {str(one["name"]): one for one in asking.records.jobs()}
    missing: list[str] = []
    unknown: list[str] = []
    for rule in asking.records.rules(stale=False)[:_RULES]:
        engine, target = _target(rule, jobs)
        if not engine:
            missing.append(f"job {rule['job']} ({rule['place']})")
        elif engine in ENGINES:
            answer = look(asking.clients, engine, target, region=asking.settings.lambda_region)
            if answer.presence in (Presence.MISSING, Presence.UNUSABLE):
                missing.append(f"{rule['starts']}: {answer.said}")
            elif answer.presence is not Presence.THERE:
                unknown.append(f"{rule['starts']}: {answer.said}")
    if missing:
        return Seen(False, "; ".join(missing[:5]))
    if unknown:
        return Seen(None, "; ".join(unknown[:5]))
    return Seen(True, "everything that rules start is there")


def _target(rule: Doc, jobs: dict[str, Doc]) -> tuple[str, Doc]:
    if rule["lambda"] is not None:
        return "lambda", {"function": rule["lambda"], "region": rule["region"]}
    if rule["state_machine_arn"] is not None:
        return "step_functions", {"state_machine_arn": rule["state_machine_arn"]}
    job = jobs.get(str(rule["job"]))
    return (str(job["engine"]), job["target"]) if job is not None else ("", {})


def _known(asking: Asking) -> Seen:
    settings = asking.settings
    if settings.datahub.configured:
        return Seen(True, "callers show DataHub's token or session, and DataHub says whose it is")
    if settings.token is not None:
        return Seen(True, "callers show HEADGATE_TOKEN; without a DataHub nobody is told apart")
    return Seen(True, "without a DataHub and a token it listens on loopback only, and a call is this machine's user's")


def _clicked(asking: Asking) -> Seen:
    run = next((one for one in asking.records.runs(most=_RUNS) if DATASET in one["arguments"]), None)
    if run is None:
        return Seen(False, f"none of the newest {_RUNS} runs was started for a dataset")
    who = run["cause"]["actor"] or "nobody known"
    return Seen(
        True, f"run {short(run)} of {run['job']}, {run['state']}, by {who} at {told(moment(run['created_at']))}"
    )


def _healthy(asking: Asking) -> Seen:
    if not asking.records.served:
        return Seen(None, "no server runs")
    found = asking.records.status().get("readiness") or {}
    troubles: Sequence[object] = [*(found.get("problems") or ()), *(found.get("warnings") or ())]
    return Seen(
        not troubles, "; ".join(str(one) for one in troubles[:5]) or "/readyz has neither problems nor warnings"
    )


#: The list, word for word as on the page; a test holds the two against each other.
ITEMS: Final[Sequence[tuple[str, str, Callable[[Asking], Seen]]]] = (
    ("DataHub is reached, with a right to write", "`headgate datahub bootstrap` prints a URN and exits 0", _reached),
    ("the configuration holds", "`headgate validate`", _holds),
    ("each rule's dataset is there", "`headgate rules list --stale` is empty", _datasets),
    ("the right job is found", "`headgate explain URN`", _found),
    ("what it starts is there", "`headgate rules check`", _there),
    ("who calls is known", "the call above without a token is 401, with a viewer's 403", _known),
    ("a click starts it", "press the button; `headgate runs list` has the run, with who and why", _clicked),
    ("it is healthy", "`/readyz` has neither `problems` nor `warnings`", _healthy),
)
