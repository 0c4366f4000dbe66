"""This package is the engine `step_functions`: runs that are executions of AWS Step Functions state machines.

A start is found again by the execution's name, which is the attempt's id: AWS refuses a second execution of that name.
"""

from headgate.engines.step_functions.engine import StepFunctionsEngine
from headgate.engines.step_functions.names import console_link, execution_arn, execution_name

__all__ = ["StepFunctionsEngine", "console_link", "execution_arn", "execution_name"]
