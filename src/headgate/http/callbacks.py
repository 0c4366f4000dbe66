"""This file is where a function says how it ended: by the token that came with its payload, and nothing else."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from headgate.http.answers import Answer
from headgate.http.asked import Text, TheGate, Value
from headgate.model import Json

#: Beneath the API's own prefix. The token is the credential: it was given to one invocation, and is good for its end.
PATH: Final = "/callbacks"

_KEPT_ERROR: Final = 4_000  #: characters

router = APIRouter(tags=["acting"])


def _kept(result: dict[str, Json]) -> dict[str, Json]:
    """What every database keeps as text: no NUL, no half of a surrogate pair, however deep."""
    try:
        text = json.dumps(result, ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError):
        raise ValueError("expected Unicode text, got half a surrogate pair") from None
    if "\\u0000" in text:
        raise ValueError("expected text without a NUL character")
    return result


def _cut(error: str) -> str:
    """A long traceback is no reason not to hear that the function failed."""
    return error if len(error) <= _KEPT_ERROR else f"{error[:_KEPT_ERROR]} …"


class Called(BaseModel):
    """How it ended: `error` says why it failed (its first 4,000 characters are kept), `result` is kept with the run."""

    model_config = ConfigDict(extra="forbid")

    token: Text
    state: Literal["SUCCEEDED", "FAILED"]
    error: Annotated[Value, Field(max_length=1 << 20), AfterValidator(_cut)] | None = None
    result: Annotated[dict[str, Json], AfterValidator(_kept)] = Field(default_factory=dict)


@router.post(PATH)
def call_back(gate: TheGate, called: Called) -> Response:
    """Say how a function ended, with its payload's token. 404: nobody here knows it. 409: its run has ended already."""
    attempt = gate.called_back(
        called.token, succeeded=called.state == "SUCCEEDED", error=called.error, result=called.result
    )
    return Answer({"attempt": attempt, "state": called.state})
