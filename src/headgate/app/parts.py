"""This file is where settings become the parts of a replica: engines of AWS, queues, relays, who is told of what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headgate.aws import Clients
from headgate.aws.credentials import could_be_found
from headgate.aws_lambda.messages import StateChange
from headgate.doors import object_events, sqs
from headgate.doors.catalog import Broken, CatalogDoor, Inside, Look, Turn
from headgate.doors.catalog.glue import look_at_glue
from headgate.doors.catalog.iceberg import look_at_s3
from headgate.engines.glue import GlueEngine
from headgate.engines.lambda_ import LambdaEngine
from headgate.engines.local import LocalEngine
from headgate.engines.recipe import RecipeEngine
from headgate.engines.recipe.variables import Server
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.errors import Unavailable
from headgate.flow.lineage import CHANNEL, URL_CHANNEL, Noting
from headgate.flow.match import watches_database
from headgate.flow.watch import Watch
from headgate.gate import Gate
from headgate.ledger import watches
from headgate.ledger.dead import DeadLetter
from headgate.ledger.iceberg import iceberg_tables
from headgate.ledger.store import Ledger, wait_for
from headgate.model import CatalogWatch, TriggerName
from headgate.openlineage import configured
from headgate.ports import DataHub, Engine
from headgate.recipes.twice import Scheduled
from headgate.runtime.callbacks import Tokens
from headgate.runtime.dead_letters import DeadLetters
from headgate.runtime.doubled import Doubled
from headgate.runtime.home import noted_server
from headgate.runtime.lineage import Teller, ToDataHub, ToUrl
from headgate.runtime.relay import Relay
from headgate.runtime.secrets import resolver
from headgate.settings import Settings
from headgate.settings.record import Emit


def engines(settings: Settings, ledger: Ledger, gate: Gate, clients: Clients) -> dict[str, Engine]:
    """Every engine, by the name that jobs give."""
    local = LocalEngine(
        settings.home,
        Watch(ledger),
        settings.lake,
        settings.project,
        beside=lambda environ: beside_glue_scripts(settings, environ),
        log_limit=settings.log_limit,
    )
    recipe = RecipeEngine(
        settings.home,
        Watch(ledger),
        settings.project,
        resolver=resolver(settings, ledger, clients),
        server=lambda: catalog_of(settings),
        log_limit=settings.log_limit,
    )
    return {"local": local, **_aws_engines(settings, Watch(ledger), gate, clients), "recipe": recipe}


def _aws_engines(settings: Settings, watcher: Watch, gate: Gate, clients: Clients) -> dict[str, Engine]:
    """The engines of AWS. boto3 is loaded, and a thread started, with the first run that needs one."""
    functions = LambdaEngine(settings.home, watcher, clients=clients, region=settings.lambda_region,
                             tokens=Tokens(gate.ledger))  # fmt: skip
    gate.functions = functions.called_back
    machines = StepFunctionsEngine(settings.home, watcher, clients=clients)
    glue = GlueEngine(settings.home, watcher, clients=clients)

    def changed(change: StateChange, *, trusted: bool) -> bool:
        if change.engine == glue.name:
            return glue.noticed(change.id)  # which looks for itself, always
        return machines.noticed(change.id, change.detail if trusted else {})

    gate.changed = changed
    return {"step_functions": machines, "lambda": functions, "glue": glue}


def queues(settings: Settings, gate: Gate, clients: Clients) -> list[sqs.QueueDoor]:
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


def catalog_of(settings: Settings) -> Server:
    """The DataHub that recipes without a sink write to; where none is configured, the embedded one, if it is served."""
    datahub = settings.datahub
    if datahub.configured:
        url = datahub.gms_url or f"{datahub.frontend_url.rstrip('/')}/api/gms"
        token, secret = (one.reveal() if one else "" for one in (datahub.token, datahub.client_secret))
        return Server(url=url, token=token, client_id=datahub.client_id, client_secret=secret)
    noted = noted_server(settings.home)
    return Server(url=noted[0] if noted else "", token=settings.token.reveal() if settings.token else "")


def beside_glue_scripts(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What lets a script of a job made through Glue's API find its workflow here, by `boto3.client("glue")` alone.

    Any keys will do where callers need none; elsewhere a script needs a key of this server, and its job names it in
    `env`. What the script's own environment (`environ`) says is not overridden.
    """
    noted = noted_server(settings.home)
    if noted is None:
        return {}
    found: dict[str, str] = {}
    if "AWS_ENDPOINT_URL" not in environ:
        found.update(AWS_ENDPOINT_URL_GLUE=noted[0], AWS_ENDPOINT_URL_LOGS=noted[0])
    if not could_be_found(environ):
        found.update(AWS_DEFAULT_REGION=environ.get("AWS_REGION", "us-east-1"))
        if settings.token is None and not settings.datahub.configured:
            found.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106 - of nobody
    return found


