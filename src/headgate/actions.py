"""This file is where the framework `datahub actions` has us as one of its actions: `type: headgate`, for `executor`.

Imported by the framework alone, which brings DataHub's SDK along. What it hands over is in the ledger before it is told
that we have it; everything else is as with `headgate executor`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from datahub_actions.action.action import Action
from datahub_actions.event.event_envelope import EventEnvelope
from datahub_actions.event.event_registry import METADATA_CHANGE_LOG_EVENT_V1_TYPE
from datahub_actions.pipeline.pipeline_context import PipelineContext

from headgate.app import App
from headgate.errors import InvalidConfiguration
from headgate.executor.executor import Accept
from headgate.executor.pipeline_file import PipelineFile, datahub_as, read_options
from headgate.executor.requests import read_change
from headgate.executor.sources import with_datahub
from headgate.settings import load

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
NAME: Final = "datahub actions"


class Handed:
    """The source of requests: whoever calls `act`."""

    name = NAME

    def follow(self, accept: Accept, closing: threading.Event) -> None:
        accept([])
        closing.wait()


class HeadgateAction(Action):
    """Carries out DataHub's execution requests, in place of the stock action `executor`."""

    def __init__(self, pipeline: PipelineFile) -> None:
        """Open the ledger and begin.

        Raises:
            HeadgateError: with the reason; the framework shows it and does not start the pipeline.
        """
        settings = with_datahub(load(pipeline.project, os.environ), pipeline)
        if not settings.datahub.configured:
            raise InvalidConfiguration(
                "the action `headgate` must know where DataHub is: give the pipeline a `datahub` block with `server`"
            )
        self._app = App.build(settings, worker=True, doors=False)
        self._app.start(role="runs")
        try:
            self._app.carry_out(pipeline, source=Handed())
        except BaseException:
            self._app.close()
            raise

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> Action:
        """For the framework. `config_dict` is the pipeline's `action.config`."""
        pipeline = read_options(config_dict or {}, name=ctx.pipeline_name)
        if ctx.graph is not None:
            config: Any = ctx.graph.graph.config
            found = datahub_as(config.server, config.token or "", config.extra_headers or {})
            pipeline = replace(pipeline, datahub=found)
        return cls(pipeline)

    def act(self, event: EventEnvelope) -> None:
        """Take an event in. It is ours for good when this returns.

        Raises:
            Unavailable: the ledger could not take it; it is found in DataHub's lists later.
        """
        if event.event_type != METADATA_CHANGE_LOG_EVENT_V1_TYPE:
            return
        change = read_change(_plain(event.event))
        if change is not None and self._app.executor is not None:
            self._app.executor.accept([change])

    def close(self) -> None:
        self._app.close()


def _plain(event: Any) -> Mapping[str, Any]:
    """A change as the framework has it, in the form it has on the wire."""
    return {
        "entityType": event.entityType,
        "entityUrn": event.entityUrn,
        "changeType": str(event.changeType),
        "aspectName": event.aspectName,
        "aspect": _generic(event.aspect),
        "entityKeyAspect": _generic(event.entityKeyAspect),
    }


def _generic(aspect: Any) -> Mapping[str, Any] | None:
    return None if aspect is None else {"value": aspect.value, "contentType": aspect.contentType}
