"""This file is where column lineage is read, and `dataJobInputOutput` is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from headgate.errors import UnconvertibleEvent
from headgate.openlineage.datasets import DatasetUrn, Found, Resolver
from headgate.openlineage.java import lower_key, sorted_as_java
from headgate.openlineage.options import Options
from headgate.openlineage.wire import ColumnLineage, InputField, Text, text

UNKNOWN: Final = "urn:li:corpuser:UNKNOWN"
DATAHUB: Final = "urn:li:corpuser:datahub"


#: A column: the URN of its dataset, and its name.
Column = tuple[str, str]
#: What one column is made of: the operation ("" where nothing is known of it), the column, and those it comes from. A
#: plain tuple, because there are thousands of them.
Lineage = tuple[str, Column, Sequence[Column]]


#: URNs of the datasets that input fields name; None where they name none.
_Known = dict[tuple[Text, Text], str | None]
_Inputs = Sequence[InputField | None]
_NOTHING: Final[dict[str, None]] = {}
#: How sure a pair of columns is. One object for all of them: answers are to be read only.
_HALF: Final = {"confidenceScore": 0.5}


class Pairs:
    """The column lineage of one event, with a limit on what it may cost."""

    def __init__(self, options: Options, resolver: Resolver, query: str | None) -> None:
        self._options = options
        self._resolver = resolver
        self._query = query if query and query.strip() else ""
        self._operations: dict[str, str] = {}
        self._count = 0
        self._characters = 0
        self.dropped = 0  #: input fields that name no dataset

    def of(self, facet: ColumnLineage, urn: DatasetUrn) -> tuple[list[Lineage], list[str]]:
        """The lineage of one dataset's fields, in the event's order, and the URNs of the datasets it names.

        Raises:
            UnconvertibleEvent: there are more pairs, or more text in them, than the limits allow.
        """
        lineage: list[Lineage] = []
        known: _Known = {}
        for name, field in (facet.fields or {}).items():
            if field is None or not field.inputFields:
                continue
            inputs, joined = field.inputFields, _NOTHING
            if not self._options.include_indirect_column_lineage:
                inputs, joined = _without_indirect(inputs)
            if self._options.released:
                self._united(inputs, joined, (urn.text, name), known, lineage)
            else:
                self._paired(inputs, joined, (urn.text, name), known, lineage)
            limits = self._options.limits
            if self._count > limits.pairs or self._characters > limits.characters:
                raise UnconvertibleEvent(
                    f"the column lineage has more than {limits.pairs:,} pairs or {limits.characters:,} characters"
                )
        return lineage, list(dict.fromkeys(one for one in known.values() if one is not None))

    def _paired(
        self, inputs: _Inputs, joined: dict[str, None], column: Column, known: _Known, lineage: list[Lineage]
    ) -> None:
        """An entry a pair. This is the innermost loop of the whole conversion."""
        before, characters = len(lineage), 0
        query = self._query
        for one in inputs:
            if one is None or (source := self._source(one, known)) is None:
                continue
            operation = _said(one, joined)
            if query:
                operation = self._operation(operation)
            characters += len(operation) + len(source[0]) + len(source[1])
            lineage.append((operation, column, (source,)))
        count = len(lineage) - before
        self._count += count
        self._characters += characters + count * (len(column[0]) + len(column[1]))

    def _united(
        self, inputs: _Inputs, joined: dict[str, None], column: Column, known: _Known, lineage: list[Lineage]
    ) -> None:
        """As released: an entry a field, its sources once in the order of their URNs, with the words of all."""
        words = dict(joined)
        sources: dict[str, Column] = {}
        for one in inputs:
            if one is not None and (source := self._source(one, known)) is not None:
                sources[field_urn(source)] = source
                words |= words_of(one)
        if sources:
            operation = self._operation(",".join(sorted(words, key=lower_key)))
            self._count += len(sources)
            self._characters += len(sources) * (len(operation) + len(column[0]) + len(column[1]))
            self._characters += sum(map(len, sources))
            lineage.append((operation, column, [sources[urn] for urn in sorted_as_java(sources)]))

    def _source(self, one: InputField, known: _Known) -> Column | None:
        """The column an input field names; None, and counted, where it names no dataset or no field."""
        key, column = (one.namespace, one.name), one.field
        urn = known[key] if key in known else known.setdefault(key, self._urn(*key))
        if type(column) is not str:
            column = text(column)
        if urn is None or column is None:
            self.dropped += 1
            return None
        return urn, column

    def _urn(self, namespace: Text, name: Text) -> str | None:
        namespace, name = text(namespace), text(name)
        urn = self._resolver.urn(namespace, name) if namespace is not None and name is not None else None
        return None if urn is None else urn.text

    def _operation(self, said: str) -> str:
        if not self._query:
            return said
        found = self._operations.get(said)
        if found is None:
            found = self._operations[said] = f"-- {said}\n{self._query}" if said else self._query
        return found


def _without_indirect(inputs: Sequence[InputField | None]) -> tuple[list[InputField], dict[str, None]]:
    """The inputs that give values, and the words of those that do not, which join the others'."""
    joined: dict[str, None] = {}
    kept: list[InputField] = []
    for one in inputs:
        if one is None:
            continue
        kinds = [text(change.type) or "" for change in one.transformations or () if change is not None]
        if kinds and all(kind.upper() == "INDIRECT" for kind in kinds):
            joined |= words_of(one)
        else:
            kept.append(one)
    return kept, joined


