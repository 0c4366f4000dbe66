"""This file is where the engine `local` is: runs as supervised processes of this machine that outlive their supervisor.

A start is found again by its run directory, `<home>/logs/<attempt id>/`: a shim that finds another one's trace there
refuses (see `headgate.supervision`).
"""

from headgate.engines.local.engine import LocalEngine
from headgate.engines.local.target import Target, read_target, validate_target
from headgate.processes import read_log

__all__ = ["LocalEngine", "Target", "read_log", "read_target", "validate_target"]
