"""The gate: everything one may ask for, as one call each."""

from headgate.gate.gate import MOST_EXTERNAL, Gate, LogPart
from headgate.gate.limits import REASON_LENGTH

__all__ = ["MOST_EXTERNAL", "REASON_LENGTH", "Gate", "LogPart"]
