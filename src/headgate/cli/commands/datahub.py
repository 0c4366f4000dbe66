"""This file is where DataHub is made ready for us from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.cli import logs, session
from headgate.cli.options import AsOutput, Config
from headgate.cli.printing import Output, note, print_json, say
from headgate.errors import Unavailable

if TYPE_CHECKING:
    from headgate.datahub import GmsClient
    from headgate.settings import Settings


def bootstrap(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """Create the structured property that names a DataJob's state machine; print its URN. Harmless to repeat."""
    from headgate.datahub.bootstrap import bootstrap as make  # noqa: PLC0415 - httpx, which `--help` needs not

    settings = session.settings(config)
    logs.of_command(settings)
    client = _client(settings)
    try:
        made = make(client, settings.datahub.job_arn_property)
    finally:
        client.close()
    if output is Output.JSON:
        print_json({"urn": made.urn, "created": made.created})
        return
    say(made.urn)
    note("created" if made.created else "it was there already, and fits")


def _client(settings: Settings) -> GmsClient:
    """DataHub's; without one the embedded catalog's, in the server that runs."""
    from headgate.app import running_server  # noqa: PLC0415 - the ledger is half a second of imports
    from headgate.datahub import GmsClient, connect  # noqa: PLC0415 - see above

    if settings.datahub.configured:
        return connect(settings.datahub)
    url = running_server(settings)
    if url is None:
        raise Unavailable(
            "there is no DataHub to bootstrap: set DATAHUB_GMS_URL (and DATAHUB_GMS_TOKEN), or start `headgate serve`"
            " for the embedded catalog"
        )
    authorization = f"Bearer {settings.token.reveal()}" if settings.token else ""
    return GmsClient(url, authorization=authorization)
