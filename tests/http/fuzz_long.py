"""This file is where made-up calls are sent for as long as one likes: `make fuzz MINUTES=10`.

The REST API gets schemathesis' calls, Glue's API those made from botocore's model; other ones in each round.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hypothesis
import structlog
from fuzzing import MODES, SLOW, Target, attack, target
from glue_fuzzing import SERVED, Maker, send_made_up
from schemathesis.core.failures import FailureGroup
from served import World

EXAMPLES: Final = 30  #: of an operation, in a round


def main() -> int:
    parser = argparse.ArgumentParser(description="Send made-up calls, and judge the answers.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--only", default="", help="operations whose name holds this text")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)
    until = time.monotonic() + given.minutes * 60
    seen: Counter[int] = Counter()
    wrong = 0
    number = 0
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(prefix="hg-fuzz-") as folder, target(Path(folder)) as one:
            for name, work in _round(one, given.seed + number, given.only):
                if time.monotonic() > until:
                    break
                try:
                    seen.update(work())
                except (Exception, FailureGroup) as error:  # noqa: BLE001 - what is found is told, the rest is tried
                    wrong += 1
                    print(f"WRONG {name}: {str(error)[:3000]}", flush=True)
        number += 1
        print(f"round {number}: {sum(seen.values()):,} calls {dict(seen)}, {wrong} wrong", flush=True)
    return 1 if wrong else 0


def _round(one: Target, seed: int, only: str) -> list[tuple[str, Callable[[], dict[int, int]]]]:
    """Every operation once, in each way."""

    def rest(operation: object, mode: str) -> dict[int, int]:
        settings = hypothesis.settings(
            max_examples=EXAMPLES, database=None, deadline=None, report_multiple_bugs=False,
            phases=[hypothesis.Phase.generate], suppress_health_check=SLOW,
        )  # fmt: skip
        return attack(one, operation, mode, settings, seed=seed)

    def glue(operation: str) -> dict[int, int]:
        with tempfile.TemporaryDirectory(prefix="hg-fuzz-") as folder:
            world = World(Path(folder))
            try:
                return send_made_up(world, operation, Maker(seed + len(operation)), EXAMPLES * 2)
            finally:
                world.close()

    return [
        *(
            (f"{label}, {mode}", lambda operation=operation, mode=mode: rest(operation, mode))
            for label, operation in one.operations.items()
            for mode in MODES
            if only in label
        ),
        *((name, lambda name=name: glue(name)) for name in SERVED if only in name),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
