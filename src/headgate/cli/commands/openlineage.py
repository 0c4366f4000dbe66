"""This file is where OpenLineage events are converted by hand, to see what DataHub would be told."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from headgate.cli import session
from headgate.cli.ending import Failed
from headgate.cli.options import Config
from headgate.cli.printing import note
from headgate.errors import Invalid, MalformedEvent, UnconvertibleEvent

#: Bytes of a document, or of a line; a stream of lines may be as long as it likes.
LONGEST: Final = 256 * 2**20

File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="One event, a list, or one a line. Default: standard input.")
]
AsServed = Annotated[
    bool, typer.Option("--as-served", help="By the settings of the endpoint, not by the defaults of DataHub's library.")
]


def convert(file: File = None, as_served: AsServed = False, config: Config = None) -> None:
    """What DataHub is told of OpenLineage events, as JSON: for one event a list of proposals, else a list of lists.

    An event that is refused gives {"error": ...} in its place, and the exit code is 1.
    """
    from headgate.openlineage import LIBRARY, configured  # noqa: PLC0415 - which no other command needs

    options = configured(session.settings(config).openlineage) if as_served else LIBRARY
    with _opened(file) as stream:
        alone, events = read_events(stream)
        count = refused = 0
        for event in events:
            proposals = _converted(event, options)
            refused += isinstance(proposals, dict)
            sys.stdout.write(("" if alone else ",\n" if count else "[") + _written(proposals))
            count += 1
    sys.stdout.write("\n" if alone else "]\n" if count else "[]\n")
    if refused:
        raise Failed(f"{refused} of {count} events refused; the reason is in each one's place" if not alone else "")


def _opened(file: Path | None) -> Any:
    if file is not None and str(file) != "-":
        if not file.is_file():
            raise Invalid(f"there is no file {file} with events")
        return file.open("rb")
    if sys.stdin.isatty():
        note("Reading events from the terminal; Ctrl-D ends them.")
    return sys.stdin.buffer


def _converted(event: bytes, options: Any) -> Any:
    from headgate.openlineage import convert as converted  # noqa: PLC0415 - as above

    try:
        return converted(event, options, now=time.time_ns() // 1_000_000)
    except (MalformedEvent, UnconvertibleEvent) as error:
        return {"error": str(error)}


def _written(value: object) -> str:
    """JSON that standard output can hold, whatever its encoding."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not utf8, indent=2 if sys.stdout.isatty() else None)


def read_events(stream: BinaryIO) -> tuple[bool, Iterator[bytes]]:
    """Whether it is one event, and the events.

    Lines are taken for events where the first is a JSON object by itself, or the second begins like one; then they are
    read as they come. Everything else is one document.

    Raises:
        Invalid: there is nothing, or a document or a line longer than LONGEST.
    """
    lines = _lines(stream)
    first, second = next(lines, b""), next(lines, b"")
    if not first:
        raise Invalid("there is no event in the input; give a JSON object, a list of them, or one a line")
    if second and first.lstrip().startswith(b"{") and (second.startswith(b"{") or _is_object(first)):
        return False, chain([first, second], lines)
    document = [first, second]
    size = len(first) + len(second)
    for line in lines:
        size += len(line)
        if size > LONGEST:
            raise Invalid(f"the input is one document of more than {LONGEST:,} bytes; give the events one a line")
        document.append(line)
    whole = b"".join(document)
    if not whole.lstrip().startswith(b"["):
        return True, iter([whole])
    return False, _elements(whole)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with something on them, less the mark some editors put before a text."""
    mark = b"\xef\xbb\xbf"
    while line := stream.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise Invalid(f"the input has a line of more than {LONGEST:,} bytes")
        line, mark = line.removeprefix(mark), b""
        if line.strip():
            yield line


def _is_object(line: bytes) -> bool:
    import msgspec  # noqa: PLC0415 - as above

    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _elements(document: bytes) -> Iterator[bytes]:
    """The elements of a list, each as its JSON; a list that is broken is one event that is refused."""
    import msgspec  # noqa: PLC0415 - as above

    try:
        found = msgspec.json.decode(document, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return iter([document])
    return map(bytes, found)
