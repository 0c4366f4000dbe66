"""This file is where HTTP begins: everything that comes in over the one port.

port puts it together; auth says who may; events is the hot path of the events door; looking and acting are the REST
API; live and pages are the console's wire; health and metrics are for machines.
"""

from headgate.http.port import Port, build

__all__ = ["Port", "build"]
