"""This file is where GraphQL is answered: the part of DataHub's schema in catalog.graphql, within bounds.

Errors come as DataHub's do: HTTP 200, `errors` with `extensions` of code, type and classification.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    build_schema,
    execute,
    parse,
    validate,
)
from graphql.language import FieldNode, FragmentSpreadNode, SelectionSetNode

from headgate.embedded import answering
from headgate.embedded.nodes import Asked
from headgate.errors import Conflict, Forbidden, HeadgateError, Invalid, NotFound, Unavailable

MOST_TOKENS: Final = 5_000
MOST_DEPTH: Final = 20
MOST_FIELDS: Final = 5_000  #: with fragments written out

#: DataHub's own words for what went wrong, the first that fits.
_KINDS: Final = (
    (Invalid, 400, "BAD_REQUEST"),
    (Forbidden, 403, "UNAUTHORIZED"),
    (NotFound, 404, "NOT_FOUND"),
    (Conflict, 409, "CONFLICT"),
    (Unavailable, 503, "SERVER_ERROR"),
    (HeadgateError, 500, "SERVER_ERROR"),
)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@cache
def schema() -> GraphQLSchema:
    """Built once, when first asked for."""
    built = build_schema(files("headgate.embedded").joinpath("catalog.graphql").read_text("utf-8"))
    long: Any = built.type_map["Long"]
    long.parse_value = _whole
    long.serialize = _whole
    return built


def run(asked: Asked, query: str, variables: Mapping[str, Any] | None, operation: str | None) -> dict[str, Any]:
    """Answer a query or a mutation: `{data, errors?}`. Nothing is raised for what the query says."""
    try:
        document = parse(query, max_tokens=MOST_TOKENS)
        problems = validate(schema(), document, max_errors=10)
        if problems:
            return {"errors": [_told(one) for one in problems]}
        _bound(document)
    except GraphQLError as error:
        return {"errors": [_told(error)]}
    except RecursionError:
        return {"errors": [_told(GraphQLError("the query is nested too deeply"))]}
    result = execute(
        schema(), document, root_value=answering.ROOT, context_value=asked, field_resolver=_field,
        variable_values=dict(variables or {}), operation_name=operation,
    )  # fmt: skip
    done = cast("ExecutionResult", result)
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [_told(one) for one in done.errors]
    return answer


def _told(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    told = dict(error.formatted)
    if cause is None or isinstance(cause, GraphQLError):
        told["extensions"] = {"classification": "ValidationError"}
        return told
    code, kind = next(((code, kind) for found, code, kind in _KINDS if isinstance(cause, found)), (500, "SERVER_ERROR"))
    if not isinstance(cause, HeadgateError):
        _log.error("a GraphQL field failed", path=error.path, exc_info=cause)
        told["message"] = "the catalog failed; the server's log says why"
    told["extensions"] = {"code": code, "type": kind, "classification": "DataFetchingException"}
    return cast("dict[str, Any]", told)


def _bound(document: DocumentNode) -> None:
    """Refuse a query that is valid, and too much. Raises GraphQLError."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    known: dict[str, tuple[int, int]] = {}

    def measure(chosen: SelectionSetNode | None) -> tuple[int, int]:
        depth = size = 0
        for one in chosen.selections if chosen else ():
            below = inside(one)
            step = int(isinstance(one, FieldNode))
            depth, size = max(depth, below[0] + step), size + below[1] + step
        return depth, size

    def inside(one: Node) -> tuple[int, int]:
        if isinstance(one, FragmentSpreadNode):
            name = one.name.value
            if name not in known:
                known[name] = measure(fragments[name].selection_set)
            return known[name]
        return measure(getattr(one, "selection_set", None))

    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            depth, size = measure(operation.selection_set)
            if depth > MOST_DEPTH or size > MOST_FIELDS:
                raise GraphQLError(
                    f"the query is {depth} deep and asks for {size:,} fields; at most {MOST_DEPTH} and {MOST_FIELDS:,}"
                )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise GraphQLError(f"Long cannot represent {str(value)[:40]!r}")
    return value


def _field(source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    """A field of a mapping. What can be called is called: root fields with who asks, others with the arguments."""
    found = cast("Mapping[str, Any]", source).get(info.field_name) if isinstance(source, Mapping) else None
    if not callable(found):
        return found
    return found(info.context, **args) if source is answering.ROOT else found(args)
