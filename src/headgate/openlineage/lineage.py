"""This file is where column lineage is read, and `dataJobInputOutput` is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from headgate.errors import UnconvertibleEvent
from headgate.openlineage.datasets import DatasetUrn, Found, Resolver
from headgate.openlineage.java import lower_key
from headgate.openlineage.options import Options
from headgate.openlineage.wire import ColumnLineage, InputField, text

UNKNOWN: Final = "urn:li:corpuser:UNKNOWN"
DATAHUB: Final = "urn:li:corpuser:datahub"


class Lineage(NamedTuple):
    """What one field is made of. Texts are URNs of schemaFields."""

    operation: str  #: "" where nothing is known of it
    downstream: str
    upstreams: Sequence[str]


class Pairs:
    """The column lineage of one event, with a limit on what it may cost."""

    def __init__(self, options: Options, resolver: Resolver, query: str | None) -> None:
        self._options = options
        self._resolver = resolver
        self._query = query if query and query.strip() else ""
        self._count = 0
        self._characters = 0
        self.dropped = 0  #: input fields that name no dataset

    def of(self, facet: ColumnLineage, urn: DatasetUrn) -> tuple[list[Lineage], list[str]]:
        """The lineage of one dataset's fields, in the event's order, and the URNs of the datasets it names.

        Raises:
            UnconvertibleEvent: there are more pairs, or more text in them, than the limits allow.
        """
        lineage: list[Lineage] = []
        known: dict[tuple[str, str], DatasetUrn | None] = {}
        for name, field in (facet.fields or {}).items():
            if field is None or not field.inputFields:
                continue
            downstream = f"urn:li:schemaField:({urn.text},{name})"
            inputs, joined = self._kept(field.inputFields)
            found: list[tuple[str, dict[str, None]]] = []
            for one in inputs:
                upstream = self._upstream(one, known)
                if upstream is None:
                    self.dropped += 1
                    continue
                found.append((upstream, words_of(one) | joined if joined else words_of(one)))
            if self._options.released:
                found = _united(found)
                if found:
                    lineage.append(self._made(found[0][1], downstream, [upstream for upstream, _ in found]))
            else:
                lineage += [self._made(words, downstream, [upstream]) for upstream, words in found]
        return lineage, list(dict.fromkeys(one.text for one in known.values() if one is not None))

    def _kept(self, inputs: Sequence[InputField | None]) -> tuple[list[InputField], dict[str, None]]:
        """The inputs that count, and the words of those that do not, which join the others'."""
        given = [one for one in inputs if one is not None]
        joined: dict[str, None] = {}
        if self._options.include_indirect_column_lineage:
            return given, joined
        kept: list[InputField] = []
        for one in given:
            kinds = [change.type for change in one.transformations or () if change is not None]
            if kinds and all(kind == "INDIRECT" for kind in kinds):
                joined |= words_of(one)
            else:
                kept.append(one)
        return kept, joined

    def _upstream(self, one: InputField, known: dict[tuple[str, str], DatasetUrn | None]) -> str | None:
        namespace, name, field = text(one.namespace), text(one.name), text(one.field)
        if namespace is None or name is None or field is None:
            return None
        key = (namespace, name)
        if key not in known:
            known[key] = self._resolver.urn(namespace, name)
        urn = known[key]
        return None if urn is None else f"urn:li:schemaField:({urn.text},{field})"

    def _made(self, words: Mapping[str, None], downstream: str, upstreams: Sequence[str]) -> Lineage:
        operation = self._operation(words)
        self._count += len(upstreams)
        self._characters += len(upstreams) * (len(operation) + len(downstream)) + sum(map(len, upstreams))
        limits = self._options.limits
        if self._count > limits.pairs or self._characters > limits.characters:
            raise UnconvertibleEvent(
                f"the column lineage has more than {limits.pairs:,} pairs or {limits.characters:,} characters"
            )
        return Lineage(operation, downstream, upstreams)

    def _operation(self, words: Mapping[str, None]) -> str:
        said = next(iter(words)) if len(words) == 1 else ",".join(sorted(words, key=lower_key))
        if not self._query:
            return said
        return f"-- {said}\n{self._query}" if said else self._query


def words_of(one: InputField) -> dict[str, None]:
    """`TYPE:SUBTYPE` of each transformation, once."""
    return {
        f"{_part(change.type)}:{_part(change.subtype)}": None
        for change in one.transformations or ()
        if change is not None
    }


def _part(value: Any) -> str:
    return value if type(value) is str else text(value) or "null"


def _united(found: Sequence[tuple[str, Mapping[str, None]]]) -> list[tuple[str, dict[str, None]]]:
    """As released: every upstream once, in the order of their URNs, each with the words of all."""
    words = {word: None for _, own in found for word in own}
    return [(upstream, words) for upstream in sorted({upstream for upstream, _ in found})]


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
    for path in lineage_paths(lineage, options):
        operations.append({"op": "add", "path": path, "value": {"confidenceScore": 0.5}})
    return operations


def lineage_paths(lineage: Sequence[Lineage], options: Options) -> list[str]:
    """The path of every pair in a patch."""
    paths: list[str] = []
    for operation, downstream, upstreams in lineage:
        said = operation or "TRANSFORM"
        head = (
            f"/fineGrainedLineages/{escaped(said) if options.escape_operations else said}/{pointer(downstream)}/NONE/"
        )
        paths += [head + pointer(upstream) for upstream in upstreams]
    return paths


def _whole(lineage: Lineage) -> dict[str, Any]:
    made: dict[str, Any] = {
        "upstreamType": "FIELD_SET",
        "upstreams": list(lineage.upstreams),
        "downstreamType": "FIELD_SET",
        "downstreams": [lineage.downstream],
        "confidenceScore": 0.5,
    }
    if lineage.operation:
        made["transformOperation"] = lineage.operation
    return made


def without_legacy(
    lineage: Sequence[Lineage], upstreams: Sequence[str], options: Options
) -> list[Any] | dict[str, Any]:
    """`upstreamLineage` of an output whose lineage is now the job's: what older versions wrote there is taken away."""
    if not options.use_patch:
        return {"upstreams": [], "fineGrainedLineages": []}
    removed = [f"/upstreams/{pointer(urn)}" for urn in upstreams]
    return [{"op": "remove", "path": path} for path in [*removed, *lineage_paths(lineage, options)]]
