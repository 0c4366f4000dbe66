"""This file is where an order becomes an invocation of a function: told and left alone, or waited for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from headgate.aws import Clients, Fault, RunFiles, payload_of, payload_text, refuse
from headgate.aws.clients import place_of
from headgate.aws.faults import no_answer
from headgate.engines.lambda_.answer import ending_of, log_tail
from headgate.engines.lambda_.target import LARGEST, Invocation, Target, read_target
from headgate.errors import Conflict, EngineInDoubt, EngineUnavailable, NotFound, Unavailable
from headgate.model import Json, RunState
from headgate.ports import Ending, Order, Watcher

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LONGEST: Final = 930.0  #: seconds; a function may run for 900
_MOST_WAITED_FOR: Final = 64  #: invocations whose answers are waited for at a time, a thread each


_GONE: Final = "whoever waited to hear from the function is gone; what the function did is not known"


def _of_lambda(answer: Mapping[str, Any], *, waits: bool) -> bool:
    """Whether it is Lambda that answered, and no proxy's page: 202 to an event, and never HTML."""
    headers: Mapping[str, str] = answer["ResponseMetadata"].get("HTTPHeaders") or {}
    return answer.get("StatusCode") == (200 if waits else 202) and "html" not in headers.get("content-type", "")


@dataclass(slots=True, eq=False)
class _Invoked:
    """One invocation that is under way in this process."""

    order: Order
    target: Target
    text: str
    answer: Future[dict[str, Any] | Fault] = field(default_factory=Future[dict[str, Any] | Fault])
    handle: str = ""
    before: bool = False  #: an earlier call may have invoked it: nobody heard its answer


class Tokens(Protocol):
    """Where tokens are known to every replica, so that a function may call any of them."""

    def keep(self, token: str) -> None:
        """Raises Unavailable."""
        ...

    def given(self, attempt_id: str) -> bool: ...


class _NoTokens:
    """There is no other replica."""

    def keep(self, token: str) -> None: ...

    def given(self, attempt_id: str) -> bool:  # noqa: ARG002 - the shape is Tokens'
        return False


