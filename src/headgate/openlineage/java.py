"""This file is where Java's ways are kept, as far as they show in what DataHub's converter writes.

Texts of numbers, lists and times, what counts as a legal URI, the order of strings, what trimming takes away.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from headgate.errors import MalformedEvent, UnconvertibleEvent

#: What String.trim takes away: everything up to the blank.
_TRIMMED: Final = "".join(map(chr, range(33)))
#: How deep a value may be nested before we give up on it.
DEEPEST: Final = 200

_TIME: Final = re.compile(
    r"(-?\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?"
    r"(?:([Zz])|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)(?:\[[A-Za-z][\w~./+-]*\])?"
)
#: What most times are: in UTC, to the second or finer.
_UTC_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_FAR_OFFSET: Final = 18 * 3600  #: seconds; no zone is further from UTC (java.time.ZoneOffset)

_CACHED: Final = 200  #: characters of a URI that is worth remembering

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
#: Characters java.net.URI takes nowhere (brackets are looked at apart), and a % that starts no escape.
_ILLEGAL: Final = re.compile(
    r"[\x00-\x20\"<>\\^`{|}\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|%(?![0-9A-Fa-f]{2})"
)
#: What most URIs are: nothing in them needs a second look.
_PLAIN: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*):/{0,2}[A-Za-z0-9\-_.!~*'();:@&=+$,][A-Za-z0-9\-_.!~*'();/?:@&=+$,]*"
)
_IPV6: Final = re.compile(r"(?:[^@\[\]]*@)?\[([0-9A-Fa-f:.]+)(?:%[\w.~-]+)?\](?::\d*)?")


def trimmed(text: str) -> str:
    return text.strip(_TRIMMED)


def lower_key(text: str) -> bytes:
    """The key of String.CASE_INSENSITIVE_ORDER."""
    return text.upper().lower().encode("utf-16-be", "surrogatepass")


def sorted_as_java(texts: Iterable[str]) -> list[str]:
    """By UTF-16 code units, as String.compareTo orders."""
    found = list(texts)
    if all(map(str.isascii, found)):
        found.sort()
    else:
        found.sort(key=lambda text: text.encode("utf-16-be", "surrogatepass"))
    return found


def cut(text: str, most: int) -> str:
    """The first `most` UTF-16 units (less half a character), with a mark, when there are more."""
    units = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units <= most:
        return text
    if units == len(text):
        return text[:most] + "...[truncated]"
    return text.encode("utf-16-le", "surrogatepass")[: 2 * most].decode("utf-16-le", "ignore") + "...[truncated]"


def text_of(value: object, depth: int = 0) -> str:  # noqa: PLR0911 - one answer for each case
    """`toString()` of what Jackson makes of a JSON value.

    Raises:
        UnconvertibleEvent: it is nested too deeply.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return whole_text(value)
    if isinstance(value, float):
        return double_text(value)
    if depth > DEEPEST:
        raise UnconvertibleEvent(f"a facet is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={text_of(v, depth + 1)}" for k, v in value.items()) + "}"  # pyright: ignore[reportUnknownVariableType] - JSON: its keys are texts
    if isinstance(value, Sequence):
        return "[" + ", ".join(text_of(one, depth + 1) for one in value) + "]"  # pyright: ignore[reportUnknownVariableType] - JSON
    raise MalformedEvent(f"expected JSON, found a {type(value).__name__}")


def whole_text(value: int) -> str:
    """Decimal digits of any integer whose size an event could hold."""
    try:
        return str(value)
    except ValueError as error:  # more digits than Python prints; nobody counts so far
        raise MalformedEvent("an integer has more than 4,000 digits") from error


def double_text(value: float) -> str:
    """Double.toString: scientific from 1e7 up and below 1e-3, always with a fraction."""
    if math.isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if str(value).startswith("-") else ""
    mantissa, _, power = f"{abs(value)!r}".partition("e")
    if 1e-3 <= abs(value) < 1e7 or value == 0:
        return sign + (mantissa if not power else f"{abs(value):f}")
    integer, _, fraction = mantissa.partition(".")
    digits = (integer + fraction).lstrip("0")
    lead = integer.lstrip("0")
    exponent = int(power or 0) + (len(lead) - 1 if lead else -(len(fraction) - len(fraction.lstrip("0")) + 1))
    digits = digits.rstrip("0") or "0"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def scheme_of(uri: str) -> str | None:
    """The scheme of a URI that java.net.URI takes; "" where it has none; None where it is not taken."""
    return _cached_scheme(uri) if len(uri) <= _CACHED else _scheme_of(uri)


