"""This file is where reading YAML with its places is tested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import InvalidConfiguration
from headgate.settings.nodes import Items, Node, Table, Text, read


def parsed(text: str, environ: dict[str, str] | None = None) -> tuple[Node | None, list[str]]:
    problems: list[InvalidConfiguration] = []
    node = read(text, "f.yaml", environ=environ, problems=problems)
    return node, [str(problem) for problem in problems]


def plain(node: Node | None) -> object:
    match node:
        case Table(entries=entries):
            return {name: plain(value) for name, value in entries.items()}
        case Items(items=items):
            return [plain(item) for item in items]
        case Text(text=text, null=null):
            return None if null else text
        case None:
            return None


def test_every_value_knows_its_place() -> None:
    """Lines and columns count from 1, for keys and for values, in both styles."""
    node, problems = parsed("a: 1\nb:\n  - {c: 2}\n")

    assert problems == []
    assert isinstance(node, Table)
    assert (str(node.keys["b"]), str(node.entries["a"].place)) == ("f.yaml:2:1", "f.yaml:1:4")
    items = node.entries["b"]
    assert isinstance(items, Items)
    assert isinstance(items.items[0], Table)
    assert str(items.items[0].entries["c"].place) == "f.yaml:3:9"


def test_a_text_stays_as_it_is_written() -> None:
    """What YAML would make a number, a date or a boolean is kept to the letter."""
    node, _ = parsed("{on: yes, a: 1.50, b: 0x10, c: 2026-02-16, d: 'x', e: ~, f: , g: =}")

    assert plain(node) == {
        "on": "yes", "a": "1.50", "b": "0x10", "c": "2026-02-16", "d": "x", "e": None, "f": None, "g": "="
    }  # fmt: skip


def test_anchors_and_merges_work() -> None:
    """An alias is its anchor's value; a merged key gives way to the mapping's own and to the first one merged."""
    node, problems = parsed("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 3}\nw: *x\n")

    assert problems == []
    assert plain(node) == {
        "x": {"a": "1", "b": "1"},
        "y": {"b": "2", "c": "2"},
        "z": {"a": "3", "b": "1", "c": "2"},
        "w": {"a": "1", "b": "1"},
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "f.yaml:2:1: 'a' is given twice in one mapping: first at 1:1"),
        ("a: {b: 1, b: 2}\n", "f.yaml:1:11: 'b' is given twice in one mapping: first at 1:5"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: the tag !!python/object:os.system is not known here"),
        ("a: !env HOME\n", "f.yaml:1:4: the tag !env is not known here"),
        ("? [1]\n: 2\n", "f.yaml:1:3: a key must be plain text"),
        ("${A}: 1\n", "f.yaml:1:1: a key must be plain text, without ${...}; $${ is the text ${"),
        ("${: 1\n", "f.yaml:1:1: a key must be plain text, without ${...}"),
        ("<<: 1\n", "f.yaml:1:5: only mappings can be merged with <<"),
        ("a: &a [*a]\n", "f.yaml:1:4: this value can not be read: an alias stands inside its own anchor"),
        ("a: ${B}\n", "f.yaml:1:4: the environment variable B is not set"),
        ("a: ${A-x}\n", "f.yaml:1:4: '${A-x}' is none of ${NAME}, ${NAME:-default} and ${NAME:?message}"),
        ("a: {b: ${A}}\n", "a value with ${...} inside { } or [ ] must be in quotes"),
        ("a:\n\t- b\n", "f.yaml:2:1: this is not YAML"),
        ("a:\n\t- b\n", "indented with spaces, never with tabs"),
        ("a: [1\nb: 2\n", "f.yaml:2:"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: this is not YAML: expected a single document"),
        ("a: *b\n", "f.yaml:1:4: this is not YAML: found undefined alias"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ("[" * 5000 + "]" * 5000, "f.yaml"),
    ],
)
def test_what_is_no_configuration_is_named_with_its_place(text: str, problem: str) -> None:
    """Each thing YAML allows and we do not, or that is no YAML, says where it stands and what is wrong."""
    _, problems = parsed(text, {"A": "x"})

    assert any(problem in one for one in problems), problems


def test_a_few_lines_of_aliases_can_not_exhaust_the_memory() -> None:
    """Aliases of aliases that stand for billions of values are refused at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    node, problems = parsed("\n".join(lines))

    assert node is None
    assert "the aliases in this file stand for more values than anyone can mean" in problems[0]


def test_every_problem_is_found_at_once() -> None:
    """What is wrong in one place does not hide what is wrong in another."""
    _, problems = parsed("a: ${NO}\nb: !x 1\nc: 1\nc: 2\n", {})

    assert [problem.split(": ")[0] for problem in problems] == ["f.yaml:1:4", "f.yaml:2:4", "f.yaml:4:1"]


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!<>#|'\"\n \t,?%@`\x00\x07\u00e9\ud7ff$A"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text at all makes the reader raise."""
    parsed(text, {"A": "x"})
