"""This file is where URNs are read and made: `urn:li:TYPE:KEY`, the key one text or `(part,part,…)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from headgate.embedded.registry import EntitySpec, registry
from headgate.errors import Invalid
from headgate.model import Json

MOST_BYTES: Final = 512  #: of a URN, percent-encoded, as DataHub counts
_RESERVED: Final = str.maketrans({",": "%2C", "(": "%28", ")": "%29"})


@dataclass(frozen=True, slots=True)
class Urn:
    """A URN that is well formed and of a kind DataHub knows. `parts` are percent-decoded; a URN among them is not."""

    text: str
    spec: EntitySpec
    parts: Sequence[str]

    @property
    def key(self) -> dict[str, Json]:
        """The key aspect."""
        return dict(zip(self.spec.fields, self.parts, strict=True))


def parse(text: object) -> Urn:
    """Read a URN.

    Raises:
        Invalid: it is none, of no known kind, too long, or its key has not as many parts as the kind's.
    """
    if not isinstance(text, str) or not text.startswith("urn:li:"):
        raise Invalid(f"urn: expected urn:li:TYPE:KEY, got {str(text)[:120]!r}")
    if text != text.strip() or not text.isprintable() or "\u241f" in text:
        raise Invalid(f"urn: expected no white space around it and no control characters, got {text[:120]!r}")
    if len(quote(text, safe="")) > MOST_BYTES:
        raise Invalid(f"urn: longer than {MOST_BYTES} bytes when percent-encoded: {text[:120]!r}…")
    kind, separator, key = text.removeprefix("urn:li:").partition(":")
    spec = registry().entities.get(kind)
    if not separator or spec is None:
        raise Invalid(f"urn: there is no entity type {kind[:60]!r} (in {text[:120]!r})")
    parts = _parts(key) if len(spec.fields) > 1 else [key if key.startswith("urn:") else unquote(key)]
    if len(parts) != len(spec.fields) or not all(parts):
        raise Invalid(f"urn: expected urn:li:{kind}:{_shape(spec)}, got {text[:200]!r}")
    return Urn(text, spec, tuple(parts))


def of_key(spec: EntitySpec, key: Mapping[str, Json]) -> Urn:
    """The URN with this key aspect. Raises Invalid where a part is missing or no text."""
    parts: list[str] = []
    for field in spec.fields:
        value = key.get(field)
        if not isinstance(value, str):
            raise Invalid(f"entityKeyAspect.{field}: expected a text")
        parts.append(value if value.startswith("urn:li:") else value.translate(_RESERVED))
    return parse(f"urn:li:{spec.name}:" + (parts[0] if len(parts) == 1 else f"({','.join(parts)})"))


def kind_of(urn: str) -> str:
    """The entity type a URN names, or ""."""
    return urn.removeprefix("urn:li:").partition(":")[0] if urn.startswith("urn:li:") else ""


def dataset(platform: str, name: str, environment: str = "PROD") -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name.translate(_RESERVED)},{environment})"


def _shape(spec: EntitySpec) -> str:
    upper = [one.upper() for one in spec.fields]
    return upper[0] if len(upper) == 1 else f"({','.join(upper)})"


def _parts(key: str) -> list[str]:
    """The parts of `(a,b,(c,d))`: a URN with a tuple of its own stays whole. None that fit: an empty list."""
    if not (key.startswith("(") and key.endswith(")")):
        return []
    parts, depth, start = [""][:0], 0, 1
    for place, sign in enumerate(key):
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0 and place != len(key) - 1:
                return []
        if (sign == "," and depth == 1) or (sign == ")" and depth == 0):
            part = key[start:place]
            parts.append(part if part.startswith("urn:li:") else unquote(part))
            start = place + 1
    return parts if depth == 0 else []
