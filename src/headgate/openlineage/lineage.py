"""This file is where column lineage is read, and `dataJobInputOutput` is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.errors import UnconvertibleEvent
from headgate.openlineage.datasets import DatasetUrn, Found, Resolver
from headgate.openlineage.java import lower_key, sorted_as_java
from headgate.openlineage.options import Options
from headgate.openlineage.scalars import Text, text
from headgate.openlineage.wire import ColumnLineage, InputField, OutputField

UNKNOWN: Final = "urn:li:corpuser:UNKNOWN"
DATAHUB: Final = "urn:li:corpuser:datahub"


#: A column: the URN of its dataset, and its name.
Column = tuple[str, str]
#: What one column is made of: the operation ("" where nothing is known of it), the column, and those it comes from. A
#: plain tuple, because there are thousands of them.
Lineage = tuple[str, Column, Sequence[Column]]


_Fields = Mapping[str, OutputField | None]
_Inputs = Sequence[InputField | None]
_NOTHING: Final[dict[str, None]] = {}
#: How sure a pair of columns is. One object for all of them: answers are to be read only.
_HALF: Final = {"confidenceScore": 0.5}


#: URNs of the datasets that input fields name; None where they name none. They come again and again.
_Sources = dict[tuple[Text, Text], str | None]


class Pairs:
    """The column lineage of one event, with a limit on what it may cost."""

    def __init__(self, options: Options, resolver: Resolver, query: str | None) -> None:
        self._options = options
        self._resolver = resolver
        self._query = query if query and query.strip() else ""
        self._operations: dict[str, str] = {}
        self._limits = options.limits
        self._pairs = 0
        self._characters = 0
        self.dropped = 0  #: input fields that name no dataset

    def of(self, facet: ColumnLineage, urn: DatasetUrn) -> tuple[list[Lineage], list[str]]:
        """The lineage of one dataset's fields, in the event's order, and the URNs of the datasets it names.

        Raises:
            UnconvertibleEvent: there are more pairs, or more text in them, than the limits allow.
        """
        sources: _Sources = {}
        lineage = (self._united if self._options.released else self._paired)(facet.fields or {}, urn.text, sources)
        return lineage, list(dict.fromkeys(one for one in sources.values() if one is not None))

    def _paired(self, fields: _Fields, urn: str, sources: _Sources) -> list[Lineage]:
        """An entry a pair. This is the innermost loop of the whole conversion."""
        lineage: list[Lineage] = []
        query, direct = self._query, not self._options.include_indirect_column_lineage
        for field, one_of in fields.items():
            if one_of is None:
                continue
            inputs, joined = one_of.inputFields or (), _NOTHING
            if direct:
                inputs, joined = _without_indirect(inputs)
            column = (urn, field)
            for one in inputs:
                if one is None:
                    continue
                key, name = (one.namespace, one.name), one.field
                source = sources[key] if key in sources else sources.setdefault(key, self._urn(*key))
                if type(name) is not str:
                    name = text(name)
                if source is None or name is None:
                    self.dropped += 1
                    continue
                operation = _said(one, joined)
                if query:
                    operation = self._operation(operation)
                self._count(len(operation) + len(urn) + len(field) + len(source) + len(name))
                lineage.append((operation, column, ((source, name),)))
        return lineage

    def _united(self, fields: _Fields, urn: str, sources: _Sources) -> list[Lineage]:
        """As released: an entry a field, its sources once in the order of their URNs, with the words of all."""
        lineage: list[Lineage] = []
        for field, one_of in fields.items():
            inputs: _Inputs = one_of.inputFields or () if one_of is not None else ()
            joined = _NOTHING
            if not self._options.include_indirect_column_lineage:
                inputs, joined = _without_indirect(inputs)
            words, found = dict(joined), dict[str, Column]()
            for one in inputs:
                if one is None:
                    continue
                key, name = (one.namespace, one.name), text(one.field)
                source = sources[key] if key in sources else sources.setdefault(key, self._urn(*key))
                if source is None or name is None:
                    self.dropped += 1
                    continue
                found[field_urn((source, name))] = (source, name)
                words |= words_of(one)
            if found:
                operation = self._operation(",".join(sorted(words, key=lower_key)))
                for source_urn in found:
                    self._count(len(operation) + len(urn) + len(field) + len(source_urn))
                lineage.append((operation, (urn, field), [found[one] for one in sorted_as_java(found)]))
        return lineage

    def _count(self, characters: int) -> None:
        """Count a pair. At once, because words that join many pairs cost time before they cost room."""
        self._pairs += 1
        self._characters += characters
        if self._pairs > self._limits.pairs or self._characters > self._limits.characters:
            raise UnconvertibleEvent(
                f"the column lineage has more than {self._limits.pairs:,} pairs or"
                f" {self._limits.characters:,} characters"
            )

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
    """Parts as they stand in a path. Those of datasets and columns come again and again."""

    def __missing__(self, part: str) -> str:
        found = self[part] = pointer(part)
        return found


def lineage_paths(lineage: Sequence[Lineage], options: Options) -> list[str]:
    """The path of every pair in a patch."""
    paths: list[str] = []
    at = _Pointers()
    for operation, (urn, column), sources in lineage:
        said = (escaped(operation) if options.escape_operations else operation) or "TRANSFORM"
        start = f"/fineGrainedLineages/{said}/urn:li:schemaField:({at[urn]},{at[column]})/NONE"
        for one, name in sources:
            paths.append(f"{start}/urn:li:schemaField:({at[one]},{at[name]})")
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
