"""This file is where sample data of the example schema is made, with bad records planted where asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from headgate.errors import Invalid

HEADER: Final = (
    "series_id,report_date,entity_id,entity_name,item_code,item_desc,value,prior_value,unit,scale,currency,status,"
    "submitted_at,restated,line_no,confidence,source_system,comment,analyst,batch_id"
)
SERIES: Final = ("FRY9C", "FRY9LP", "FRY9SP", "FFIEC031", "FFIEC041", "FRY15", "FRY14Q")

#: Fields as they stand in the file: some need quotes, some hold line ends and letters of other scripts.
_NAMES: Final = (
    '"First ""National"" Bancorp"',
    "Crédit Agricole S.A.",
    '"みずほ Holdings, Inc."',
    '"Zions, N.A."',
    "O'Hare Trust Co.",
    "Banco Santander (México)",
    "Société Générale",
    "Wells & Sons",
    "Bank of Æther",
    "Kreissparkasse Köln",
)
_ITEMS: Final = (
    "Total assets",
    '"Loans and leases, net of unearned income"',
    "Deposits: noninterest-bearing",
    '"Goodwill (""intangibles"")"',
    "Trading liabilities",
    "Tier 1 capital",
    '"Off-balance-sheet, derivatives"',
)
_COMMENTS: Final = (
    "",
    "",
    "",
    "",
    "restated per memo 14-2",
    '"see line 3,\nschedule HC-R"',
    '"said ""final"""',
    "révisé – 修正済み",
    "ok",
)
_QUARTERS: Final = ("03-31", "06-30", "09-30", "12-31")


def _record(k: int, line: int, batch: str) -> list[str]:
    """The fields of one good record, made of one random number."""
    value = (k * 7919) % 10_000_000_000
    return [
        SERIES[k % 7],
        f"{2005 + (k // 7) % 20}-{_QUARTERS[(k // 140) % 4]}",
        str(1_000_000 + k % 9973),
        _NAMES[k % 10],
        f"BHCK{k % 9999:04d}",
        _ITEMS[(k // 10) % 7],
        "" if k % 29 == 0 else f"{value // 100}.{value % 100:02d}",
        "" if k % 11 == 0 else f"{value * 97 // 10000}.{value * 97 // 100 % 100:02d}",
        "USD",
        ("1", "1000", "1000000")[k % 3],
        "USD",
        "ARP"[(k // 3) % 3],
        f"2026-0{1 + k % 9}-{10 + k % 18}T{k % 24:02d}:{k % 60:02d}:{(k // 60) % 60:02d}",
        "true" if k % 17 == 0 else "false",
        str(line),
        f"0.{k % 1_000_000:06d}",
        ("fed-mq", "ftp-drop", "portal")[k % 3],
        _COMMENTS[(k // 5) % 9],
        ("jlee", "mgarcía", "o.nowak", "")[k % 4],
        batch,
    ]


def _set(column: int, value: str) -> Callable[[list[str]], bytes]:
    def spoil(fields: list[str]) -> bytes:
        return ",".join([*fields[:column], value, *fields[column + 1 :]]).encode()

    return spoil


def _raw(fields: Sequence[str]) -> bytes:
    return ",".join(fields).encode()


#: The kinds of bad records, taken in turn: each is rejected, for a reason of its own.
SPOILT: Final[Sequence[Callable[[list[str]], bytes]]] = (
    _set(6, "12.34.56"),  # no decimal
    _set(1, "2026-02-30"),  # no date
    lambda fields: _raw([*fields, "one too many"]),
    lambda fields: _raw(fields[:-3]),  # three missing
    _set(6, "1.2345678"),  # more fraction digits than the scale
    _set(13, "perhaps"),  # no boolean
    lambda fields: _raw(fields).replace(b"," + fields[3].encode() + b",", b",Cr\xe9dit Agricole,", 1),  # Latin-1
    _set(2, "many"),  # no whole number
    _set(12, "yesterday"),  # no timestamp
    _set(15, "high"),  # no double
)


def write_sample(path: Path, rows: int, bad_rows: int = 0, seed: int = 7) -> None:
    """Write a CSV of the example schema with `rows` records, of which exactly `bad_rows` will be rejected.

    The same arguments write the same bytes. The bad records are spread over the file, of different kinds.

    Raises:
        Invalid: more bad records are asked for than records.
    """
    if not 0 <= bad_rows <= rows:
        raise Invalid(f"a sample of {rows} rows can not hold {bad_rows} bad ones")
    chance = random.Random(seed)  # noqa: S311 - sample data
    bad = sorted(chance.sample(range(rows), bad_rows))
    spoilt = {line: SPOILT[n % len(SPOILT)] for n, line in enumerate(bad)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(HEADER.encode() + b"\n")
        for start in range(0, rows, 10_000):
            lines: list[bytes] = []
            for line in range(start, min(rows, start + 10_000)):
                fields = _record(int(chance.random() * 1e9), line, f"b{line // 50_000:06d}")
                lines.append(spoilt[line](fields) if line in spoilt else ",".join(fields).encode())
            file.write(b"\n".join(lines) + b"\n")