def _said(one: InputField, joined: dict[str, None]) -> str:
    """What was done to an input, in words and in their order."""
    changes = one.transformations
    if not changes and not joined:
        return ""
    if not joined and changes is not None and len(changes) == 1 and (change := changes[0]) is not None:
        kind, subtype = change.type, change.subtype
        if type(kind) is str and type(subtype) is str:
            return f"{kind}:{subtype}"
        return f"{_part(kind)}:{_part(subtype)}"
    return ",".join(sorted(words_of(one) | joined, key=lower_key))


def words_of(one: InputField) -> dict[str, None]:
    """`TYPE:SUBTYPE` of each transformation, once."""
    return {
        f"{_part(change.type)}:{_part(change.subtype)}": None
        for change in one.transformations or ()
        if change is not None
    }


def _part(value: Any) -> str:
    return value if type(value) is str else text(value) or "null"


def field_urn(column: Column) -> str:
    return f"urn:li:schemaField:({column[0]},{column[1]})"


def pointer(part: str) -> str:
    """A part of a patch's path as Java writes it: a tilde is only seen before a blank."""
    if "~" in part:
        part = part.replace("~ ", "~0")
    return part.replace("/", "~1") if "/" in part else part


def escaped(part: str) -> str:
    """A part of a patch's path as RFC 6901 wants it."""
    return part.replace("~", "~0").replace("/", "~1")


def input_output(
    inputs: Sequence[Found],
    outputs: Sequence[Found],
    lineage: Sequence[Lineage],
    options: Options,
    *,
    at: int,
    now: int,
) -> list[Any] | dict[str, Any] | None:
    """The aspect: operations of a patch, or the whole of it; None where a patch would do nothing.

    Args:
        inputs: in URN order, as the outputs.
        outputs: each URN once.
        lineage: in the event's order.
        options: whether as a patch.
        at: the event's time, milliseconds.
        now: the wall clock, milliseconds.
    """
    if not options.use_patch:
        stamp = {"time": at, "actor": DATAHUB}
        return {
            "inputDatasets": [],
            "outputDatasets": [],
            "inputDatajobs": [],
            "inputDatasetEdges": [{"destinationUrn": one.urn.text, "lastModified": stamp} for one in inputs],
            "outputDatasetEdges": [{"destinationUrn": one.urn.text, "lastModified": stamp} for one in outputs],
            "fineGrainedLineages": [_whole(one) for one in lineage],
        }
    if not inputs and not outputs:
        return None
    stamp = {"time": now, "actor": UNKNOWN}
    operations: list[Any] = []
    for kind, side in (("inputDatasetEdges", inputs), ("outputDatasetEdges", outputs)):
        for one in side:
            urn = one.urn.text
            edge = {"destinationUrn": urn, "lastModified": stamp, "created": stamp}
            operations.append({"op": "add", "path": f"/{kind}/{pointer(urn)}", "value": edge})
    paths = lineage_paths(lineage, options)
    operations += [{"op": "add", "path": path, "value": _HALF} for path in paths]
    return operations


class _Pointers(dict[str, str]):
    """URNs as they stand in a path. Those of datasets come again and again."""

    def __missing__(self, urn: str) -> str:
        found = self[urn] = pointer(urn)
        return found


def lineage_paths(lineage: Sequence[Lineage], options: Options) -> list[str]:
    """The path of every pair in a patch."""
    paths: list[str] = []
    datasets = _Pointers()
    for operation, (urn, column), sources in lineage:
        said = (escaped(operation) if options.escape_operations else operation) or "TRANSFORM"
        start = f"/fineGrainedLineages/{said}/urn:li:schemaField:({datasets[urn]},{pointer(column)})/NONE"
        paths += [f"{start}/urn:li:schemaField:({datasets[one]},{pointer(name)})" for one, name in sources]
    return paths


def _whole(lineage: Lineage) -> dict[str, Any]:
    operation, column, sources = lineage
    made: dict[str, Any] = {
        "upstreamType": "FIELD_SET",
        "upstreams": [field_urn(source) for source in sources],
        "downstreamType": "FIELD_SET",
        "downstreams": [field_urn(column)],
        "confidenceScore": 0.5,
    }
    if operation:
        made["transformOperation"] = operation
    return made


def without_legacy(
    lineage: Sequence[Lineage], upstreams: Sequence[str], options: Options
) -> list[Any] | dict[str, Any]:
    """`upstreamLineage` of an output whose lineage is now the job's: what older versions wrote there is taken away."""
    if not options.use_patch:
        return {"upstreams": [], "fineGrainedLineages": []}
    removed = [f"/upstreams/{pointer(urn)}" for urn in upstreams]
    return [{"op": "remove", "path": path} for path in [*removed, *lineage_paths(lineage, options)]]
