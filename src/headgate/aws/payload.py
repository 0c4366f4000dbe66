"""This file is where an order becomes what a state machine or a function is given: one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

from headgate.errors import EngineRefused
from headgate.model import Json
from headgate.ports import Order

#: The names the button's request gives them; as arguments they may be spelt `--dataset_urn` and the like, too.
_LIFTED: Final = ("datasetUrn", "jobUrn")


def payload_of(order: Order) -> dict[str, Json]:
    """Return the payload: every key is always there (null when there is nothing to say), `objects` with a manifest.

    `runId` and `attempt` together never come twice for two pieces of work: who is given the same ones again was
    started before.
    """
    run = order.run
    objects = order.manifest()
    payload: dict[str, Json] = {
        "runId": run.id,
        "attempt": run.attempt,
        "attemptId": order.attempt_id,
        "job": run.job,
        "trigger": run.cause.trigger,
        "event": run.cause.event,
        "actor": run.cause.actor,
        "reason": run.cause.reason,
        "arguments": dict(run.arguments),
        **{name: lifted(run.arguments, name) for name in _LIFTED},
    }
    if objects is not None:
        payload["objects"] = [
            {
                "bucket": one.bucket,
                "key": one.key,
                "size": one.size,
                "etag": one.etag or None,
                "versionId": one.version or None,
            }
            for one in objects
        ]
    return payload


def lifted(arguments: Mapping[str, str], name: str) -> str | None:
    """Return an argument by its name, however it is spelt: `--datasetUrn`, `--dataset_urn`, `dataset-urn`."""
    wanted = _plain(name)
    return next((value for key, value in arguments.items() if _plain(key) == wanted), None)


def payload_text(payload: Mapping[str, Json], *, most: int, what: str) -> str:
    """Return it as JSON, the same text for the same payload.

    Raises:
        EngineRefused: it is longer than `most` bytes, as UTF-8.
    """
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        objects = payload.get("objects")
        count = len(cast("list[Json]", objects)) if isinstance(objects, list) else 0
        many = f"; it names {count} objects, so lower the trigger's max_objects" if count else ""
        raise EngineRefused(f"{what} takes {most:,} bytes of input, and this run has {size:,}{many}")
    return text


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "").replace("_", "").lower()
