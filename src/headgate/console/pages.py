"""This file is where pages and their live fragments are rendered, and the console's own static files are held."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup

from headgate.console import picture, views, words
from headgate.gate import Gate
from headgate.model import TERMINAL, Run
from headgate.shapes import Shape, time_json, trigger_state

Fragments = Mapping[str, str]

_MOST_RULES: Final = 300  #: that are shown on the page
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_TITLES: Final = {401: "Log in first", 403: "Not allowed", 404: "Not found", 503: "Not available now"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file. `digest` is in its URL, so browsers may keep it for ever."""

    content: bytes
    media_type: str
    digest: str


@lru_cache(maxsize=1)
def assets() -> Mapping[str, Asset]:
    """Every static file of the console by its name."""
    found: dict[str, Asset] = {}
    for one in (resources.files("headgate.console") / "static").iterdir():
        ending = one.name.rpartition(".")[2]
        if ending in _TYPES:
            content = one.read_bytes()
            found[one.name] = Asset(content, _TYPES[ending], hashlib.sha256(content).hexdigest()[:12])
    return found


def _asset(name: str) -> str:
    return f"/headgate/static/{name}?v={assets()[name].digest}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("headgate.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    helpers: dict[str, Any] = {
        "asset": _asset,
        "looks": words.LOOKS,
        "terminal": TERMINAL,
        "time_json": time_json,
        "trigger_state": trigger_state,
        "box_width": picture.WIDTH,
        "box_height": picture.HEIGHT,
        "job_line": picture.job_line,
        "job_look": picture.job_look,
        "can_leave": False,
        "api_docs": False,  # whether the API describes itself here
    }
    for helper in (
        words.cause_words, words.cut, words.duration_words, words.moment_words, words.outcome_words, words.size_words,
        words.trigger_words, words.value_words, words.values_words,
    ):  # fmt: skip
        helpers[helper.__name__] = helper
    environment.globals.update(helpers)
    return environment


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values)


def _safe(fragments: Fragments) -> dict[str, Markup]:
    """Fragments are templates' own output, escaped when they were rendered."""
    return {name: Markup(html) for name, html in fragments.items()}  # noqa: S704 - see above


# -- the home page


def home_fragments(home: views.Home) -> Fragments:
    """The parts of the home page that change: `picture`, `runs`, `jobs`, `triggers`."""
    return {
        "picture": _render("_picture.html", picture=home.picture),
        "runs": _render("_runs.html", runs=home.runs, wanted=home.wanted),
        "jobs": _render("_jobs.html", jobs=home.jobs, doing=home.doing),
        "triggers": _render("_triggers.html", triggers=home.triggers, on_glue=home.on_glue, untouched=home.untouched),
    }


def live_home(gate: Gate, wanted: views.Wanted) -> Fragments:
    return home_fragments(views.home(gate, wanted))


def home_page(gate: Gate, wanted: views.Wanted, *, live: str, older: Callable[[int], str], can_leave: bool) -> str:
    """The whole page. `live` is the address of its stream, "" for pages that stand still."""
    home = views.home(gate, wanted)
    return _render(
        "home.html",
        fragments=_safe(home_fragments(home)),
        wanted=wanted,
        live=live,
        older=older(home.next) if home.next is not None else "",
        can_leave=can_leave,
        api_docs=gate.settings.api_docs,
    )


# -- a run's page


def run_fragments(page: views.RunPage) -> Fragments:
    """The parts of a run's page that change: `facts`, `chain`, `attempts`, `objects`, `decisions`."""
    return {
        "facts": _render("_facts.html", run=page.run),
        "chain": _render("_chain.html", chain=page.chain),
        "attempts": _render("_attempts.html", attempts=page.attempts),
        "objects": _render("_objects.html", objects=page.objects, objects_left_out=page.objects_left_out),
        "decisions": _render("_decisions.html", decisions=page.decisions, more_decisions=page.more_decisions),
    }


def live_run(gate: Gate, name: str) -> Fragments:
    page = views.run_page(gate, name)
    return {**run_fragments(page), "log-attempt": str(page.run.attempt)}


def run_page(
    gate: Gate,
    name: str,
    *,
    live: Callable[[Run], str],
    log_url: Callable[[Run], str],
    attempt: int | None,
    can_leave: bool,
) -> str:
    """The whole page. `attempt` is the one whose log is shown, None for the newest. Raises NotFound."""
    page = views.run_page(gate, name)
    return _render(
        "run.html",
        run=page.run,
        fragments=_safe(run_fragments(page)),
        live=live(page.run),
        log_url=log_url(page.run),
        attempt=attempt,
        can_leave=can_leave,
        api_docs=gate.settings.api_docs,
    )


# -- a dataset's page


def dataset_page(gate: Gate, urn: str, *, can_leave: bool) -> str:
    """What a click on the dataset starts, its runs, and the button. Raises Invalid where it is no dataset's URN."""
    page = views.dataset_page(gate, urn)
    none = views.Wanted(job=page.found["job"] if isinstance(page.found["job"], str) else "")
    return _render(
        "dataset.html",
        urn=urn,
        name=page.name,
        found=page.found,
        frontend=page.frontend,
        runs=Markup(_render("_runs.html", runs=page.runs, wanted=none)),  # noqa: S704 - a template's own output
        can_leave=can_leave,
        api_docs=gate.settings.api_docs,
    )


# -- the others


def rules_page(
    *,
    rules: Sequence[Shape],
    jobs: Sequence[str],
    warnings: Sequence[str],
    urn: str,
    found: Shape | None,
    can_leave: bool,
    api_docs: bool,
) -> str:
    """The rules, and (with `found`) which of them wins for the dataset `urn`."""
    return _render(
        "rules.html",
        rules=rules,
        most=_MOST_RULES,
        jobs=jobs,
        warnings=warnings,
        urn=urn,
        found=found,
        can_leave=can_leave,
        api_docs=api_docs,
    )


def login_page(*, following: str, problem: str = "") -> str:
    return _render("login.html", next=following, problem=problem)


def problem_page(status: int, message: str, *, api_docs: bool = False) -> str:
    """An error for people: what happened and where to go."""
    title = _TITLES.get(status, "That did not work")
    return _render("problem.html", title=title, message=message, api_docs=api_docs)


def docs_page(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as a page, without anybody's script."""
    schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})

    def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for one in (schema, *schema.get("anyOf", ())):
            if "$ref" in one:
                return schemas[str(one["$ref"]).rpartition("/")[2]]
        return schema

    def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return resolved(schema).get("properties", {})

    # an OpenAPI document leaves out what it has nothing to say about
    environment = _environment().overlay(undefined=_Silent)
    template = environment.get_template("docs.html")
    return template.render(document=document, kind=_kind, properties=properties, api_docs=True)


class _Silent(Undefined):
    """Nothing, for keys an OpenAPI document may leave out."""

    __slots__ = ()


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(kind for one in schema["anyOf"] if (kind := _kind(one)) != "null") or "null"
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = schema.get("type", "anything")
    text = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    return f"{text} ({schema['format']})" if "format" in schema else text
