"""This package is the engine `lambda`: runs that are invocations of AWS Lambda functions.

Lambda knows no names for invocations. An `Event` whose reply was lost is sent again, with the same `runId` and
`attempt` in its payload, by which the function knows that it was asked before (Lambda itself delivers twice at times).
A function whose answer was waited for, and lost, is not: its run is, and whether there is another attempt is the job's
`max_retries` to say.
"""

from headgate.engines.lambda_.engine import LambdaEngine
from headgate.engines.lambda_.target import Target, read_target

__all__ = ["LambdaEngine", "Target", "read_target"]
