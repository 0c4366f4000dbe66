"""This folder is where DataHub is spoken to, over HTTP alone: `client` fills the port, `wire` makes the calls.

Credentials: a caller's own is shown to find out who they are and what they may do; ours for everything else.
"""

from headgate.datahub.client import GmsClient, authorization, connect

__all__ = ["GmsClient", "authorization", "connect"]
