"""This file is where it is found what is wrong with a recipe, offline: plain secrets, unknown keys, missing plugins.

What only DataHub's SDK knows is asked of it in a process of its own (`headgate.recipes.inspecting`).
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from headgate.errors import Invalid, InvalidConfiguration, Unavailable
from headgate.recipes import text
from headgate.recipes.findings import Finding, Severity
from headgate.settings import nodes
from headgate.settings.nodes import Items, Node, Place, Table

#: What DataHub knows at the top of a recipe.
TOP: Final = (
    "source", "sink", "transformers", "flags", "reporting", "run_id", "datahub_api", "pipeline_name", "failure_log",
    "recording",
)  # fmt: skip
_SECRET_KEY: Final = re.compile(
    r"pass(word|phrase|wd)?$|secret|token$|api_?key|private_?key|access_?key$|credential|client_secret", re.IGNORECASE
)
#: Keys that end like one and hold none.
_HARMLESS_KEY: Final = re.compile(r"(_id|_name|_path|_file|_url|_uri|_type|_method|_arn|_env)$|^token_", re.IGNORECASE)
_AWS_KEY: Final = re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")
_IN_URL: Final = re.compile(r"://[^/\s:@]*:(?P<password>[^/\s@]+)@")
_UNCLOSED: Final = re.compile(r"(?<!\$)\$\{[^}]*\Z")
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
PATIENCE: Final = 120.0  #: seconds for DataHub's SDK to be loaded and say what it thinks


def lint(document: text.Document, source: str, name: str) -> list[Finding]:
    """What can be found without DataHub's SDK; with line and column where the text is YAML or JSON."""
    places = {} if name.endswith(".toml") else _places(source, name)
    found = [*_unknown(document), *_plain_secrets(document), *_expressions(document)]
    return [*(_placed(one, places) for one in found), *([] if name.endswith(".toml") else _twice(source, name))]


def inspect(
    document: text.Document, values: Mapping[str, str], *, environ: Mapping[str, str], python: str = sys.executable
) -> list[Finding]:
    """What DataHub's SDK finds: plugins that are missing, fields that it does not know or takes amiss.

    Args:
        document: the recipe, its `${…}` not put in.
        values: those that are known. What holds another one is not judged.
        environ: of the process that is asked.
        python: the interpreter that has the SDK.

    Raises:
        Unavailable: it does not answer in time, or with nonsense.
    """
    asked = {"recipe": text.fill_known(document, values), "open": text.unknown(document, values)}
    command = [python, "-I", "-c", "from headgate.recipes.inspecting import main; main()"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own code; the recipe goes by pipe
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=PATIENCE, check=False,
            env=dict(environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"DataHub's SDK did not look through the recipe within {PATIENCE:g} s") from error
    try:
        answer: list[dict[str, str]] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        said = " ".join(done.stderr.split())[-500:]
        raise Unavailable(f"DataHub's SDK could not look through the recipe: {said or 'it said nothing'}") from error
    return [Finding(severity=Severity(one["severity"]), at=one["at"], message=one["message"]) for one in answer]


def with_places(findings: Sequence[Finding], source: str, name: str) -> list[Finding]:
    """The findings with line and column, where the text is YAML or JSON."""
    places = {} if name.endswith(".toml") else _places(source, name)
    return [_placed(one, places) for one in findings]


def is_secret_key(key: str) -> bool:
    """Whether a key of this name holds something secret."""
    return bool(_SECRET_KEY.search(key)) and not _HARMLESS_KEY.search(key)


def _unknown(document: text.Document) -> Iterator[Finding]:
    for key in document:
        if key not in TOP and not key.startswith("__"):
            near = difflib.get_close_matches(key, TOP, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(TOP)}"
            yield Finding(severity=Severity.ERROR, at=key, message=f"nobody knows the key {key!r}{hint}")
    if not document.get("sink"):
        where = "it goes to the DataHub that is configured, or to the embedded catalog of a running server"
        yield Finding(severity=Severity.NOTE, at="", message=f"the recipe has no sink: {where}")


def _plain_secrets(document: text.Document) -> Iterator[Finding]:
    for path, value in text.texts(document):
        if "${" in value or value.startswith("$") or not value.strip():
            continue
        key, at = next((one for one in reversed(path) if not one.isdigit()), ""), ".".join(path)
        password = _IN_URL.search(value)
        if _AWS_KEY.search(value) or _PEM.search(value) or (password and set(password["password"]) != {"*"}):
            what = "a key of AWS" if _AWS_KEY.search(value) else "a private key" if _PEM.search(value) else "a password"
        elif is_secret_key(key.removeprefix(text.TO_FILE)):
            what = f"the {key}"
        else:
            continue
        advice = f"write ${{{_variable(key)}}} and keep it with `headgate secrets set {_variable(key)}`"
        yield Finding(severity=Severity.ERROR, at=at, message=f"{what} stands here in plain text; {advice}")


def _expressions(document: text.Document) -> Iterator[Finding]:
    for path, value in text.texts(document):
        at = ".".join(path)
        try:
            text.variables({"": value})
        except Invalid as error:
            yield Finding(severity=Severity.ERROR, at=at, message=str(error))
        else:
            if _UNCLOSED.search(value):
                message = "a ${ without its } stands here, and is taken as it is; write ${NAME}"
                yield Finding(severity=Severity.WARNING, at=at, message=message)


def _twice(source: str, name: str) -> Iterator[Finding]:
    """Keys that stand in one mapping twice. DataHub takes the last of them, and says nothing."""
    problems: list[InvalidConfiguration] = []
    nodes.read(source, name, environ=None, problems=problems)
    for one in problems:
        if "is given twice" in one.message:
            yield Finding(
                severity=Severity.WARNING, at="", message=f"{one.message}; the last one counts", line=one.line,
                column=one.column,
            )  # fmt: skip


def _variable(key: str) -> str:
    return re.sub(r"\W+", "_", key).strip("_").upper() or "NAME"


def _places(source: str, name: str) -> dict[str, Place]:
    """Where each key and item stands, by its keys with dots between."""
    problems: list[InvalidConfiguration] = []
    root = nodes.read(source, name, environ=None, problems=problems)
    found: dict[str, Place] = {}

    def walk(node: Node, path: tuple[str, ...]) -> None:
        if isinstance(node, Table):
            for key, one in node.entries.items():
                found[".".join((*path, key))] = node.keys[key]
                walk(one, (*path, key))
        elif isinstance(node, Items):
            for number, one in enumerate(node.items):
                found[".".join((*path, str(number)))] = one.place
                walk(one, (*path, str(number)))

    if root is not None:
        walk(root, ())
    return found


def _placed(finding: Finding, places: Mapping[str, Place]) -> Finding:
    """With the place of its key, or of the nearest one around it."""
    path = finding.at
    while path and path not in places:
        path = path.rpartition(".")[0]
    if not path:
        return finding
    place = places[path]
    return Finding(
        severity=finding.severity, at=finding.at, message=finding.message, line=place.line, column=place.column
    )
