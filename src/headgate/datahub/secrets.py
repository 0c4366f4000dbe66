"""This file is where DataHub is asked for the values of its secrets, as the system client where we can be that.

Since v1.6.0.6 it tells them to system principals alone, whatever privileges a user's token has. It does so with an
error that says nothing, so what we say of it goes by whom we asked as.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from headgate.datahub import documents
from headgate.datahub.answers import Answer, document, failure, message, record, sequence
from headgate.datahub.wire import Limits, Wire
from headgate.errors import Forbidden, SecretsDenied, Unavailable
from headgate.settings.record import DataHub as Settings

PORTION: Final = 100  #: names in one question
_HOW: Final = (
    "set DATAHUB_SYSTEM_CLIENT_ID and DATAHUB_SYSTEM_CLIENT_SECRET, or the token of a user whose corpUserInfo says"
    " system: true; or keep the secret here with `headgate secrets set`"
)


class SecretReader:
    """Asks GMS. Safe from any thread; a question ends within `limits.whole` seconds."""

    def __init__(
        self, settings: Settings, *, limits: Limits | None = None, sleep: Callable[[float], bool] | None = None
    ) -> None:
        self._wire = Wire(settings.gms_url or settings.frontend_url.rstrip("/") + "/api/gms", limits or Limits(), sleep)
        self.place = self._wire.place
        self._headers: dict[str, str] = {}
        self._system = bool(settings.client_id and settings.client_secret)
        if settings.client_id and settings.client_secret is not None:
            # as it is, not in base64: DataHub reads it so
            self._headers["Authorization"] = f"Basic {settings.client_id}:{settings.client_secret.reveal()}"
        elif settings.token is not None and settings.token.reveal():
            self._headers["Authorization"] = f"Bearer {settings.token.reveal()}"

    def __repr__(self) -> str:
        return f"SecretReader({self.place})"

    def close(self) -> None:
        self._wire.close()

    def values(self, names: Sequence[str]) -> Mapping[str, str]:
        """The values of those of these secrets that DataHub has.

        Raises:
            SecretsDenied: it does not tell us. Unavailable: it is away, or answers what is no answer.
        """
        found: dict[str, str] = {}
        for start in range(0, len(names), PORTION):
            found |= self._some(names[start : start + PORTION])
        return found

    def _some(self, names: Sequence[str]) -> dict[str, str]:
        body = {"query": documents.text("secret_values"), "variables": {"input": {"secrets": list(names)}}}
        answer = self._wire.call("POST", "/api/graphql", headers=self._headers, body=body)
        told = self._told(answer, names)
        found: dict[str, str] = {}
        for one in map(record, sequence(told.get("getSecretValues"))):
            name, value = one.get("name"), one.get("value")
            if isinstance(name, str) and isinstance(value, str):
                found[name] = value
        return found

    def _told(self, answer: Answer, names: Sequence[str]) -> Mapping[str, object]:
        where = f"DataHub at {self.place}"
        asked = f"{', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
        if answer.status in (401, 403) and not answer.html:
            raise SecretsDenied(
                f"{where} does not take our credential for reading secrets ({asked}): {message(answer)}; {_HOW}"
            )
        if not 200 <= answer.status < 300:
            raise Unavailable(f"{where} answered {answer.status} when it was asked for secrets")
        whole = _whole(answer, where)
        errors = sequence(whole.get("errors"))
        if errors and not self._system and _code(record(errors[0])) == 500:
            raise SecretsDenied(
                f"{where} did not tell {asked}, nor would it any other secret. Since v1.6.0.6 it tells them to system"
                " principals alone, whatever privileges a token has (SECRET_SERVICE_CALLER_GUARD_MODE), and we asked"
                f" with a token: {_HOW}"
            )
        if errors:
            error = failure(record(errors[0]), where)
            if isinstance(error, Forbidden):
                raise SecretsDenied(
                    f"{error}; asked for {asked}; the privilege is MANAGE_SECRETS, and a token is not enough: {_HOW}"
                )
            raise error
        return record(whole.get("data"))


def _whole(answer: Answer, where: str) -> Mapping[str, object]:
    try:
        return document(answer, where)
    except Unavailable:
        # what was seen may be a piece of the secrets
        raise Unavailable(f"{where} answered {answer.status} with what is no JSON object, asked for secrets") from None


def _code(error: Mapping[str, object]) -> int:
    code = record(error.get("extensions")).get("code")
    return code if isinstance(code, int) else 500
