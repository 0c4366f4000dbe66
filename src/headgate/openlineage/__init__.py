"""This package is where OpenLineage events become what DataHub is told: in, a JSON event; out, a list of proposals.

In the order things happen: `wire` and `scalars` (an event is read), `names` (its flow, job and run), `datasets`
(URNs), `lineage` (columns, and what a job reads and writes), `properties`, `aspects`, `schema`, `runs`, `structured`
(what is said of each), `convert` (all of it in order). `java` has the ways of the converter this one equals, `options`
what may be asked.
Nothing here knows a network, a clock or an SDK.
"""

from headgate.openlineage.convert import Mcp, Tally, convert
from headgate.openlineage.datasets import Aliases, SharedAliases
from headgate.openlineage.options import (
    LIBRARY,
    STEP_FUNCTION_ARN,
    Connection,
    Limits,
    Options,
    PathSpec,
    PropertyRule,
    configured,
    rest_defaults,
)
from headgate.openlineage.structured import definition

__all__ = [
    "LIBRARY",
    "STEP_FUNCTION_ARN",
    "Aliases",
    "Connection",
    "Limits",
    "Mcp",
    "Options",
    "PathSpec",
    "PropertyRule",
    "SharedAliases",
    "Tally",
    "configured",
    "convert",
    "definition",
    "rest_defaults",
]
