"""This file is where `secrets:` is read: providers in order, their options, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.settings import InvalidSettings, Settings, describe, load
from headgate.settings.record import ProviderKind, SecretProvider

DATAHUB = "datahub: {gms_url: http://gms:8080}\n"


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    (folder / "headgate.yaml").write_text(text, "utf-8")
    return load(folder, environ or {})


def problem(folder: Path, text: str) -> str:
    with pytest.raises(InvalidSettings) as told:
        read(folder, text)
    return str(told.value)


def test_without_a_word_there_are_our_store_and_the_environment(tmp_path: Path) -> None:
    """And DataHub where there is one; the environment for our own recipes alone."""
    usual = [(ProviderKind.STORE, False), (ProviderKind.ENV, True)]

    assert [(one.kind, one.own_only) for one in read(tmp_path, "").secrets.providers] == usual
    with_datahub = read(tmp_path, DATAHUB).secrets.providers
    assert [(one.kind, one.own_only) for one in with_datahub] == [*usual, (ProviderKind.DATAHUB, False)]
    assert read(tmp_path, DATAHUB + "secrets: {providers: []}").secrets.providers == ()


def test_all_providers_in_their_order(tmp_path: Path) -> None:
    """As words, with options, relative to the file; and the key's file."""
    found = read(
        tmp_path,
        DATAHUB
        + """
secrets:
  key_file: keys/ours
  providers:
    - files: secrets
    - env: [DB_*, TOKEN]
    - env: ONE
    - secrets_manager: {prefix: prod/db#, region: eu-west-1, names: {PW: "other#password"}}
    - ssm: {role_arn: "arn:aws:iam::123456789012:role/reader", external_id: x}
    - ssm
    - files
    - env
    - datahub
    - store
""",
    ).secrets

    assert found.key_file == tmp_path / "keys/ours"
    shown = {one["name"]: one["value"] for one in describe(load(tmp_path, {}))}
    assert shown["secrets.providers"] == [one.kind.value for one in found.providers]
    assert list(found.providers) == [
        SecretProvider(kind=ProviderKind.FILES, folder=tmp_path / "secrets"),
        SecretProvider(kind=ProviderKind.ENV, allow=("DB_*", "TOKEN")),
        SecretProvider(kind=ProviderKind.ENV, allow=("ONE",)),
        SecretProvider(
            kind=ProviderKind.SECRETS_MANAGER, prefix="prod/db#", region="eu-west-1", names={"PW": "other#password"}
        ),
        SecretProvider(kind=ProviderKind.SSM, role_arn="arn:aws:iam::123456789012:role/reader", external_id="x"),
        SecretProvider(kind=ProviderKind.SSM),
        SecretProvider(kind=ProviderKind.FILES, folder=Path("/run/secrets")),
        SecretProvider(kind=ProviderKind.ENV, own_only=True),
        SecretProvider(kind=ProviderKind.DATAHUB),
        SecretProvider(kind=ProviderKind.STORE),
    ]


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ("[stoer]", "headgate.yaml:2:15: secrets.providers[0]: expected one of store, env"),
        ("[stoer]", "did you mean 'store'?"),
        ("[{env: [A], files: /x}]", "expected one provider, found env, files"),
        ("[{vault: x}]", "there is no key 'vault'"),
        ("[{ssm: {prefx: x}}]", "did you mean 'prefix'?"),
        ("[{ssm: {names: {a-b: x}}}]", "expected a name of letters"),
        ("[{ssm: {names: {A: }}}]", "secrets.providers[0].ssm.names.A"),
        ("[{env: ['A B']}]", "expected a variable's name"),
        ("[{store: {a: b}}]", "it has no options"),
        ("[datahub]", "there is no DataHub to ask"),
        ("[[store]]", "expected one of store"),
        ("{store: 1}", "expected a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, providers: str, said: str) -> None:
    """Each with what was expected."""
    assert said in problem(tmp_path, f"secrets:\n  providers: {providers}\n")


def test_the_variable_wins_over_the_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is relative to where we are, as other variables."""
    monkeypatch.chdir(tmp_path)
    found = read(tmp_path, "secrets: {key_file: a}", {"HEADGATE_SECRETS_KEY_FILE": "b"})

    assert found.secrets.key_file == tmp_path / "b"
    assert read(tmp_path, "").secrets.key_file is None
