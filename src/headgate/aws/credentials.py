"""This file is where it is seen, without loading boto3 or asking anybody, whether there can be credentials for AWS.

The places are those of boto3's chain: https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_FILES: Final = (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
_VENDOR: Final = Path("/sys/devices/virtual/dmi/id/sys_vendor")


def could_be_found(environ: Mapping[str, str], *, vendor: Path = _VENDOR) -> bool:
    """Whether boto3 has any place to find credentials at: a variable, a file, or a machine of Amazon's with a role.

    True promises nothing: the credentials may be wrong or have run out. False is sure.
    """
    if any(environ.get(name) for name in _VARIABLES):
        return True
    folder = Path(environ.get("HOME") or "/nonexistent") / ".aws"
    if any(Path(environ.get(name) or folder / usual).is_file() for name, usual in _FILES):
        return True
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    try:
        return "amazon" in vendor.read_text("utf-8", errors="replace").lower()
    except OSError:
        return False
