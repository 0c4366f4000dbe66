"""This file is where it is known on which host the AWS console of a region is."""

from __future__ import annotations

from typing import Final

#: How a region's name begins -> the console's host of its partition. Of the isolated ones nobody outside knows it.
_HOSTS: Final = (
    ("cn-", "console.amazonaws.cn"),
    ("us-gov-", "console.amazonaws-us-gov.com"),
    ("eusc-", "console.amazonaws.eu"),
    ("us-iso", ""),
    ("eu-iso", ""),
)


def console_of(region: str) -> str:
    """Return `https://REGION.HOST`; "" where the region, or the host of its console, is not known."""
    host = next((host for begin, host in _HOSTS if region.startswith(begin)), "console.aws.amazon.com")
    return f"https://{region}.{host}" if region and host else ""
