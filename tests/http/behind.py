"""This file is where a Headgate is put before a frontend for tests, and where both are called byte by byte."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from served import World, serving

from headgate.settings.record import DataHub

TAG = b'<script src="/headgate/button.js" defer></script></body>'
PAGE = {"accept": "text/html,application/xhtml+xml", "accept-encoding": "gzip, deflate, br"}
DATASET = "/dataset/urn:li:dataset:(urn:li:dataPlatform:glue,sales.orders,PROD)/Columns"


@contextmanager
def behind(folder: Path, frontend_url: str, *, timeout: float = 20.0) -> Generator[str]:
    """The URL of a Headgate in front of the frontend."""
    datahub = DataHub(frontend_url=frontend_url, frontend_timeout=timeout)
    world = World(folder, settings={"datahub": datahub})
    try:
        with serving(world) as url:
            yield url
    finally:
        world.close()


def call(url: str, method: str = "GET", **more: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.request(method, url, **more)


def address(url: str) -> tuple[str, int]:
    found = re.fullmatch(r"http://([^:]+):(\d+)", url)
    assert found
    return found[1], int(found[2])


def raw(url: str, request: bytes, *, whole: bool = True) -> bytes:
    """What comes back for these bytes, until the server closes (or, not `whole`, with the first of it)."""
    with socket.create_connection(address(url), 30) as connection:
        connection.sendall(request)
        answered = connection.recv(1 << 16)
        while whole and (piece := connection.recv(1 << 16)):
            answered += piece
    return answered


@contextmanager
def scripted(*answers: bytes) -> Generator[str]:
    """A server that answers the n-th connection with these bytes (the last ever after) and closes it."""
    listening = socket.create_server(("127.0.0.1", 0))
    serve: Callable[[], None] = lambda: _answer_in_turn(listening, list(answers))  # noqa: E731
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def _answer_in_turn(listening: socket.socket, answers: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(10)
            asked = b""
            while b"\r\n\r\n" not in asked and (piece := connection.recv(1 << 16)):
                asked += piece
            connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])