def connected(settings: Settings) -> tuple[DataHub, Callable[[], None]]:
    """DataHub's client, and how it is let go."""
    from headgate.datahub import connect  # noqa: PLC0415 - httpx: a tenth of a second that the laptop mode does without

    client = connect(settings.datahub)
    return client, client.close


def doubled(settings: Settings, ledger: Ledger, datahub: DataHub, clients: Clients) -> Doubled | None:
    """Who knows which of our schedules DataHub has, too; nobody where no DataHub is configured."""
    if not settings.datahub.configured:
        return None

    def ask() -> Sequence[Scheduled]:
        from headgate.datahub import GmsClient  # noqa: PLC0415 - httpx, as above
        from headgate.datahub.sources import scheduled_sources  # noqa: PLC0415

        return scheduled_sources(datahub) if isinstance(datahub, GmsClient) else ()

    return Doubled(
        ask,
        catalog=lambda: ledger.catalog,
        project=settings.project,
        resolver=resolver(settings, ledger, clients),
    )


def catalog_door(settings: Settings, ledger: Ledger, clients: Clients) -> CatalogDoor:
    """The door of EVENT triggers with a `catalog:`. boto3 is loaded with the first that is on AWS."""

    def read(watch: CatalogWatch) -> Look:
        if watch.kind == "glue":
            return look_at_glue(clients, watch)
        if watch.place != "lake":
            return look_at_s3(clients, watch)
        try:
            tables = iceberg_tables(settings.lake.uri, settings.lake.catalog)
        except Unavailable as error:
            raise Broken("the lake's catalog cannot be read", str(error)) from error
        named = {name: name.rpartition(".")[0] for name in tables}
        kept = {name: tables[name] for name, database in named.items() if watches_database(watch, database)}
        return Look(tables=kept, databases=sorted({named[name] for name in kept}))

    return CatalogDoor(remembered_in(ledger), read)


def remembered_in(ledger: Ledger) -> Inside:
    """What the catalogs' door is given of the ledger."""

    def turn(name: TriggerName, every: float) -> Turn:
        wait = wait_for(ledger.write(lambda batch: watches.take_turn(batch, name, every)))
        return Turn(not wait, wait)

    return Inside(
        catalog=lambda: ledger.catalog,
        turn=turn,
        seen=lambda name: ledger.read(lambda connection: watches.seen(connection, name)),
        accept=ledger.accept,
        remember=lambda name, found, gone: ledger.write(lambda batch: watches.remember(batch, name, found, gone)),
        looked=lambda name: ledger.write(lambda batch: watches.looked(batch, name)),
        put_off=lambda name, seconds: ledger.write(lambda batch: watches.put_off(batch, name, seconds)),
        keep_only=lambda names: ledger.write(lambda batch: watches.keep_only(batch, names)),
    )


def relays(ledger: Ledger, datahub: DataHub, settings: Settings) -> dict[str, Relay]:
    """Who is told of lineage: DataHub (or the embedded catalog in its place), and the receiver of OPENLINEAGE_URL."""
    said = settings.openlineage
    teller = Teller(ledger, said.namespace)
    found = {CHANNEL: Relay(ledger, CHANNEL, ToDataHub(datahub, teller, configured(said)))}
    if said.receiver:
        key = {"authorization": f"Bearer {said.api_key.reveal()}"} if said.api_key else {}
        found[URL_CHANNEL] = Relay(ledger, URL_CHANNEL, ToUrl(said.receiver, teller, key))
    return found


def noting(settings: Settings) -> Noting:
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
