"""This file is where a batch's columns meet the table's: which are new and of what type, and which must get wider.

Both are decided by a full scan of the files concerned, so that no later row of the batch can prove the choice wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.types import NestedField, PrimitiveType

from headgate.lake.columns import OURS, inference, inferred, narrow, need, widened
from headgate.lake.headers import Header, compressed
from headgate.lake.scan import Duck, readable, reader
from headgate.lake.sources import Source

Headers = Mapping[Source, Header]


def column_names(headers: Headers, known: Sequence[str]) -> dict[str, str]:
    """Every name of the headers, folded -> the column's name: the table's spelling, else the first header's."""
    names = {name.casefold(): name for name in known}
    for header in dict.fromkeys(header.names for header in headers.values()):
        for name in header:
            names.setdefault(name.casefold(), name)
    return names


def fresh(duck: Duck, headers: Headers, known: Sequence[str]) -> dict[str, PrimitiveType]:
    """The columns that no table column stands for yet, with the types all their values have."""
    names = column_names(headers, known)
    new = {folded: name for folded, name in names.items() if name not in known}
    types: dict[str, PrimitiveType] = {}
    if not new:
        return types
    answers = _ask(duck, headers, {folded: inference(folded) for folded in new})
    for folded, name in new.items():
        types[name] = inferred([_merge(n, column) for n, column in enumerate(zip(*answers[folded], strict=True))])
    return types


def _merge(number: int, answers: Sequence[object]) -> object:
    """Of several scans: how many values there are is a sum, whether all fit is an and."""
    return sum(int(str(one)) for one in answers) if number == 0 else all(answers)


def wider(duck: Duck, headers: Headers, schema: Schema) -> dict[str, PrimitiveType]:
    """The table's narrow columns that a value of the batch does not fit into, with the type it would."""
    folded = {one.name.casefold(): one for one in schema.fields if narrow(one.field_type) and one.name not in OURS}
    types: dict[str, PrimitiveType] = {}
    if not folded:
        return types
    for name, found in _ask(duck, headers, {n: [need(n, f.field_type)] for n, f in folded.items()}).items():
        field = folded[name]
        type_ = widened(field.field_type, max(int(str(one[0])) for one in found)) if found else None
        if type_ is not None:
            types[field.name] = type_
    return types


def _ask(duck: Duck, headers: Headers, questions: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[object, ...]]]:
    """Put aggregates over text columns to all files that have them: column -> one answer a group of files."""
    groups: dict[tuple[tuple[str, ...], bool], list[Source]] = {}
    for source, header in headers.items():
        folded = tuple(name.casefold() for name in header.names)
        if not questions.keys().isdisjoint(folded):
            groups.setdefault((folded, compressed(str(source.path))), []).append(source)
    answers: dict[str, list[tuple[object, ...]]] = {name: [] for name in questions}
    for (names, packed), sources in groups.items():
        asked = [name for name in names if name in questions]
        wanted = ", ".join(expression for name in asked for expression in questions[name])
        with readable(sources) as paths:
            texts = reader(paths, dict.fromkeys(names, "VARCHAR"), packed=packed)
            row = duck().sql(f"SELECT {wanted} FROM {texts}").fetchall()[0]  # noqa: S608 - quoted where made
        for name in asked:
            width = len(questions[name])
            answers[name].append(row[:width])
            row = row[width:]
    return answers


def planned(table: Table, add: Mapping[str, PrimitiveType], widen: Mapping[str, PrimitiveType]) -> Schema:
    """The schema that the table will have when the batch lands, with the field ids its data files must carry."""
    if not add and not widen:
        return table.schema()
    fields = [NestedField(n, name, of, required=False) for n, (name, of) in enumerate({**widen, **add}.items(), 1)]
    transaction = Transaction(table)
    with transaction.update_schema() as update:
        update.union_by_name(Schema(*fields))
    return transaction.table_metadata.schema()
