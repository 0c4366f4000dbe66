"""This file is where the four encodings of a secret are written out, and looked for in what was left behind."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def encoded(text: str) -> list[str]:
    """Base64 of it wherever it may begin in what was encoded, in both alphabets."""
    whole = [("x" * before + text).encode() for before in range(3)]
    return [one(data).decode() for data in whole for one in (base64.b64encode, base64.urlsafe_b64encode)]


def written(text: str) -> list[str]:
    """The four encodings, in the ways libraries have of each."""
    urls = [quote(text), quote(text, safe=""), quote_plus(text)]
    urls.append(re.sub("%..", lambda hexed: hexed[0].lower(), quote(text, safe="")))
    once = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
    twice = [json.dumps(one)[1:-1] for one in once]
    return [*dict.fromkeys([text, *urls, *once, *twice]), *encoded(text)]


def held(text: str, shown: str | bytes) -> list[str]:
    """The forms of it that are there; of base64 without the digits at both ends, which others share."""
    data = shown if isinstance(shown, bytes) else shown.encode("utf-8", "surrogateescape")
    plain = [form for form in written(text) if form not in encoded(text)]
    return [form for form in [*plain, *(one[4:-4] for one in encoded(text))] if form.encode() in data]


def on_disk(texts: Mapping[str, str], folder: Path) -> list[str]:
    """Files below the folder that hold one of these, and which."""
    found: list[str] = []
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            data = file.read_bytes()
            found += [f"{file.relative_to(folder)} holds {name}" for name, text in texts.items() if held(text, data)]
    return found


def in_processes(texts: Mapping[str, str]) -> list[str]:
    """Processes of this machine whose arguments or environment hold one of these, and which."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        for part in ("cmdline", "environ"):
            try:
                data = (folder / part).read_bytes()
            except OSError:
                continue  # over meanwhile, or another user's
            found += [f"{part} of {folder.name} holds {name}" for name, text in texts.items() if held(text, data)]
    return found
