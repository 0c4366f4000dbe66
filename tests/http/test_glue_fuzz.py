"""This file is where Glue's API is sent what its own model allows, and what it forbids, for every operation."""

from __future__ import annotations

import json
import random
from typing import Any, Final

import pytest
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


@pytest.mark.parametrize("operation", SERVED)
def test_whatever_is_sent_is_answered_in_the_protocol(world: World, operation: str) -> None:
    """No 500, no page, no hang; every error is one of the operation's or the protocol's; a refusal starts nothing."""
    model: Any = GLUE.operation_model(operation)
    allowed = {one.name for one in model.error_shapes} | {"ValidationException", "SerializationException"}
    make = Maker(len(operation) * 1000 + sum(map(ord, operation)))
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSGlue.{operation}"}
    for number in range(20):
        spoil = (0.0, 0.05, 0.3)[number % 3]
        body = make.structure(model.input_shape, 0, spoil) if number % 10 else make.random.choice(WRONG)
        before = world.ledger.written[1], len(world.ledger.runs(limit=1000).items)
        answer = world.call("POST", "/", content=json.dumps(body).encode(), headers=headers)
        assert answer.headers["content-type"] == "application/x-amz-json-1.1", (body, answer.text)
        found = answer.json()
        if answer.status_code == 200:
            strictly(found, model.output_shape, operation)
            continue
        assert (answer.status_code, found["__type"] in allowed) == (400, True), (body, answer.text)
        assert len(world.ledger.runs(limit=1000).items) == before[1], (body, answer.text)
