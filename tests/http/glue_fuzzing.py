"""This file is where made-up calls of Glue's API come from: botocore's model says what fits, and what does not."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from botocore.session import get_session
from gluing import strictly
from served import World

from headgate.http.glue import wire

SERVED: Final = sorted({*wire.QUICK, *wire.OPERATIONS})
GLUE: Final = get_session().get_service_model("glue")
NAMES: Final = (
    "ingest",
    "views",
    "picky",
    "none",
    "uploaded",
    "after-ingest",
    "nightly",
    "asked",
    "w",
    "\u00e4 \U0001f600",
)
STRANGE: Final = (
    "", "x" * 300, "a\nb", "\x00", "\u2028", "../../etc", "s3://", "cron(0 0 * * ? *)", "arn:aws:glue:::job/x",
    "arn:aws:glue:::job/\x00", "jr_" + "0" * 64, "%00", "{{7*7}}", "' or 1=1 --",
)  # fmt: skip
WRONG: Final = (None, True, -1, 2**40, 1.5, "", "x", [], {}, [None], {"a": None}, [[[]]], "\ud83d\ude00" * 200)


class Maker:
    """Makes inputs from botocore's model: fitting ones, and ones with something wrong in them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, shape: Any, depth: int, spoil: float) -> Any:  # noqa: PLR0911 - one for each type
        if self.random.random() < spoil:
            return self.random.choice(WRONG)
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, depth, spoil)
        if kind == "list":
            size = self.random.randint(0, 2) if depth < 4 else 0
            return [self.value(shape.member, depth + 1, spoil) for _ in range(size)]
        if kind == "map":
            size = self.random.randint(0, 2) if depth < 4 else 0
            return {self.text(shape.key): self.value(shape.value, depth + 1, spoil) for _ in range(size)}
        if kind == "string":
            return self.text(shape)
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind in ("double", "float"):
            return self.random.choice([0, 0.5, 10.0])
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 20)
        return self.random.randint(low, min(high, low + 20))

    def structure(self, shape: Any, depth: int, spoil: float) -> dict[str, Any]:
        chance = 0.6 if depth == 0 else 0.3 if depth < 4 else 0.0
        wanted = [name for name in shape.members if name in shape.required_members or self.random.random() < chance]
        return {name: self.value(shape.members[name], depth + 1, spoil) for name in wanted}

    def text(self, shape: Any) -> str:
        if shape.enum:
            return str(self.random.choice(shape.enum))
        return str(self.random.choice(NAMES if self.random.random() < 0.8 else STRANGE))


def send_made_up(world: World, operation: str, make: Maker, calls: int) -> dict[int, int]:
    """Send calls of an operation: of three one that fits, one with little wrong, one with much; some are no objects.

    Every answer has the protocol's shape: those that do it the model's members, refusals an error that the operation
    or the protocol knows; and what is refused has written nothing. Answers how many came to which status.
    """
    model: Any = GLUE.operation_model(operation)
    allowed = {one.name for one in model.error_shapes} | {"ValidationException", "SerializationException"}
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSGlue.{operation}"}
    seen: dict[int, int] = {}
    for number in range(calls):
        spoil = (0.0, 0.05, 0.3)[number % 3]
        body = make.structure(model.input_shape, 0, spoil) if number % 10 else make.random.choice(WRONG)
        before = _state(world)
        answer = world.call("POST", "/", content=json.dumps(body).encode(), headers=headers)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.headers["content-type"] == "application/x-amz-json-1.1", (body, answer.text)
        found = answer.json()
        if answer.status_code == 200:
            strictly(found, model.output_shape, operation)
            continue
        assert (answer.status_code, found["__type"] in allowed) == (400, True), (body, answer.text)
        assert _state(world) == before, (body, answer.text)
    return seen


def _state(world: World) -> Any:
    """What a refused call leaves as it is: the runs, and how the definitions stand."""
    runs = world.ledger.runs(limit=1).items
    return runs[0].seq if runs else 0, world.ledger.refresh().version, world.ledger.counts()