class LambdaEngine:
    """Runs as invocations of AWS Lambda; what a repeated start means is in the package's docstring."""

    name = "lambda"
    threads = 16
    here_only = False

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        *,
        clients: Clients | None = None,
        region: str = "",
        tokens: Tokens | None = None,
        answer_within: float = 5.0,
    ) -> None:
        """Nothing is loaded before the first run.

        Args:
            home: HEADGATE_HOME; a run's log is below its `logs` folder.
            watcher: who is told.
            clients: shared with the other AWS engines.
            region: where neither the job nor the function's ARN says one.
            tokens: where tokens are kept beside the run's files, for other replicas.
            answer_within: seconds `start` waits for the answer of a function that is waited for, since its request id
                is known only then; after that the attempt's id is its handle.
        """
        self._clients = clients or Clients()
        self._files = RunFiles(home)
        self._watcher = watcher
        self._region = region
        self._tokens = tokens or _NoTokens()
        self._answer_within = answer_within
        self._closed = False
        self._lock = threading.Lock()
        self._invoked: dict[str, _Invoked] = {}  #: by attempt

    def start(self, order: Order) -> str:
        attempt = order.attempt_id
        target = read_target(order.job)
        token = self._new_token(attempt) if self._needs_token(attempt, target) else ""
        with self._lock:
            one = self._invoked.get(attempt)
            settled = self._files.settled(attempt) if one is None else None
            if one is None and settled is None and target.callback and (handle := self._files.noted(attempt)):
                self._watcher.running(attempt, handle, datetime.now(UTC))
                return handle
            if one is None and settled is None and target.invocation is Invocation.REQUEST_RESPONSE:
                settled = self._forgotten(attempt)
            mine = one is None and settled is None
            if one is None and settled is None:
                if len(self._invoked) >= _MOST_WAITED_FOR:
                    raise EngineUnavailable(f"{_MOST_WAITED_FOR} functions are being waited for; this one has to wait")
                one = self._invoked[attempt] = _Invoked(order, target, self._text(order, target, token))
        if settled is not None:
            self._watcher.ended(attempt, settled)
        if one is None:
            return self._files.noted(attempt) or attempt
        if mine:
            self._begin(one)
        return self._handle(one)

    def stop(self, order: Order, *, grace: float) -> None:  # noqa: ARG002 - Lambda knows neither stop nor grace
        attempt = order.attempt_id
        waits = self._waits_for_call(order)
        with self._lock:
            if attempt in self._invoked:
                self._files.say(
                    attempt, "a stop was asked for; Lambda cannot stop a function, so its end is waited for"
                )
                return
            if self._files.settled(attempt) is not None:
                return
            if waits:
                detail = "not waited for any more; Lambda cannot stop a function"
                ending = Ending(state=RunState.STOPPED, at=datetime.now(UTC), detail=detail, retryable=False)
                self._files.settle(attempt, ending)
            elif order.run.external_id is None:
                detail = "stopped before it started"
                if self._files.in_doubt(attempt) is not None:
                    detail = "it may have been invoked; Lambda cannot stop a function"
                ending = Ending(state=RunState.STOPPED, at=datetime.now(UTC), detail=detail, retryable=False)
                self._files.settle(attempt, ending)
            else:
                ending = self._unknown(order)
        self._tell(attempt, ending)

    def adopt(self, order: Order) -> None:
        waits = self._waits_for_call(order)
        with self._lock:
            if order.attempt_id in self._invoked:
                return  # its answer is waited for here, and will be told
            if waits and self._files.settled(order.attempt_id) is None:
                return
            ending = self._files.settled(order.attempt_id) or self._unknown(order)
        self._tell(order.attempt_id, ending)

    def close(self) -> None:
        """What is under way goes on; an answer that still comes is written down for whoever adopts the run."""
        self._closed = True

    def called_back(self, token: str, *, succeeded: bool, error: str | None, result: Mapping[str, Json]) -> str:
        """Take in how a function says that it ended; answers the attempt's id. The first word counts.

        Raises:
            NotFound: nobody here has given that token. Conflict: it has ended already.
        """
        attempt = self._files.whose_token(token)
        if attempt is None:
            raise NotFound("run that waits for this token", token.partition(".")[0][:80])
        state = RunState.SUCCEEDED if succeeded else RunState.FAILED
        error = None if succeeded else error or "the function says that it failed, and no more"
        ending = Ending(state=state, at=datetime.now(UTC), error=error, detail="called back", result=result)
        with self._lock:
            if self._files.settled(attempt) is not None:
                raise Conflict(f"{attempt} has ended already; what comes after is not heard")
            self._files.settle(attempt, ending)
        self._tell(attempt, ending)
        return attempt

    # -- invoking

    def _forgotten(self, attempt: str) -> Ending | None:
        """The end of an invocation whose answer was waited for by a server that died. It is not made again."""
        return self._lost(attempt, _GONE) if self._files.in_doubt(attempt) is not None else None

    def _lost(self, attempt: str, error: str) -> Ending:
        ending = Ending(state=RunState.FAILED, at=datetime.now(UTC), error=error, detail="lost")
        self._files.settle(attempt, ending)
        return ending

    def _needs_token(self, attempt: str, target: Target) -> bool:
        with self._lock:
            under_way = attempt in self._invoked
        return target.callback and not (under_way or self._files.noted(attempt) or self._files.settled(attempt))

    def _new_token(self, attempt: str) -> str:
        """A token that every replica knows, before anybody is given it."""
        token = self._files.new_token(attempt)
        try:
            self._tokens.keep(token)
        except Unavailable as error:
            raise EngineUnavailable(f"the token of its end could not be kept: {error}") from error
        return token

    def _text(self, order: Order, target: Target, token: str) -> str:
        payload = payload_of(order)
        if target.callback:
            payload["callback"] = {"token": token or self._new_token(order.attempt_id)}
        what = f"an invocation of Lambda ({target.invocation})"
        return payload_text(payload, most=LARGEST[target.invocation], what=what)

    def _begin(self, one: _Invoked) -> None:
        if one.target.invocation is Invocation.EVENT:
            self._invoke(one)
        else:
            name = f"lambda-{one.order.attempt_id[:16]}"
            threading.Thread(target=self._invoke, args=(one,), name=name, daemon=True).start()

    def _invoke(self, one: _Invoked) -> None:
        try:
            answer = self._call(one)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must be heard by whoever waits for the answer
            with self._lock:
                self._invoked.pop(one.order.attempt_id, None)
            one.answer.set_exception(error)
            if one.handle:  # nobody waits in `start` any more
                _log.exception("invocation failed", attempt=one.order.attempt_id)
                self._end(one, Ending(state=RunState.FAILED, at=datetime.now(UTC), error=str(error)))
            return
        self._answered(one, answer)

    def _call(self, one: _Invoked) -> dict[str, Any] | Fault:
        target, order = one.target, one.order
        waits = target.invocation is Invocation.REQUEST_RESPONSE
        doing = f"job {order.job.name!r}: invoking the function {target.function}"
        self._files.say(order.attempt_id, f"invoking {target.function} ({target.invocation})")
        one.before = self._files.in_doubt(order.attempt_id) is not None
        if not one.before:
            self._files.doubt(order.attempt_id, durable=False)
        answer = self._clients.call(
            place_of(order.job.target, region=target.region or self._region, attempt_id=order.attempt_id),
            "lambda",
            "invoke",
            {
                "FunctionName": target.function,
                "InvocationType": target.invocation.value,
                "Payload": one.text.encode("utf-8", "surrogatepass"),
                **({"LogType": "Tail"} if waits else {}),
                **({"Qualifier": target.qualifier} if target.qualifier else {}),
            },
            doing=doing,
            read=_LONGEST if waits else None,
            stream="Payload" if waits else "",
        )
        return answer if isinstance(answer, Fault) or _of_lambda(answer, waits=waits) else no_answer(doing)

    def _answered(self, one: _Invoked, answer: dict[str, Any] | Fault) -> None:
        attempt = one.order.attempt_id
        at = datetime.now(UTC)
        if isinstance(answer, Fault):
            self._not_invoked(one, answer)
            return
        ending: Ending | None = None
        if one.target.invocation is Invocation.REQUEST_RESPONSE:
            ending = ending_of(answer, answer["Payload"], at)
            self._files.add(attempt, log_tail(answer))
        elif not one.target.callback:
            ending = Ending(state=RunState.SUCCEEDED, at=at, detail="dispatched")
        request = str(answer["ResponseMetadata"].get("RequestId") or attempt)
        self._files.say(attempt, f"request id {request}")
        with self._lock:
            one.handle = one.handle or request
            self._files.note(attempt, one.handle)
            called = self._files.settled(attempt)  # a function may be quicker than the answer to its invocation
            if ending is not None and called is None:
                self._files.settle(attempt, ending)
            self._invoked.pop(attempt, None)
            one.answer.set_result(answer)
        if called is not None or self._closed:
            return
        self._watcher.running(attempt, one.handle, at)
        if ending is not None:
            self._end(one, ending)

    def _not_invoked(self, one: _Invoked, fault: Fault) -> None:
        attempt = one.order.attempt_id
        self._files.say(attempt, f"{'not known to be invoked' if fault.maybe_done else 'not invoked'}: {fault}")
        if not (one.before or fault.maybe_done):
            self._files.no_doubt(attempt)
        # the answer of a function that is waited for was lost, and with it what the function did: not twice
        waited = one.target.invocation is Invocation.REQUEST_RESPONSE and fault.maybe_done and not fault.answered
        ending: Ending | None = None
        with self._lock:
            if one.handle or waited:
                ending = Ending(
                    state=RunState.FAILED, at=datetime.now(UTC), error=str(fault), detail="lost", retryable=fault.later
                )
                self._files.settle(attempt, ending)
                one.handle = one.handle or attempt
            elif one.target.invocation is Invocation.REQUEST_RESPONSE:
                self._files.no_doubt(attempt)  # AWS itself said that it did not work; it may be asked again
            self._invoked.pop(attempt, None)
            one.answer.set_result(fault)
        if ending is not None:
            self._end(one, ending)

    def _handle(self, one: _Invoked) -> str:
        """Wait a little for the request id."""
        try:
            answer = one.answer.result(self._answer_within if one.target.invocation is not Invocation.EVENT else None)
        except TooLong:
            attempt = one.order.attempt_id
            with self._lock:
                if one.answer.done():
                    return self._handle(one)
                one.handle = attempt
            self._watcher.running(attempt, attempt, datetime.now(UTC))
            return attempt
        if isinstance(answer, Fault) and not one.handle:
            if answer.later and (one.before or answer.maybe_done) and one.target.invocation is Invocation.EVENT:
                raise EngineInDoubt(str(answer))
            refuse(answer)
        return one.handle

    # -- telling

    def _waits_for_call(self, order: Order) -> bool:
        """Whether it was invoked with a token that is known here, or to all replicas."""
        attempt = order.attempt_id
        if not (order.run.external_id or self._files.noted(attempt)):
            return False
        if self._files.has_token(attempt):
            return True
        of_deleted = not order.job.target  # of a deleted job nothing is known
        return bool(order.job.target.get("callback") or of_deleted) and self._tokens.given(attempt)

    def _unknown(self, order: Order) -> Ending:
        """What becomes of an invocation whose answer nobody here waits for."""
        now = datetime.now(UTC)
        kind = order.job.target.get("invocation_type") or Invocation.EVENT  # of a deleted job nothing is known
        if kind == Invocation.EVENT and not order.job.target.get("callback"):
            return Ending(state=RunState.SUCCEEDED, at=now, detail="dispatched")
        return self._lost(order.attempt_id, _GONE)

    def _end(self, one: _Invoked, ending: Ending) -> None:
        self._tell(one.order.attempt_id, ending)

    def _tell(self, attempt: str, ending: Ending) -> None:
        if self._closed:
            return
        why = f": {ending.error}" if ending.error else f" ({ending.detail})" if ending.detail else ""
        self._files.say(attempt, f"ended {ending.state}{why}")
        self._files.finish(attempt, ending)
        self._watcher.ended(attempt, ending)
