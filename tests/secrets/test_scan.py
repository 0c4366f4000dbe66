"""This file is where a run that tells its secrets to everybody is looked for them, everywhere (issue 5, done-when 4).

The server is the real command, the recipe runs with DataHub's own SDK, and its source does all a source can do wrong.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cli.world import Project, address, noted, serving, until
from fakes.gms import CLIENT_ID, FakeGms
from secret_forms import held, in_processes, on_disk, written
from services.moto import REGION, moto

from headgate.aws.clients import load

#: So that this run's secrets are no other's on the same machine.
MARK = secrets.token_hex(4)
#: From our own store, a file, DataHub, the server's environment, and AWS's parameters, one of an older version.
SECRETS = {
    "OF_STORE": 'l3aky/s3cr3t+of é"the\\store&=' + MARK,
    "OF_FILES": "tok3n-of-the-files-" + MARK,
    "OF_DATAHUB": "k3y/of:datahub'tis" + MARK,
    "OF_ENV_PASSWORD": MARK + "p4ss w0rd/of+the:environment",
    "OF_SSM": "p4rameter/of=the+store-" + MARK,
    "OF_SSM_OLD": "an older+p4rameter/" + MARK,
}
#: What the server and the recipe need to be let in elsewhere.
OURS, SINKS, CLIENTS = f"t0ken-of-operators-{MARK}", f"t0ken-of-the-sink-{MARK}", f"cl1ent-{MARK}"
AWS, SESSION = f"aws/s3cret+key-{MARK}", f"aws/sess1on+token=={MARK}"
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
TOKENS = {"ours": OURS, "of the sink": SINKS, "of the system client": CLIENTS, "the key": KEY,
          "AWS's key": AWS, "AWS's session": SESSION}  # fmt: skip
LET_IN = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
BEARER = {"Authorization": f"Bearer {OURS}"}
API = "/headgate/api/v1"
CONFIGURATION = """\
jobs:
  leaky: {engine: recipe, recipe: leaky.json, max_retries: 0}
  missing: {engine: recipe, recipe: missing.json, max_retries: 3}
secrets:
  providers:
    - store
    - {files: mounted}
    - {env: [OF_ENV_*]}
    - {ssm: {names: {OF_SSM: /prod/it, OF_SSM_OLD: "/prod/it:1"}, region: us-east-1}}
    - datahub
"""
RECIPE = {
    "source": {
        "type": "leaky_source.Leaky",
        "config": {
            "password": "${OF_STORE}",
            "uri": "postgresql://me:${OF_ENV_PASSWORD}@host/db",
            "headers": {"Authorization": "Bearer ${OF_FILES}", "x-key": "${OF_DATAHUB}"},
            "parameters": ["${OF_SSM}", "${OF_SSM_OLD}"],
            "aws_region": "us-east-1",
        },
    },
    "sink": {"type": "datahub-rest", "config": {"token": "${OF_ENV_TOKEN}", "mode": "SYNC", "endpoint": "RESTLI"}},
}
#: Tells all it knows in every form, in pieces, to its log, its report, its children and its end.
SOURCE = """
import base64, json, os, subprocess, sys, time
from pathlib import Path
from urllib.parse import quote, quote_plus
import boto3
from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.ingestion.api.source import Source, SourceReport
from datahub.metadata.schema_classes import DatasetPropertiesClass

HERE = Path(__file__).parent

