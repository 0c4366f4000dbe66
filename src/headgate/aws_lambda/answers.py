"""This file is where half an answer of AWS, or somebody else's page, is told from a whole answer."""

from __future__ import annotations

import json
from typing import Any


def whole(http_response: Any, model: Any, **_more: Any) -> None:
    """A hook of botocore's (`after-call`), which takes half an answer with status 200 for one that says nothing.

    Raises:
        ResponseParserError: as botocore does for XML.
    """
    if http_response.status_code >= 300 or model.has_streaming_output or model.output_shape is None:
        return
    if model.service_model.metadata.get("protocol") != "json":
        return
    try:
        found = json.loads(http_response.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - who calls this has loaded it

        raise ResponseParserError("the answer is not whole")
