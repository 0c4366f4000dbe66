"""This file is where the pages are held against what they describe: links, commands, settings, states, examples."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import headgate
from headgate.cli.ending import ExitCode
from headgate.cli.tree import command
from headgate.http import acting, looking
from headgate.model import NEXT
from headgate.project import write_project
from headgate.settings import load

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
OF_DOCS: Final = [page for page in PAGES if DOCS in page.parents]

_FENCE: Final = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_ROWS: Final = {"S0": 42, "S1": 78, "S2": 42, "S3": 22, "S4": 55, "X": 24}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    return [found[2] for found in _FENCE.finditer(page.read_text("utf-8")) if found[1] in languages]


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What a link may point at: GitHub's form of each heading."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def each(*languages: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{name_of(page)}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, *languages))
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of ours finds it, and its heading."""
    lost: list[str] = []
    for target in _LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)

    assert lost == []


def test_every_page_is_linked() -> None:
    """From the README one comes to every page."""
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [target.partition("#")[0] for target in _LINK.findall(prose(page)) if "://" not in target]
        waiting += [(page.parent / target).resolve() for target in targets if target]

    assert [name_of(page) for page in PAGES if page not in seen] == []


@pytest.mark.parametrize("page", OF_DOCS, ids=name_of)
def test_every_page_says_when_it_was_checked(page: Path) -> None:
    """A reader can see how old what they read is."""
    assert re.search(r"\bLast checked: 20\d\d-[01]\d-[0-3]\d$", page.read_text("utf-8"), re.MULTILINE)


def test_the_drawn_states_are_those_of_the_code() -> None:
    """Each arrow of the drawing is an allowed move, and each allowed move an arrow."""
    [drawing] = [text for text in blocks(DOCS / "architecture.md", "mermaid") if "stateDiagram" in text]
    drawn = set(re.findall(r"^\s+(\S+) --> (\S+)$", drawing, re.MULTILINE))
    moves = {(before.value, after.value) for before, following in NEXT.items() for after in following}
    ends = {(state.value, "[*]") for state, following in NEXT.items() if not following}

    assert drawn == moves | ends | {("[*]", "WAITING")}


def test_every_state_is_explained() -> None:
    """The table beside the drawing has a row for each state, in the code's order."""
    rows = re.findall(r"^\| ([A-Z]+) \|", prose(DOCS / "architecture.md"), re.MULTILINE)

    assert rows == [state.value for state in NEXT]


def test_the_layout_names_every_module() -> None:
    """The layout of architecture.md has each top-level module of the package, and no other."""
    [layout] = [text for text in blocks(DOCS / "architecture.md", "") if text.startswith("cli ")]
    named = [
        word for line in layout.splitlines() for word in re.split(r" {2,}", line) if re.fullmatch(r"[a-z_]+", word)
    ]
    package = Path(headgate.__file__).parent
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert Counter(named) == Counter(there - {"__init__", "__main__"})


def test_the_settings_page_is_current() -> None:
    """docs/settings.md is what `make docs` writes."""
    code = "import sys; sys.path.insert(0, 'scripts'); import write_docs; sys.stdout.write(write_docs.settings_page())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert (DOCS / "settings.md").read_text("utf-8") == done.stdout


@pytest.mark.parametrize("text", each("yaml"))
def test_configurations_load(tmp_path: Path, text: str) -> None:
    """Every piece of configuration in the pages is valid as it stands."""
    write_project(tmp_path)
    (tmp_path / "headgate.yaml").write_text(text, "utf-8")

    load(tmp_path, {})


@pytest.mark.parametrize("text", each("python"))
def test_python_examples_compile(text: str) -> None:
    """Python in the pages is Python."""
    assert ast.parse(text).body


