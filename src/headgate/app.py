"""This file is where the parts are put together: the only one that names every concrete class. Reads top to bottom."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from headgate.aws import Clients
from headgate.aws.credentials import could_be_found
from headgate.aws_lambda.messages import StateChange
from headgate.doors import object_events, sqs
from headgate.doors.inbox import Inbox
from headgate.embedded.port import EmbeddedDataHub
from headgate.embedded.tables import written
from headgate.engines.glue import GlueEngine
from headgate.engines.lambda_ import LambdaEngine
from headgate.engines.local import LocalEngine
from headgate.engines.recipe import RecipeEngine
from headgate.engines.recipe.variables import Server
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.errors import HeadgateError, InUse, LedgerUnavailable, Unavailable
from headgate.executor.results import notes as request_notes
from headgate.executor.telling import Told, log_of
from headgate.flow.announce import Announcer, Subscription
from headgate.flow.clicked import NAMED_BY_ENGINE
from headgate.flow.dispatch import Dispatcher
from headgate.flow.lineage import CHANNEL, URL_CHANNEL, Noting
from headgate.flow.watch import Watch
from headgate.gate import Gate
from headgate.ledger.dead import DeadLetter
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Json, Run
from headgate.openlineage import configured
from headgate.ports import DataHub, Engine, Message, Reporter
from headgate.reports.datahub import DataHubReporter
from headgate.reports.notify import Notifier
from headgate.runtime.dead_letters import DeadLetters
from headgate.runtime.deliver import Deliver
from headgate.runtime.home import HomeLock, forget_server, make_home, note_server, noted_server, place
from headgate.runtime.lineage import Teller, ToDataHub, ToUrl
from headgate.runtime.relay import Relay
from headgate.runtime.secrets import SecretStore, resolver
from headgate.runtime.sweep import SYSTEM, Sweep
from headgate.settings import Settings
from headgate.settings.record import Emit

if TYPE_CHECKING:
    import uvicorn

    from headgate.executor.executor import Executor, Source
    from headgate.executor.pipeline_file import PipelineFile

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class App:
    """One replica: a ledger, and what this process does with it (run jobs, watch inboxes, or only look)."""

    def __init__(self, settings: Settings, *, worker: bool, doors: bool) -> None:
        self.settings = settings
        self.ledger = Ledger(
            settings.database_url,
            fires_for=settings.conditional_fires_for,
            lease=settings.lease,
            claims=worker,
            place=place(settings.home),
        )
        self.gate = Gate(settings, self.ledger)
        self._secrets = SecretStore(self.ledger, settings)
        self.datahub: DataHub
        self.close_datahub: Callable[[], None] = _nothing
        if settings.datahub.configured:
            self.datahub, self.close_datahub = _datahub(settings)
        else:
            self.datahub = EmbeddedDataHub(self.ledger, token=settings.token, rules=self.gate.rules)
        self.gate.datahub = self.datahub
        clients = Clients()
        engines: dict[str, Engine] = {}
        if worker:
            engines["local"] = LocalEngine(settings.home, Watch(self.ledger), settings.lake, settings.project)
            engines.update(_aws_engines(settings, Watch(self.ledger), self.gate, clients))
            engines["recipe"] = RecipeEngine(
                settings.home,
                Watch(self.ledger),
                settings.project,
                resolver=resolver(settings, self.ledger, clients),
                server=lambda: _catalog_of(settings),
            )
        self._engines = engines
        self.ledger.anywhere = frozenset(name for name, engine in engines.items() if not engine.here_only)
        self._dispatcher = Dispatcher(self.ledger, engines, grace=settings.stop_grace)
        reporters: dict[str, Reporter] = {
            one.name: Notifier(one.name, one.url.reveal(), one.webhook, one.template) for one in settings.notify
        }
        self._teller = DataHubReporter(self.datahub)
        reporters[self._teller.name] = self._teller
        self._told = Told(self.gate, self.datahub)
        reporters[self._told.name] = self._told
        self.executor: Executor | None = None
        self._relays = _relays(self.ledger, self.datahub, settings) if worker else {}
        self._deliver = Deliver(self.ledger, reporters if worker else {}, others=(CHANNEL, URL_CHANNEL))
        self._sweep = Sweep(
            self.ledger,
            stop_run=self._dispatcher.stop,
            schedules=doors or worker,
            retention_days=settings.retention_days,
            logs=settings.home / "logs",
            on_outbox=self._wake_tellers,
        )
        self._inboxes = (
            [Inbox(bucket, folder, self.gate.accept, home=settings.home) for bucket, folder in settings.inboxes.items()]
            if doors
            else []
        )
        self._queues = _queues(settings, self.gate, clients) if doors else []
        self._worker = worker
        self._lock: HomeLock | None = None

    def _engine_troubles(self) -> list[str]:
        """What keeps engines from seeing how their runs do: those run on, and nobody hears of their ends."""
        found = ((name, getattr(engine, "problem", None)) for name, engine in self._engines.items())
        return [f"engine {name}: its runs cannot be looked at now ({why})" for name, why in found if why]

    def _aws_troubles(self) -> list[str]:
        """Whether something would be started on AWS, and there is no place where credentials for it could be found."""
        jobs = [job.name for job in self.ledger.catalog.jobs.values() if job.engine in NAMED_BY_ENGINE]
        rules = [rule for rule in self.settings.rules if rule.function or rule.state_machine_arn]
        if not (jobs or rules) or could_be_found(os.environ):
            return []
        what = f"jobs {', '.join(sorted(jobs)[:5])}" if jobs else "what the rules start"
        return [
            f"AWS: {what} will be refused, for there are no credentials here; set AWS_PROFILE or AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY for the server"
        ]

    def _queue_troubles(self) -> list[str]:
        """What hinders the queues' doors, and whether there is something they could not read."""
        said = (f"{one.name}: the queue cannot be read now ({one.problem})" for one in self._queues if one.problem)
        found = list(dict.fromkeys(said))  # those who poll one queue say the same
        try:
            unread = DeadLetters(self.ledger).count() if self._queues else 0
        except HeadgateError:
            return found  # the ledger's own trouble is told elsewhere
        return [*found, f"{unread} messages cannot be read: `headgate events dead list`"] if unread else found

    def _secret_troubles(self) -> list[str]:
        """Whether there are secrets of our own that nobody can open; runs that need one will fail."""
        try:
            closed = self._secrets.closed()
        except LedgerUnavailable:
            return []  # told elsewhere
        except HeadgateError as error:
            return [str(error)]
        named = ", ".join(closed[:5]) + (", …" if len(closed) > 5 else "")
        return [f"{len(closed)} secrets are sealed with a key that is not here: {named}"] if closed else []

    @staticmethod
    def build(settings: Settings, *, worker: bool, doors: bool) -> App:
        return App(settings, worker=worker, doors=doors)

    def start(self, *, role: str = "all") -> None:
        """Open the ledger, take up what was left, and begin.

        Raises:
            InUse: another process holds this home. LedgerUnavailable: the database cannot be used.
        """
        try:
            if self.ledger.on_sqlite:
                self._lock = HomeLock(self.settings.home, role)
                self.ledger.alone = role == "all"
            else:
                make_home(self.settings.home)
            self._begin()
        except HeadgateError:
            self.close()
            raise

    def _begin(self) -> None:
        ledger = self.ledger
        announcer = Announcer.of(
            [Subscription(channel=one.name, on=frozenset(one.on), job=one.job) for one in self.settings.notify]
        )
        told: Callable[[Run], Sequence[Message]] = written if isinstance(self.datahub, EmbeddedDataHub) else _no_message
        noting, home = _noting(self.settings), self.settings.home

        def log(run: Run) -> str:
            return log_of(run, home)

        ledger.announce = lambda run, was_failing: [
            *announcer(run, was_failing), *noting.ended(run), *told(run), *request_notes(run, log)
        ]  # fmt: skip
        ledger.announce_start = noting.started
        ledger.on_claimed = self._dispatcher.start
        ledger.on_adopted = self._dispatcher.take_over
        ledger.on_stop = self._dispatcher.stop
        ledger.on_due = self._sweep.wake
        ledger.on_outbox = self._wake_tellers
        ledger.open()
        done = self.gate.apply(everything=False, actor=SYSTEM)
        for change in done:
            _log.info("definition", does=change.does.value, kind=change.kind, name=change.name)
        if isinstance(self.datahub, EmbeddedDataHub):
            self.datahub.start()
        if self._worker:
            if not ledger.on_sqlite:
                ledger.beat()
            # on SQLite nobody else can be alive: the lock is ours, so whatever was under way is taken up at once
            taken = wait_for(ledger.take_over(everyone=ledger.on_sqlite))
            if taken:
                _log.info("runs taken up again", count=len(taken))
        self._sweep.start()
        self._deliver.start()
        for relay in self._relays.values():
            relay.start()
        for queue in self._queues:
            queue.start()
        for inbox in self._inboxes:
            inbox.start()

    def carry_out(self, file: PipelineFile, *, source: Source | None = None) -> None:
        """Carry out DataHub's execution requests, too, as the file says. To be called after `start`.

        `source`: where they come from, in place of what the file says.

        Raises:
            Forbidden: our token may not do what that takes.
        """
        from headgate.executor.sources import check_rights, executor_of  # noqa: PLC0415 - httpx, as below

        check_rights(file, self.settings, self.datahub)
        self.executor = executor_of(file, self.gate, self.datahub, self._told, source)
        self.executor.start()

    def carry_out_as_set(self) -> None:
        """The same with the file of `datahub.executor`, where there is one and this replica runs jobs."""
        file = self.settings.datahub.executor
        if file is None or not self._worker:
            return
        from headgate.executor.pipeline_file import read_pipeline_file  # noqa: PLC0415 - seldom

        self.carry_out(read_pipeline_file(file, os.environ))

    def close(self) -> None:
        """Stop taking things on, write what is queued, let go. Jobs that run go on running."""
        if self.executor is not None:
            self.executor.close()
        self.ledger.stop_claiming()
        for inbox in self._inboxes:
            inbox.close()
        for queue in self._queues:
            queue.stop()
        for queue in self._queues:
            queue.close()
        self._sweep.close()
        self._dispatcher.close()
        for engine in self._engines.values():
            engine.close()
        self._deliver.close()
        for relay in self._relays.values():
            relay.close()
        self.ledger.close()
        self.close_datahub()
        self._release()

    def _wake_tellers(self) -> None:
        self._deliver.wake()
        for relay in self._relays.values():
            relay.wake()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every run, and every run that follows from it, has ended. False: not within `timeout` seconds."""
        until = time.monotonic() + timeout
        while self.ledger.counts():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def readiness(self) -> Mapping[str, Json]:
        """For /readyz: whether this replica does its work, and if not, why."""
        problems: list[str] = []
        waiting, oldest, error = 0, None, None
        try:
            waiting, oldest, error = self.ledger.outbox()
        except HeadgateError as failure:
            problems.append(str(failure))
        if self._sweep.problem and self._sweep.problem not in problems:
            problems.append(self._sweep.problem)
        problems.extend(self.executor.problems() if self.executor is not None else [])
        problems.extend(f"lineage ({name}): {one.problem}" for name, one in self._relays.items() if one.problem)
        problems.extend(f"inbox {one.bucket}: {one.problem}" for one in self._inboxes if one.problem)
        return {
            "ready": not problems,
            "problems": problems,
            "warnings": [
                *self.gate.warnings(),
                *self._aws_troubles(),
                *self._engine_troubles(),
                *self._queue_troubles(),
                *self._secret_troubles(),
            ],
            "replica": self.ledger.id,
            "worker": self._worker,
            "outbox": {
                "waiting": waiting,
                "oldest": oldest,
                "last_error": error,
                "refused_by_datahub": self._teller.dropped + self._told.dropped,
            },
        }


def _aws_engines(settings: Settings, watcher: Watch, gate: Gate, clients: Clients) -> dict[str, Engine]:
    """The engines of AWS. boto3 is loaded, and a thread started, with the first run that needs one."""
    functions = LambdaEngine(settings.home, watcher, clients=clients, region=settings.lambda_region)
    gate.functions = functions.called_back
    machines = StepFunctionsEngine(settings.home, watcher, clients=clients)
    glue = GlueEngine(settings.home, watcher, clients=clients)

    def changed(change: StateChange, *, trusted: bool) -> bool:
        if change.engine == glue.name:
            return glue.noticed(change.id)  # which looks for itself, always
        return machines.noticed(change.id, change.detail if trusted else {})

    gate.changed = changed
    return {"step_functions": machines, "lambda": functions, "glue": glue}


def _queues(settings: Settings, gate: Gate, clients: Clients) -> list[sqs.QueueDoor]:
    """The doors of `sqs:`. Who may send to a queue is the queue's own policy, so what it says of runs is believed."""
    inside = sqs.Inside(
        decode=lambda body: object_events.decode(body, source=sqs.DOOR),
        accept=gate.ledger.accept,
        changed=lambda change: gate.changed(change, trusted=True),
        bury=lambda poison: DeadLetters(gate.ledger).bury(
            DeadLetter(
                source=poison.queue,
                message=poison.message,
                body=poison.body,
                error=poison.error,
                receives=poison.receives,
                sent_at=poison.sent_at,
            )
        ),
    )
    return [
        sqs.QueueDoor(queue, inside, clients=clients, name=f"sqs[{number}]")
        for number, queue in enumerate(settings.sqs)
        for _ in range(queue.pollers)
    ]