class Leaky(Source):
    def __init__(self, config, ctx):
        super().__init__(ctx)
        self.config = config
        self.report = SourceReport()

    @classmethod
    def create(cls, config, ctx):
        return cls(config, ctx)

    def get_report(self):
        return self.report

    def get_workunits_internal(self):
        secrets = [
            self.config["password"],
            self.config["uri"].partition("me:")[2].rpartition("@")[0],
            self.config["headers"]["Authorization"].partition(" ")[2],
            self.config["headers"]["x-key"],
            *self.config["parameters"],
        ]
        found = boto3.Session().get_credentials()  # as DataHub's sources for AWS come to them
        secrets += [found.secret_key, found.token]
        for secret in secrets:
            forms = [secret, repr(secret), quote(secret), quote_plus(secret), json.dumps(secret),
                     json.dumps(json.dumps({"inner": secret})), base64.b64encode(secret.encode()).decode(),
                     base64.urlsafe_b64encode(b"user:" + secret.encode()).decode()]
            for form in forms:
                print("told:", form, flush=True)
                for character in form:  # in pieces
                    os.write(2, character.encode())
                os.write(2, b"\\n")
            self.report.warning(title="told", message="a warning with " + secret, context=json.dumps(self.config))
        subprocess.run([sys.executable, "-c", "import sys; print('child says', sys.stdin.read())"],
                       input=secrets[0], text=True, check=True)
        for name in ("t", "u"):  # the first is let go when the second comes
            yield MetadataChangeProposalWrapper(
                entityUrn=f"urn:li:dataset:(urn:li:dataPlatform:hive,db.{name},PROD)",
                aspect=DatasetPropertiesClass(name=name, description="harmless"),
            ).as_workunit()
        # a forked process shows no environment of its own, but what it starts does, and more so with a copy of it
        wait = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        lasting = [subprocess.Popen(wait, stdin=subprocess.PIPE, env=environ) for environ in (None, {**os.environ})]
        (HERE / "begun").touch()
        while not (HERE / "go-on").exists():
            time.sleep(0.02)
        for one in lasting:
            one.communicate()
        print("still here", flush=True)
        raise RuntimeError("cannot log in with " + json.dumps(self.config))