def _scheme_of(uri: str) -> str | None:  # noqa: PLR0911 - one answer for each case
    if plain := _PLAIN.fullmatch(uri):
        return plain[1]
    if _ILLEGAL.search(uri) or uri.count("#") > 1:
        return None
    found = _SCHEME.match(uri)
    if found is None:
        head = uri[: len(uri) - len(uri.lstrip("/"))] or re.split(r"[/?#]", uri, maxsplit=1)[0]
        if ":" in head or not _authority_is_there(uri):
            return None  # what stands before a colon is no scheme
        return "" if _brackets_stand(uri) else None
    rest = uri[found.end() :]
    if not rest or rest.startswith("#") or not _authority_is_there(rest):
        return None
    if rest.startswith("/") and not _brackets_stand(rest):
        return None
    return found[1]


#: Producers are few, and each stands in every event of theirs.
_cached_scheme: Final = lru_cache(maxsize=1024)(_scheme_of)


def _authority_is_there(part: str) -> bool:
    """Two slashes must be followed by something."""
    return part != "//"


def _brackets_stand(part: str) -> bool:  # noqa: PLR0911 - one answer for each case
    """Whether brackets are only where they may be: around an IPv6 host, in a query, in a fragment."""
    if "[" not in part and "]" not in part:
        return True
    before = re.split(r"[?#]", part, maxsplit=1)[0]
    if not before.startswith("//"):
        return "[" not in before and "]" not in before
    authority, slash, path = before[2:].partition("/")
    if slash and ("[" in path or "]" in path):
        return False
    if "[" not in authority and "]" not in authority:
        return True
    found = _IPV6.fullmatch(authority)
    if found is None:
        return False
    try:
        IPv6Address(found[1])
    except AddressValueError:
        return False
    return True


def moment(text: str, what: str) -> tuple[datetime, int]:
    """A time with an offset, in UTC to the second, and its nanoseconds.

    Raises:
        MalformedEvent: `what` is no such time.
    """
    if plain := _UTC_TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(f"{plain[1]}+00:00"), int((plain[2] or "0").ljust(9, "0"))
        except ValueError as error:
            raise _no_time(text, what) from error
    found = _TIME.fullmatch(text) if text.isascii() else None
    if found is None:
        raise _no_time(text, what)
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes, seconds = found.groups()
    try:
        zone: timezone = UTC
        if utc is None:
            offset = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
            if offset > _FAR_OFFSET or int(minutes or 0) > 59 or int(seconds or 0) > 59:
                raise _no_time(text, what)
            zone = timezone(timedelta(seconds=-offset if sign == "-" else offset))
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=zone)
        at = local if utc else local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _no_time(text, what) from error
    return at, int((fraction or "0").ljust(9, "0"))


def _no_time(text: str, what: str) -> MalformedEvent:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return MalformedEvent(
        f"{what}: expected a time with an offset such as 2026-01-31T12:00:00.123Z (years 1 to 9999), found {shown!r}"
    )


def milliseconds(text: str, what: str) -> int:
    """A time as milliseconds since 1970; what is finer is cut off."""
    at, nanos = moment(text, what)
    return int(at.timestamp()) * 1000 + nanos // 1_000_000


def utc_text(text: str, what: str) -> str:
    """A time as Java prints it in UTC: seconds only where there are any, a fraction in 3, 6 or 9 digits."""
    at, nanos = moment(text, what)
    printed = f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}"
    if at.second or nanos:
        printed += f":{at.second:02}"
    if nanos:
        digits = f"{nanos:09}"
        digits = digits[:3] if digits.endswith("000000") else digits[:6] if digits.endswith("000") else digits
        printed += f".{digits}"
    return printed + "Z"
