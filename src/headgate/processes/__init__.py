"""This package is where engines have what runs on this machine in common: an order's files, its environment, its end.

The engines `local` and `recipe` differ in what they start, and in nothing else: both are supervised alike (see
`headgate.supervision`), and a start is found again by its run directory, `<home>/logs/<attempt id>/`.
"""

from headgate.processes.running import Processes, log_folder, read_log

__all__ = ["Processes", "log_folder", "read_log"]
