"""This file is where masking is measured: a log without secrets, one with many, and one that comes byte by byte.

Prints JSON. The line: a log of 64 KB chunks goes through the mask of five secrets at 100 MB/s of one core.

    python benchmarks/masking.py [--size 64]
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import time

from headgate.supervision.masking import Masker

CHUNK = 1 << 16
LINE = 100.0  #: MB/s
WORDS = (
    "INFO", "rows=12345", "s3://raw-data/collections/part-0001.csv", '{"level": "info", "count": 17}', "100%", "done",
    "[2026-11-21 08:58:01,215]", "{datahub.ingestion.api.source:720}", "collections.collections_data_staging",
)  # fmt: skip


def rate(masker: Masker, chunks: list[bytes]) -> float:
    """MB of processor time's second, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for chunk in chunks:
            masker.feed(chunk)
        masker.close()
        best = min(best, time.process_time() - began)
    return sum(map(len, chunks)) / best / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64, metavar="MB", help="of the log without secrets")
    size = parser.parse_args().size * 1_000_000
    chosen = random.Random(1)
    text = " ".join(chosen.choice(WORDS) for _ in range(200_000)).encode()
    text = (text * (size // len(text) + 1))[:size]
    plain = [text[place : place + CHUNK] for place in range(0, len(text), CHUNK)]
    values = [secrets.token_urlsafe(24) for _ in range(20)]
    told = (text[:200] + values[0].encode() + b"\n") * 4_000
    seen = {
        "secrets_1_mb_per_s": rate(Masker(values[:1]), plain),
        "secrets_5_mb_per_s": rate(Masker(values[:5]), plain),
        "secrets_20_mb_per_s": rate(Masker(values), plain),
        "every_line_told_mb_per_s": rate(
            Masker(values[:5]), [told[place : place + CHUNK] for place in range(0, len(told), CHUNK)]
        ),
        "byte_by_byte_mb_per_s": rate(Masker(values[:5]), [bytes([one]) for one in text[:100_000]]),
        "holds": 0.0,
    }
    seen["holds"] = float(seen["secrets_5_mb_per_s"] >= LINE)
    print(json.dumps({name: round(value, 2) for name, value in seen.items()}, indent=1))


if __name__ == "__main__":
    main()
