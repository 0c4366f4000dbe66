"""This package is where secrets come from: `sealing` (how ours are kept).

A value is never in a message, a log line, the audit or anything's repr.
"""

from headgate.secrets.sealing import Sealer

__all__ = ["Sealer"]
