"""This package is the engine `lambda`: runs that are invocations of AWS Lambda functions.

Lambda knows no names for invocations: one whose reply was lost is made again, with the same `runId` and `attempt` in
its payload, by which the function knows that it was asked before (Lambda itself delivers twice at times).
"""

from headgate.engines.lambda_.engine import LambdaEngine
from headgate.engines.lambda_.target import Target, read_target

__all__ = ["LambdaEngine", "Target", "read_target"]
