"""This file is where a process is asked what of its quiet variables it finds, shows, and hands on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CHILD = """
import json, os, subprocess, sys
from headgate.recipes import quietly

quietly.hand(json.loads(sys.stdin.read()))
if sys.argv[1:]:
    import botocore.session
    found = botocore.session.get_session().get_credentials()
    keys = [found.access_key, found.secret_key, found.token, found.method]
else:
    keys = [os.environ.get(name) for name in sorted(quietly.KEYS)]
shown = open("/proc/self/environ", "rb").read() if os.path.exists("/proc/self/environ") else b""
inherited = subprocess.run(["env"], capture_output=True).stdout
copied = subprocess.run(["env"], capture_output=True, env={**os.environ}).stdout
print(json.dumps({
    "keys": keys, "token": os.environ.get("DATAHUB_GMS_TOKEN"),
    "shown": b"s3cret" in shown, "inherited": b"s3cret" in inherited,
    "copied": [line.partition("=")[0] for line in copied.decode().splitlines() if "s3cret" in line],
}))
"""
VALUES = {
    "AWS_ACCESS_KEY_ID": "AKIA-s3cret",
    "AWS_SECRET_ACCESS_KEY": "s3cret/1",
    "AWS_SESSION_TOKEN": "s3cret/2",
    "DATAHUB_GMS_TOKEN": "s3cret/3",
}


@pytest.mark.parametrize("block", [False, True], ids=["with botocore", "without it"])
def test_libraries_find_what_nobody_else_does(block: bool) -> None:
    """botocore finds the keys, Python the token; `/proc` and children nothing, copies of `os.environ` no keys."""
    without = "import sys; sys.modules['botocore'] = None\n" if block else ""
    environ = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "HOME": os.devnull}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", without + CHILD, *([] if block else ["botocore"])], env=environ,
        input=json.dumps(VALUES), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["token"] == "s3cret/3"
    assert (found["shown"], found["inherited"]) == (False, False)
    keys = [VALUES[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
    if block:
        assert found["keys"] == keys  # then Python's own view is all there is
    else:
        assert found["keys"] == [*keys, "env"]
        assert found["copied"] == ["DATAHUB_GMS_TOKEN"]
