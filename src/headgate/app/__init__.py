"""Where the parts are put together: the only package that names every concrete class.

`replica` is one process's share of the work, `parts` what settings make of it, `troubles` its warnings, `serving` how
it is run, `opening` how a command gets at it.
"""

from headgate.app.opening import open_reading, open_writing, other_config, running_server
from headgate.app.replica import App
from headgate.app.serving import serve, work

__all__ = ["App", "open_reading", "open_writing", "other_config", "running_server", "serve", "work"]