def _catalog_of(settings: Settings) -> Server:
    """The DataHub that recipes without a sink write to; where none is configured, the embedded one, if it is served."""
    datahub = settings.datahub
    if datahub.configured:
        url = datahub.gms_url or f"{datahub.frontend_url.rstrip('/')}/api/gms"
        token, secret = (one.reveal() if one else "" for one in (datahub.token, datahub.client_secret))
        return Server(url=url, token=token, client_id=datahub.client_id, client_secret=secret)
    noted = noted_server(settings.home)
    return Server(url=noted[0] if noted else "", token=settings.token.reveal() if settings.token else "")


def _datahub(settings: Settings) -> tuple[DataHub, Callable[[], None]]:
    """DataHub's client, and how it is let go."""
    from headgate.datahub import connect  # noqa: PLC0415 - httpx: a tenth of a second that the laptop mode does without

    client = connect(settings.datahub)
    return client, client.close


def _no_message(_run: Run) -> Sequence[Message]:
    """A DataHub that is configured learns of tables by their lineage."""
    return ()


def _nothing() -> None:
    return


def _relays(ledger: Ledger, datahub: DataHub, settings: Settings) -> dict[str, Relay]:
    """Who is told of lineage: DataHub (or the embedded catalog in its place), and the receiver of OPENLINEAGE_URL."""
    said = settings.openlineage
    teller = Teller(ledger, said.namespace)
    relays = {CHANNEL: Relay(ledger, CHANNEL, ToDataHub(datahub, teller, configured(said)))}
    if said.receiver:
        key = {"authorization": f"Bearer {said.api_key.reveal()}"} if said.api_key else {}
        relays[URL_CHANNEL] = Relay(ledger, URL_CHANNEL, ToUrl(said.receiver, teller, key))
    return relays


