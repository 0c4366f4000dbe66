"""This file is where a headless Chromium is driven over its debugging pipe, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

DEADLINE: Final = 60.0
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)

#: Chromium reads commands from descriptor 3 and answers on 4.
_ON_3_AND_4: Final = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]
for end, wanted in zip(ends, (3, 4)):
    os.dup2(end, wanted, inheritable=True)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Navigated(AssertionError):
    """The page went away while it was asked something."""


class Page:
    """One tab. `problems` are what its console complained of."""

    def __init__(self, outgoing: int, incoming: int) -> None:
        self._out = outgoing
        self._in = incoming
        self._buffer = b""
        self._count = 0
        self._session: str | None = None
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        give_up = time.monotonic() + DEADLINE
        while time.monotonic() < give_up:
            answer = self._read()
            if answer.get("id") == self._count:
                if "navigated" in str(answer.get("error", "")):
                    raise Navigated(answer)
                assert "error" not in answer, answer
                return answer.get("result", {})
            self._note(answer)
        raise AssertionError(f"Chromium did not answer {method} in {DEADLINE} s")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 16)
            assert piece, "Chromium has gone"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Mapping[str, Any]) -> None:
        params: Mapping[str, Any] = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until the expression is true."""
        give_up = time.monotonic() + DEADLINE
        while not self._holds(expression):
            assert time.monotonic() < give_up, (
                f"waited {DEADLINE} s for {expression}; the page complained of {self.problems} and says:"
                f" {self.ask('document.body.innerText')}"
            )
            time.sleep(0.02)

    def _holds(self, expression: str) -> bool:
        try:
            return bool(self.ask(expression))
        except Navigated:
            return False  # the next page is asked again

    def press(self, key: str, *, code: int = 0, text: str = "") -> None:
        """Press a key of the keyboard, where the focus is."""
        about: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "code": key}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def chromium() -> str | None:
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


@contextmanager
def browser() -> Generator[Page]:
    """A page of a Chromium of its own, which is ended afterwards."""
    program = chromium()
    assert program, "there is no Chromium; install Debian's `chromium`, or set HEADGATE_NO_BROWSER=1 to go without"
    to_read, outgoing = os.pipe()
    incoming, to_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", _ON_3_AND_4, str(to_read), str(to_write), program, *_FLAGS]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Page(outgoing, incoming)
        finally:
            os.close(outgoing)
            process.terminate()
            process.wait(DEADLINE)
            os.close(incoming)
