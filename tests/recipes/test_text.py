"""This file is where recipes are read and filled in: our forms, DataHub's own, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datahub.configuration.config_loader import (
    EnvResolver,
    UnboundVariable,  # pyright: ignore[reportPrivateImportUsage] -- of a library that nothing else here needs
)
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import Invalid, MissingSecrets
from headgate.recipes import text, values

VALUES = {"NAME": "value", "OTHER": "with $NAME and ${NAME}", "EMPTY": "", "LINES": "a\nb"}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a-${NAME}-b", "a-value-b"),
        ("${OTHER}", "with $NAME and ${NAME}"),
        ("${MISSING:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${MISSING:-${NAME}}", "value"),
        ("$NAME", "value"),
        ("$MISSING", "$MISSING"),
        ("$2a$10$abc", "$2a$10$abc"),
        ("pa$NAME", "pa$NAME"),
        ("^orders$", "^orders$"),
        ("${NAME}/$NAME", "value/value"),
        (r"${NAME}/\$NAME", "value/$NAME"),
        ("$${NAME}", "${NAME}"),
        ("{}${", "{}${"),
    ],
)
def test_what_a_text_means(written: str, means: str) -> None:
    """Our forms and DataHub's, in a text at any depth; a value is never looked into again."""
    document: dict[str, Any] = {"source": {"type": "x", "list": [1, None, True, [written]]}, written: 1.5}

    assert text.fill(document, VALUES) == {"source": {"type": "x", "list": [1, None, True, [means]]}, written: 1.5}


PARTS = ["a", "${NAME}", "${EMPTY:-d}", "${NAME:-d}", "/", "$NAME", ":", " ", "${LINES}", "${GONE}"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=6))
def test_what_datahub_makes_of_a_text_we_make_of_it(parts: list[str]) -> None:
    """A recipe of DataHub's means with us what it means with `datahub ingest`, and fails where it fails there."""
    document = {"text": "".join(parts)}

    def theirs() -> object:
        try:
            return EnvResolver(VALUES, register_secrets=False).resolve(document)
        except UnboundVariable:
            return "refused"

    def ours() -> object:
        try:
            return text.fill(document, VALUES)
        except Invalid:
            return "refused"

    assert ours() == theirs()


def test_what_is_missing_is_named() -> None:
    """A name without a value is an error that names it, with its own message where it has one."""
    for written, says in (("${GONE}", "GONE"), ("${GONE:?ask Ann}", "ask Ann"), ("${EMPTY:?ask Ann}", "is empty")):
        with pytest.raises(Invalid, match=says.replace("?", "\\?")):
            text.fill({"a": written}, VALUES)


@pytest.mark.parametrize("merge", ["*{0}, *{0}", "<<: [*{0}, *{0}, *{0}, *{0}]"])
def test_a_few_lines_that_mean_billions_are_refused(merge: str) -> None:
    """Aliases of aliases, as items and as merges, are refused before they have filled the memory."""
    lines = ["a0: &a0 {k: v, l: v, m: v, n: v}" if "<<" in merge else "a0: &a0 [x, x]"]
    opened, closed = ("{", "}") if "<<" in merge else ("[", "]")
    lines += [f"a{n}: &a{n} {opened}{merge.format(f'a{n - 1}')}{closed}" for n in range(1, 30)]
    with pytest.raises(Invalid, match="more than"):
        text.parse_recipe("\n".join([*lines, "source: {type: file}"]), "r.yml")


def test_a_missing_value_has_its_message() -> None:
    """`${NAME:?message}`: who has no value for it is told the message, whoever was asked for the value."""
    document = {"a": "x ${GONE:?ask ${WHO:?us}} ${B:-1}", "b": ["${GONE}", "${OTHER}"]}
    with pytest.raises(MissingSecrets, match=r"no value for GONE \(ask \$\{WHO\}\), OTHER; looked in the environment"):
        values.values_of({"b": ["${GONE:?ask ${WHO}}", "${OTHER}"]}, values.Environment({"WHO": "Ann"}), foreign=False)
    assert text.messages(document) == {"GONE": "ask ${WHO}", "WHO": "us"}
    assert text.where(document, "OTHER") == "b.1"


def test_which_names_a_recipe_cannot_do_without() -> None:
    """A name is needed unless each of its places has a default, or is a bare `$NAME`."""
    document = {"a": "${A}", "b": "${A:-1} ${B:-${C}}", "c": "$D", "d": ["${E:?no}", "x$F"], "e": "${G} $H"}

    assert text.variables(document) == {
        "A": True, "B": False, "C": False, "D": False, "E": True, "G": True, "H": True,
    }  # fmt: skip


def test_forms_that_are_none_are_refused() -> None:
    """What looks like an expression and is none is no text that goes on to a source."""
    for written in ("${NAME!x}", "${NAME:+x}", "${a b}"):
        with pytest.raises(Invalid):
            text.variables({"a": written})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.yml", "source: {type: file, config: {path: a, n: 1, flag: true, at: 2024-01-02, 5: x}}\n"),
        (
            "r.json",
            '{"source": {"type": "file", "config": {"path": "a", "n": 1, "flag": true, "at": "2024-01-02", "5": "x"}}}',
        ),
        (
            "r.toml",
            '[source]\ntype="file"\n[source.config]\npath="a"\nn=1\nflag=true\nat="2024-01-02"\n5="x"\n',
        ),
    ],
)
def test_a_recipe_is_yaml_json_or_toml(tmp_path: Path, name: str, content: str) -> None:
    """All three mean the same, and what they mean can be said as JSON."""
    (tmp_path / name).write_text(content, "utf-8")
    config = {"path": "a", "n": 1, "flag": True, "at": "2024-01-02", "5": "x"}

    assert text.read_recipe(tmp_path / name) == {"source": {"type": "file", "config": config}}


@pytest.mark.parametrize(
    "content",
    ["", "[1]", "a: b", "source: x", "source: {type: 3}", "{", "a: *x", "source:\n\t- x", "!!python/object:x {}"],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, content: str) -> None:
    """A file that is no recipe is refused by its name; nothing of it is run."""
    (tmp_path / "r.yml").write_text(content, "utf-8")
    with pytest.raises(Invalid, match=r"r\.yml"):
        text.read_recipe(tmp_path / "r.yml")


def test_values_for_files_are_on_no_disk() -> None:
    """DataHub's directive gives the source a path; what is there is read like a file, and is in memory."""
    document = text.in_files({"source": {"config": {"__DATAHUB_TO_FILE_key": "top secret"}}}, text.in_memory)
    path = Path(document["source"]["config"]["key"])

    assert path.read_text("utf-8") == "top secret"
    assert "memfd" in str(path.readlink())


def test_what_is_not_known_stays(tmp_path: Path) -> None:
    """What can be put in is, and the rest is told by its place."""
    document: dict[str, Any] = {"a": ["${NAME}", {"b": "${GONE} ${NAME}"}], "c": "${OTHER}"}

    assert text.fill_known(document, VALUES) == {"a": ["value", {"b": "${GONE} ${NAME}"}], "c": VALUES["OTHER"]}
    assert text.unknown(document, VALUES) == ["a.1.b"]


def test_a_recipe_is_json_after_all() -> None:
    """Whatever a recipe holds can be written into the run directory."""
    found = text.parse_recipe("source: {type: x, config: {at: 2024-01-02T03:04:05Z, 1.5: ~}}", "r.yml")

    assert json.loads(json.dumps(found)) == found
