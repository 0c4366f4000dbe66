"""This package is where the command line is: what a person types, and what they are told.

In the order things happen: `tree` (every command), `options` (what all of them take), `commands` (what each does),
`session` (settings, and the client of a running server or of the ledger itself), `client` (what a command may ask),
`local` and `remote` (the two who answer), `chain` (a run and what follows from it), `progress` and `printing` (what is
shown), `ending` (exit codes and errors). Nothing heavy is imported before a command needs it.
"""

from headgate.cli.ending import main

__all__ = ["main"]
