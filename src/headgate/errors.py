"""This file is where every error of ours is.

HeadgateError
├── Invalid                 what was given is wrong; nothing was done            (HTTP 400, exit 2)
│   ├── InvalidConfiguration  … in headgate.yaml, with file, line and column
│   ├── MalformedEvent        … an OpenLineage event that is no event              (HTTP 400, exit 1)
│   └── UnconvertibleEvent    … an OpenLineage event DataHub has no form for       (HTTP 422, exit 1)
├── NotFound                no such job, trigger, run or event                   (HTTP 404, exit 1)
│   └── MissingSecrets        no provider has these names
├── Conflict                it exists, but not in a state that allows this       (HTTP 409, exit 1)
│   ├── TooManyRuns           the job is at its limit and does not queue
│   └── CannotUnseal          what is kept sealed cannot be opened with the keys that are here
├── Forbidden               the caller may not                                   (HTTP 403, exit 1)
│   ├── NotAuthenticated      nobody knows who is calling                        (HTTP 401, exit 1)
│   └── SecretsDenied         a provider of secrets does not let us
├── Unavailable             the ledger, a server or a far side cannot be reached (HTTP 503, exit 3)
│   ├── LedgerUnavailable     database away, locked, read-only, full or corrupt
│   └── InUse                 another process holds this HEADGATE_HOME, or the port
├── MissingExtra            an optional part is not installed                    (exit 2)
└── EngineError             an engine could not do what it was asked
    ├── EngineRefused         for good: the same call will fail again
    └── EngineUnavailable     not now: the same call may work later
        └── EngineInDoubt         … and an earlier one may have been done all the same
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class HeadgateError(Exception):
    """Anything Headgate raises on purpose. The text is written for the person who reads it."""


class Invalid(HeadgateError):
    """What was given is wrong; nothing was done."""


class InvalidConfiguration(Invalid):
    """The configuration file is wrong at a place one can point at (`line` and `column` count from 1; 0: unknown)."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        place = f"{file}:{line}:{column}: " if line else (f"{file}: " if file else "")
        super().__init__(place + message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column


class MalformedEvent(Invalid):
    """What was given is no OpenLineage event: no JSON, or a member that is not what the specification says."""


class UnconvertibleEvent(Invalid):
    """It is an OpenLineage event, but nothing for DataHub can be made of it."""


class NotFound(HeadgateError):
    """There is no such thing."""

    def __init__(self, what: str, name: str, hint: str = "") -> None:
        super().__init__(f"there is no {what} {name!r}" + (f"; {hint}" if hint else ""))
        self.what = what
        self.name = name


class MissingSecrets(NotFound):
    """No provider has a value of these names. `looked` says where it was looked for, in the order of the providers.

    `messages` are the words that whoever needs them has for their being missing, by name.
    """

    def __init__(self, names: Sequence[str], looked: Sequence[str], messages: Mapping[str, str] | None = None) -> None:
        where = "; looked in " + ", ".join(looked) if looked else "; no provider is configured (secrets.providers)"
        said = [f"{name} ({messages[name]})" if messages and name in messages else name for name in names]
        HeadgateError.__init__(
            self,
            f"there is no value for {', '.join(said)}{where}; set a secret with `headgate secrets set {names[0]}`,"
            " anything else in the environment",
        )
        self.what = "value for"
        self.name = names[0]
        self.names = tuple(names)
        self.looked = tuple(looked)


class Conflict(HeadgateError):
    """It exists, but not in a state that allows this."""


class TooManyRuns(Conflict):
    """The job is at its limit and does not queue."""

    def __init__(self, job: str, at_most: int) -> None:
        super().__init__(f"Concurrent runs exceeded for {job}: it may have {at_most} at a time and does not queue")
        self.job = job
        self.at_most = at_most


class CannotUnseal(Conflict):
    """What is kept sealed cannot be opened: its key is not here, or it was changed."""


class Forbidden(HeadgateError):
    """The caller may not do this."""


class NotAuthenticated(Forbidden):
    """Nobody knows the caller: no credential that is needed, or one that is not right."""


class SecretsDenied(Forbidden):
    """A provider of secrets does not let us read them: somebody has to give us the right to."""


class Unavailable(HeadgateError):
    """Something we need cannot be reached now."""


class LedgerUnavailable(Unavailable):
    """The ledger's database is away, locked, read-only, full or corrupt."""


class InUse(Unavailable):
    """Another process holds this HEADGATE_HOME, or the port."""


class MissingExtra(HeadgateError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'headgate[{extra}]'")
        self.extra = extra


class EngineError(HeadgateError):
    """An engine could not do what it was asked."""


class EngineRefused(EngineError):
    """For good: the same call will fail again."""

    @property
    def detail(self) -> str:
        """Why, in a word, as the run has it: what it was raised from says more than `refused`."""
        if isinstance(self.__cause__, SecretsDenied):
            return "secret_denied"
        return "secret_missing" if isinstance(self.__cause__, MissingSecrets) else "refused"


class EngineUnavailable(EngineError):
    """Not now: the same call may work later."""


class EngineInDoubt(EngineUnavailable):
    """Not now, and an earlier call of a start may have been done all the same: nobody heard its answer."""