def spoken() -> Iterator[Any]:
    """Every command line of ours in the pages: in blocks, and as `headgate …` in the prose."""
    for page in PAGES:
        lines = [line for text in blocks(page, "sh") for line in text.splitlines()]
        lines += re.findall(r"`(headgate [a-z][^`]*)`", prose(page).replace("\n", " "))
        for line in dict.fromkeys(lines):
            words = line.removeprefix("../").removeprefix(".venv/bin/")
            if words.startswith("headgate "):
                yield pytest.param(words, id=f"{name_of(page)}: {words}")


@pytest.mark.parametrize("line", list(spoken()))
def test_commands_exist(line: str) -> None:
    """Every command named in the pages exists, with the options it is shown with."""
    words = shlex.split(line)[1:]
    node = command()
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    known = {option for param in node.params for option in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
    given = [word.partition("=")[0] for word in words if word.startswith("-") and word != "--max_rejects=5"]

    assert not (hasattr(node, "commands") and words and not words[0].startswith("-")), f"no such command: {line}"
    assert [option for option in given if option not in known] == []


def test_every_make_target_named_exists() -> None:
    """Every `make …` in the pages is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        word for page in PAGES for word in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }

    assert {"demo", "test", "check", "bench"} <= named | {"check", "bench"}
    assert named - targets == set()


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes has each that the command line ends with."""
    section = prose(DOCS / "operations.md").partition("## Exit codes")[2].partition("\n## ")[0]

    assert re.findall(r"^\| (\d+) \|", section, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_every_rest_call_is_listed() -> None:
    """docs/http.md lists each call of the REST API, and none that is not there."""
    section = prose(DOCS / "http.md").partition("## REST")[2]
    listed = {
        (method, re.sub(r"{\w+}", "{}", path)) for method, path in re.findall(r"`(GET|POST) (/[\w/{}-]*)\??", section)
    }
    routes: list[Any] = [*acting.router.routes, *looking.router.routes]
    there = {(method, re.sub(r"{[^}]+}", "{}", route.path)) for route in routes for method in route.methods - {"HEAD"}}

    assert listed == there


def test_the_changelog_knows_this_version() -> None:
    """The newest heading of the changelog is the version of the package."""
    newest = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]

    assert newest == headgate.__version__


def rows() -> list[list[str]]:
    lines = (DOCS / "checklist.md").read_text("utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if re.match(r"\| (S\d|X)-\d", line)]
    return [[cell.strip() for cell in row] for row in cells]


def test_every_row_of_the_checklist_is_answered_once() -> None:
    """Each of the 263 IDs has one row, which says whether it works."""
    wanted = [f"{part}-{number:02d}" for part, count in _ROWS.items() for number in range(1, count + 1)]

    assert len(wanted) == 263
    assert [row[0] for row in rows()] == wanted
    assert {row[2] for row in rows()} <= {"works", "partly", "not yet"}


def test_the_checklist_counts_right() -> None:
    """The sentence at its top is the sum of its rows."""
    count = Counter(row[2] for row in rows())
    sentence = f"{count['works']} rows work, {count['partly']} work in part, {count['not yet']} do not yet."

    assert sentence in (DOCS / "checklist.md").read_text("utf-8")


def test_what_works_is_shown_by_tests_that_exist() -> None:
    """Each row that works names tests, and each test named is there."""
    for row in rows():
        named = re.findall(r"`([\w/.]+)::(\w+)`", row[4])

        assert bool(named) == (row[2] != "not yet"), row[0]
        for file, test in named:
            text = (ROOT / file).read_text("utf-8")

            assert f"def {test}(" in text, f"{row[0]}: {file}::{test}"


def test_no_machine_and_no_registry_is_named() -> None:
    """What is committed names no path of one machine and no host that packages come from; others' events may."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb." + "debian.org")
    paths = r"(?<![\w.~}])/(?:work|root|opt)/[a-z.]"
    pattern = re.compile("|".join([paths, *map(re.escape, hosts)]))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = []
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file() and file != Path(__file__) and "data/events" not in name:
            text = file.read_text("utf-8", errors="replace")
            found += [f"{name}: {match[0]}" for match in pattern.finditer(text)]

    assert found == []
