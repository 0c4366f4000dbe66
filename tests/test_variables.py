"""This file is where ${...} in a text is tested."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.variables import Variable, escape, expand, parse

ENVIRON = {"SET": "value", "EMPTY": "", "DOLLAR": "${SET}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        ("plain $ and $$ and {} stay", "plain $ and $$ and {} stay"),
        ("${SET}", "value"),
        ("a-${SET}-b", "a-value-b"),
        ("${EMPTY}", ""),
        ("${SET:-other}", "value"),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${SET:?why}", "value"),
        ("${UNSET:-${SET}}", "value"),
        ("${UNSET:-${UNSET:-deep}}", "deep"),
        ('${UNSET:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'),
        ('${SET:-{"a": {"b": 1}}}!', "value!"),
        ("${SET:-$${B}}!", "value!"),
        ("$${SET}", "${SET}"),
        ("$$${SET}", "$value"),
        ("$$$${SET}", "$${SET}"),
        ("${UNSET:-$${SET}}", "${SET}"),
        ("${DOLLAR}", "${SET}"),
        ("${SET", None),
        ("${UNSET:-${SET}", None),
        ("${}", None),
        ("${1A}", None),
        ("${SET-old}", None),
        ("${SET:+x}", None),
        ("${UNSET}", None),
        ("${UNSET:?}", None),
        ("${EMPTY:?say why}", None),
        ("${A:-" * 30 + "}" * 30, None),
    ],
)
def test_each_form_has_one_meaning(text: str, expanded: str | None) -> None:
    """Every form of the grammar expands to one text; what has none of the forms is refused."""
    if expanded is None:
        with pytest.raises(Invalid):
            expand(text, ENVIRON)
    else:
        assert expand(text, ENVIRON).text == expanded


def test_a_variable_that_must_be_set_says_why() -> None:
    """The message after :? is what the person reads."""
    with pytest.raises(Invalid, match="variable EMPTY is empty: take it from the wiki of value"):
        expand("${EMPTY:?take it from the wiki of ${SET}}", ENVIRON)


def test_the_variables_in_a_text_are_known() -> None:
    """Only the variables whose values are in the text are named, each once."""
    assert expand("${SET}${UNSET:-x}${SET}", ENVIRON).variables == ("SET",)


@given(st.text())
def test_an_escaped_text_expands_to_itself(text: str) -> None:
    """Any text at all can be written down literally."""
    assert expand(escape(text), {}).text == text


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
literals = st.text(alphabet=st.sampled_from("ab$:-? \n\u00e9"), min_size=1)


def variables(rest: st.SearchStrategy[tuple[str | Variable, ...]]) -> st.SearchStrategy[Variable]:
    plain = st.builds(Variable, name=names)
    return plain | st.builds(Variable, name=names, operator=st.sampled_from([":-", ":?"]), rest=rest)


def alternating(parts: list[str | Variable]) -> tuple[str | Variable, ...]:
    """Neighbouring literals are one literal."""
    joined: list[str | Variable] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


expressions = st.recursive(
    st.lists(literals | st.builds(Variable, name=names), max_size=3).map(alternating),
    lambda rest: st.lists(literals | variables(rest), max_size=3).map(alternating),
    max_leaves=8,
)


def render(parts: tuple[str | Variable, ...]) -> str:
    """The inverse of parse: dollar signs that end a literal are doubled where a variable follows."""
    text = ""
    for index, part in enumerate(parts):
        if isinstance(part, Variable):
            text += "${" + part.name + part.operator + render(part.rest) + "}"
            continue
        literal = escape(part)
        if index + 1 < len(parts):
            literal += "$" * (len(literal) - len(literal.rstrip("$")))
        text += literal
    return text


@given(expressions)
def test_an_expression_survives_being_written_and_read(parts: tuple[str | Variable, ...]) -> None:
    """Reading what was written gives the same parts, however they are nested."""
    assert parse(render(parts)) == parts


@given(st.text(alphabet=st.sampled_from("ab${}:-?A_")))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in another way than by refusing it."""
    with contextlib.suppress(Invalid):
        assert isinstance(expand(text, {"A": "x"}).text, str)


def test_a_process_that_ingests_loads_no_settings() -> None:
    """It may have any version of any library; of ours it takes this file, and nothing of headgate.yaml."""
    script = "import sys, headgate.recipes.entry; print(*(one for one in sys.modules if one.startswith('headgate')))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "headgate.variables" in loaded
    assert [one for one in loaded if one.startswith("headgate.settings")] == []
