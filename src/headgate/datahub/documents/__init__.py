"""This folder is where the GraphQL documents are, each usable on its own; `text` gives one by its name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def text(name: str) -> str:
    """The document `name`.graphql as it is sent."""
    return files(__name__).joinpath(f"{name}.graphql").read_text(encoding="utf-8")
