"""This file is where a script that lies on S3 is run: fetched into its run's directory first, then run as Glue would.

`python -m headgate.engines.local.from_s3 s3://bucket/key` is the whole command of such a run: what is wrong with the
script's place is in the run's log, and its exit code says whether another attempt may help.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, Final

from headgate.supervision import logs, records

#: sysexits(3): what no further attempt mends, and what one may.
NO_INPUT, UNAVAILABLE, NO_PERMISSION, TRY_AGAIN = 66, 69, 77, 75
_CODES: Final = {
    "404": NO_INPUT, "NoSuchKey": NO_INPUT, "NoSuchBucket": NO_INPUT,
    "403": NO_PERMISSION, "AccessDenied": NO_PERMISSION, "InvalidAccessKeyId": NO_PERMISSION,
    "SignatureDoesNotMatch": NO_PERMISSION,
}  # fmt: skip
_SHIMS: Final = str(Path(logs.__file__).parent / "shims")


class Unfetched(Exception):
    """The script is not here; `code` is what the run ends with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def main(words: list[str]) -> int:
    """Fetch the script and run it. Answers the exit code where it cannot be fetched."""
    folder = Path(os.environ["HEADGATE_ARGUMENTS"]).parent
    try:
        script = fetch(words[0], folder)
    except Unfetched as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    given: dict[str, str] = json.loads(Path(os.environ["HEADGATE_ARGUMENTS"]).read_text("utf-8"))
    own = {"--JOB_NAME": os.environ["HEADGATE_JOB"], "--JOB_RUN_ID": os.environ[records.ATTEMPT]}
    rest = {name: value for name, value in given.items() if name not in own}
    sys.argv = [str(script), *(word for pair in {**rest, **own}.items() for word in pair)]
    sys.path[:0] = [str(folder), _SHIMS, str(Path.cwd())]
    runpy.run_path(str(script), run_name="__main__")
    return 0


def fetch(location: str, folder: Path) -> Path:
    """Fetch s3://bucket/key into the folder. Raises Unfetched."""
    try:
        import boto3  # noqa: PLC0415 - an extra, and half a second
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError:
        message = f"{location}: a script on S3 needs the extra [aws]: pip install 'headgate[aws]'"
        raise Unfetched(message, UNAVAILABLE) from None
    bucket, _, key = location.removeprefix("s3://").partition("/")
    script = folder / "script.py"
    patient = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})
    try:
        client: Any = boto3.client("s3", config=patient, region_name=_region())
        script.write_bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        said: Any = error.response.get("Error", {})
        code = str(said.get("Code", ""))
        raise Unfetched(
            f"{location} cannot be fetched: {said.get('Message') or code}", _CODES.get(code, TRY_AGAIN)
        ) from error
    except (BotoCoreError, OSError) as error:
        raise Unfetched(f"{location} cannot be fetched: {error}", TRY_AGAIN) from error
    return script


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