"""


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory, gms: FakeGms, parameters: str) -> Iterator[Project]:
    """A server of a project whose recipe leaks, before a DataHub. The test itself leaves no secret on disk."""
    gms.aspects.put("urn:li:dataHubSecret:OF_DATAHUB", "dataHubSecretValue",
                    {"name": "OF_DATAHUB", "value": SECRETS["OF_DATAHUB"]})  # fmt: skip
    project = Project(tmp_path_factory.mktemp("leaky"), CONFIGURATION)
    recipe: Any = json.loads(json.dumps(RECIPE))
    recipe["sink"]["config"]["server"] = gms.url
    (project.folder / "leaky.json").write_text(json.dumps(recipe), "utf-8")
    (project.folder / "missing.json").write_text(json.dumps(recipe).replace("OF_FILES", "NOT_THERE"), "utf-8")
    (project.folder / "leaky_source.py").write_text(SOURCE, "utf-8")
    (project.folder / "mounted").mkdir()
    (project.folder / "mounted" / "OF_FILES").write_text(SECRETS["OF_FILES"] + "\n")
    environ = {
        "DATAHUB_GMS_URL": gms.url, "DATAHUB_SYSTEM_CLIENT_ID": CLIENT_ID, "DATAHUB_SYSTEM_CLIENT_SECRET": CLIENTS,
        "OF_ENV_PASSWORD": SECRETS["OF_ENV_PASSWORD"], "OF_ENV_TOKEN": SINKS, "HEADGATE_TOKEN": OURS,
        "HEADGATE_SECRETS_KEY": KEY, "AWS_ENDPOINT_URL": parameters, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": AWS, "AWS_SESSION_TOKEN": SESSION, "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with serving(project, env=environ):
        url = f"{address(project)}{API}/secrets/OF_STORE"
        kept = httpx.put(url, headers=BEARER, json={"value": SECRETS["OF_STORE"]}, timeout=20, trust_env=False)
        assert kept.is_success, kept.text
        yield project


@pytest.fixture(scope="module")
def parameters() -> Iterator[str]:
    """The URL of an AWS that has a parameter in two versions."""
    with moto() as url:
        store: Any = load()[0].Session(**LET_IN, region_name=REGION).client("ssm", endpoint_url=url)
        for value in (SECRETS["OF_SSM_OLD"], SECRETS["OF_SSM"]):
            store.put_parameter(Name="/prod/it", Value=value, Type="SecureString", Overwrite=True)
        store.close()
        yield url


@pytest.fixture(scope="module")
def gms() -> Iterator[FakeGms]:
    """A DataHub that knows the tokens of this run alone."""
    with pytest.MonkeyPatch.context() as patched, FakeGms() as made:
        patched.setattr("fakes.gms.CLIENT_SECRET", CLIENTS)
        made.add_user(SINKS, "urn:li:corpuser:sink")
        yield made


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """In every encoding, in files, arguments and environments: a search that finds nothing proves nothing."""
    secret = SECRETS["OF_STORE"]
    for number, form in enumerate(written(secret)):
        (tmp_path / f"{number}").write_text(f"x{form}y", "utf-8")
    assert len(on_disk({"it": secret}, tmp_path)) == len(written(secret))
    wait = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen([*wait, secret], stdin=subprocess.PIPE) as argued,
        subprocess.Popen(wait, stdin=subprocess.PIPE, env={"X": quote(secret)}) as given,
    ):
        expected = [f"cmdline of {argued.pid} holds it", f"environ of {given.pid} holds it"]
        until(lambda: set(in_processes({"it": secret})) == set(expected), "both are found")
        for one in (argued, given):
            one.communicate()


def test_no_secret_of_a_run_is_left_anywhere(leaky: Project, gms: FakeGms) -> None:
    """Disk, arguments and environments, logs, ledger, API and what DataHub was told: none in any encoding."""
    with httpx.Client(base_url=address(leaky), headers=BEARER, timeout=20) as client:
        run = client.post(f"{API}/runs", json={"job": "leaky"}).json()["id"]
        until(lambda: (leaky.folder / "begun").exists() or ended(client, run), "the source runs")
        seen = [one for one in in_processes({**SECRETS, **TOKENS}) if not one.startswith(f"environ of {noted(leaky)} ")]
        (leaky.folder / "go-on").touch()
        until(lambda: ended(client, run), "the run ends")
        shown, log = answers(client, run)
    (leaky.folder / "mounted" / "OF_FILES").unlink()  # where it came from

    assert json.loads(shown["run"])["state"] == "FAILED", log
    for text in ("told: ****", "child says ****", "still here", "RuntimeError: cannot log in with"):
        assert text in log, text
    told = b"".join(json.dumps([one.path, one.query, one.body]).encode() for one in gms.requests)
    assert b"harmless" in told, log
    for text in (*SECRETS.values(), *TOKENS.values()):
        assert held(text, log) == []
        assert [name for name, page in shown.items() if held(text, page)] == []
        assert held(text, told) == []
    assert seen == []
    assert on_disk({**SECRETS, **TOKENS}, leaky.folder) == []


def test_a_missing_secret_fails_the_run_by_name(leaky: Project) -> None:
    """Before it starts, once, with every place that was looked at; and what the others have is not told."""
    with httpx.Client(base_url=address(leaky), headers=BEARER, timeout=20) as client:
        run = client.post(f"{API}/runs", json={"job": "missing"}).json()["id"]
        until(lambda: ended(client, run), "the run ends")
        found = client.get(f"{API}/runs/{run}").json()

    assert (found["state"], found["detail"], found["attempt"]) == ("FAILED", "secret_missing", 0)
    assert "there is no value for" in found["error"]
    for text in ("NOT_THERE", "our own store", "mounted/NOT_THERE", "the environment", "DataHub's secrets"):
        assert text in found["error"], text
    assert [text for text in SECRETS.values() if held(text, json.dumps(found))] == []


def ended(client: httpx.Client, run: str) -> bool:
    return client.get(f"{API}/runs/{run}").json()["state"] in ("FAILED", "SUCCEEDED", "ERROR", "TIMEOUT")


def answers(client: httpx.Client, run: str) -> tuple[dict[str, str], str]:
    """What everybody may ask, by name; and the run's log."""
    paths = {
        "run": f"{API}/runs/{run}", "runs": f"{API}/runs", "attempts": f"{API}/runs/{run}/attempts",
        "jobs": f"{API}/jobs", "events": f"{API}/events", "decisions": f"{API}/decisions", "audit": f"{API}/audit",
        "secrets": f"{API}/secrets", "plan": f"{API}/plan", "metrics": "/metrics", "ready": "/readyz",
        "console": "/headgate/", "page": f"/headgate/runs/{run}",
    }  # fmt: skip
    found: dict[str, str] = {}
    for name, path in paths.items():
        answer = client.get(path)
        assert answer.is_success, (name, answer.text)
        found[name] = answer.text
    log, offset, complete = "", 0, False
    while not complete:
        part = client.get(f"{API}/runs/{run}/log", params={"offset": offset}).json()
        log, offset, complete = log + part["text"], part["next"], part["complete"]
    return found, log