def _noting(settings: Settings) -> Noting:
    """In whose messages our own runs are noted."""
    match settings.openlineage.emit:
        case Emit.NONE:
            return Noting()
        case Emit.URL:
            return Noting((URL_CHANNEL,))
        case Emit.BOTH:
            return Noting((CHANNEL, URL_CHANNEL))
        case _:
            return Noting((CHANNEL,))


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    worker: bool = True,
    on_ready: Callable[[str], None] | None = None,
    alongside: Callable[[App, str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once. Answers the exit code.

    `alongside` is run in a thread of its own once the server answers.

    Raises:
        InUse: the port or the home is taken. LedgerUnavailable: the database cannot be used.
    """
    listening = _bind(host, port)
    app = App.build(settings, worker=worker, doors=True)
    try:
        app.start(role="all" if worker else "doors")
    except HeadgateError:
        listening.close()
        raise
    url = f"http://{'localhost' if host in ('127.0.0.1', 'localhost', '::1') else host}:{listening.getsockname()[1]}"
    try:
        app.carry_out_as_set()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(app, listening, host=host, url=url, on_ready=on_ready, alongside=alongside))
    finally:
        forget_server(settings.home)
        app.close()
    return 0


def work(
    settings: Settings, *, on_ready: Callable[[str], None] | None = None, requests: PipelineFile | None = None
) -> int:
    """Run runs, until SIGTERM or SIGINT; with `requests` carry out those of DataHub's, too."""
    app = App.build(settings, worker=True, doors=False)
    app.start(role="runs")
    over = threading.Event()
    try:
        if requests is not None:
            app.carry_out(requests)
        else:
            app.carry_out_as_set()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: over.set())
        if on_ready:
            on_ready(app.ledger.id)
        while not over.wait(3600):
            pass
    finally:
        app.close()
    return 0


@contextmanager
def open_writing(settings: Settings) -> Generator[App]:
    """The whole replica without doors, for a command that no server can be asked to do."""
    app = App.build(settings, worker=True, doors=False)
    app.start()
    try:
        yield app
    finally:
        app.close()


@contextmanager
def open_reading(settings: Settings) -> Generator[Gate]:
    """The gate for looking only. A ledger that does not exist yet is made, with what headgate.yaml declares."""
    app = App.build(settings, worker=False, doors=False)
    if app.ledger.on_sqlite:
        make_home(settings.home)
    app.ledger.open()
    try:
        if not app.ledger.catalog.jobs:
            app.gate.apply(everything=False, actor=SYSTEM)
            app.ledger.refresh()
        yield app.gate
    finally:
        app.ledger.close()
        app.close_datahub()


def running_server(settings: Settings) -> str | None:
    """The URL of a server to speak to: HEADGATE_URL's (which must answer), or the one this home noted, if alive.

    Raises:
        Unavailable: HEADGATE_URL is set and nobody answers there.
    """
    if settings.url:
        if not _answers(settings.url):
            raise Unavailable(f"nobody answers at {settings.url} (HEADGATE_URL); start `headgate serve` or unset it")
        return settings.url.rstrip("/")
    noted = noted_server(settings.home)
    if noted is None or not Path(f"/proc/{noted[1]}").exists():
        return None
    return noted[0] if _answers(noted[0]) else None


def _answers(url: str) -> bool:
    import httpx  # noqa: PLC0415 - a server does not need it, and it takes a tenth of a second

    try:
        return httpx.get(f"{url.rstrip('/')}/healthz", timeout=3.0, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InUse(
            f"port {port} on {host} cannot be used: {error.strerror}; choose another with --port, or stop what uses it"
        ) from error
    listening.listen(2048)
    return listening


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - only where there is one
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    app: App,
    listening: socket.socket,
    *,
    host: str,
    url: str,
    on_ready: Callable[[str], None] | None,
    alongside: Callable[[App, str], None] | None,
) -> None:
    import uvicorn  # noqa: PLC0415 - commands that only look do without

    from headgate.http import build  # noqa: PLC0415

    asgi = build(app.gate, readiness=app.readiness, host=host, port=int(listening.getsockname()[1]))
    config = uvicorn.Config(
        asgi, log_config=None, access_log=False, server_header=False, date_header=False, lifespan="off",
        timeout_graceful_shutdown=5, timeout_keep_alive=75, limit_concurrency=4096,
        proxy_headers=False,
    )  # fmt: skip

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            """Capture none: uvicorn raises them again when it is done, and the process would end before `app.close`."""
            yield

    server = Server(config)
    _end_with_signals(server, asgi.close)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    announcing = asyncio.create_task(_announce(server, app, url, on_ready, alongside))
    await server.serve(sockets=[listening])
    await announcing


def _end_with_signals(server: uvicorn.Server, end_streams: Callable[[], None]) -> None:
    """The first SIGTERM or SIGINT ends the serving; the second, whoever is still busy then, the process."""
    if threading.current_thread() is not threading.main_thread():
        return

    def end(_number: int, _frame: object) -> None:
        end_streams()  # an open page would hold the end up until uvicorn loses patience
        server.should_exit = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


async def _announce(
    server: object,
    app: App,
    url: str,
    on_ready: Callable[[str], None] | None,
    alongside: Callable[[App, str], None] | None,
) -> None:
    while not getattr(server, "started", False):
        if getattr(server, "should_exit", False):
            return
        await asyncio.sleep(0.005)
    note_server(app.settings.home, url)
    if on_ready:
        on_ready(url)
    if alongside:
        threading.Thread(target=alongside, args=(app, url), name="alongside", daemon=True).start()
