"""This file is where `secrets:` is read: who is asked for the values that recipes name, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headgate.settings.datasets import REGION as AN_AWS_REGION
from headgate.settings.kinds import ANY_TEXT, PATH, TEXT, pattern
from headgate.settings.nodes import Node, Table, Text
from headgate.settings.reading import Key, Named, Part, Section, did_you_mean, found
from headgate.settings.record import ProviderKind, SecretProvider
from headgate.settings.sqs import ROLE_ARN as A_ROLE

SECRETS: Final = Part(
    name="secrets",
    expected="a mapping of providers and key_file",
    description="Where the values are that recipes name as `${NAME}`.",
)
KEY_FILE: Final = Key(
    name="secrets.key_file",
    kind=PATH,
    default="",
    shown="`secrets.key` in the home, made when it is first needed",
    variables=("HEADGATE_SECRETS_KEY_FILE",),
    description="A file with the key our own secrets are sealed with. `HEADGATE_SECRETS_KEY` wins over it.",
)
PROVIDERS: Final = Part(
    name="providers",
    expected="a list of store, env, files, secrets_manager, ssm and datahub",
    description="Who is asked for a recipe's `${NAME}`, the first that has it wins; by default our own store, the"
    " environment (for recipes of this project), and DataHub where it is configured.",
)
STORE: Final = Part(name="store", expected="nothing", description="What `headgate secrets set` keeps.")
ENV: Final = Part(
    name="env",
    expected="a list of variables, where * stands for anything",
    description="Variables of the server's environment that recipes may name; none of `HEADGATE_*`. Without a list:"
    " all others, for recipes of this project only.",
)
FILES: Final = Key(
    name="files",
    kind=PATH,
    default="/run/secrets",
    description="A folder with one file a secret, as Docker and Kubernetes mount them.",
)
SECRETS_MANAGER: Final = Part(
    name="secrets_manager",
    expected="a mapping of prefix, names, region, role_arn and external_id",
    description="AWS Secrets Manager. `id#key` is a member of a JSON object.",
)
SSM: Final = Part(
    name="ssm",
    expected="a mapping of prefix, names, region, role_arn and external_id",
    description="SecureStrings of AWS's Parameter Store.",
)
OF_DATAHUB: Final = Part(
    name="datahub",
    expected="nothing",
    description="DataHub's own secrets; it tells them to a system client alone (`DATAHUB_SYSTEM_CLIENT_ID`).",
)
PROVIDER: Final[Sequence[Named]] = (STORE, ENV, FILES, SECRETS_MANAGER, SSM, OF_DATAHUB)

PREFIX: Final = Key(
    name="prefix",
    kind=ANY_TEXT,
    default="",
    description="What stands before the name at AWS: `prod/`, or `prod/database#` for the members of one secret.",
)
NAMES: Final = Part(
    name="names",
    expected="a mapping of names to AWS's ids",
    description="What is called otherwise at AWS: `{DB_PASSWORD: prod/database#password}`. Without a prefix only these"
    " are asked for.",
)
REGION: Final = Key(
    name="region",
    kind=AN_AWS_REGION.kind,
    default="",
    shown="`AWS_REGION`",
    description="The AWS region they are in.",
)
ROLE_ARN: Final = Key(name="role_arn", kind=A_ROLE.kind, default="", description="A role to assume for reading them.")
EXTERNAL_ID: Final = Key(
    name="external_id", kind=ANY_TEXT, default="", description="The external id the role's trust policy asks for."
)
OF_AWS: Final[Sequence[Named]] = (PREFIX, NAMES, REGION, ROLE_ARN, EXTERNAL_ID)

SCALARS: Final[Sequence[Key[Any]]] = (KEY_FILE,)
PARTS: Final[Sequence[Part]] = (PROVIDERS,)
#: The environment variable with the key itself; it stands for no key of the file.
KEY_VARIABLE: Final = (
    "HEADGATE_SECRETS_KEY",
    "The key our own secrets are sealed with: 32 bytes in base64 or hex. Of several, with commas between, the first"
    " seals and all open.",
)

_PATTERN: Final = pattern("a variable's name, where * stands for anything", r"[A-Za-z_*?][A-Za-z0-9_*?]*")
_NAME: Final = pattern("a name of letters, digits and underscores", r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def read_providers(section: Section, project: Path, *, with_datahub: bool) -> tuple[SecretProvider, ...]:
    """Read `secrets.providers`."""
    if not section.has(PROVIDERS):
        usual = [SecretProvider(kind=ProviderKind.STORE), SecretProvider(kind=ProviderKind.ENV, own_only=True)]
        usual += [SecretProvider(kind=ProviderKind.DATAHUB)] if with_datahub else []
        return _noted(section, usual, "default")
    providers: list[SecretProvider] = []
    for index, node in enumerate(section.items(PROVIDERS)):
        provider = _provider(section, f"secrets.providers[{index}]", node, project)
        if provider is None:
            continue
        if provider.kind is ProviderKind.DATAHUB and not with_datahub:
            section.report.problem(node.place, "secrets.providers: there is no DataHub to ask; set datahub.gms_url")
        providers.append(provider)
    return _noted(section, providers, str(section.place_of(PROVIDERS)))


def _noted(section: Section, providers: Sequence[SecretProvider], source: str) -> tuple[SecretProvider, ...]:
    """For `headgate config show`."""
    section.report.note(section.path(PROVIDERS.name), [one.kind.value for one in providers], source)
    return tuple(providers)


def _provider(owner: Section, name: str, node: Node, project: Path) -> SecretProvider | None:
    """One entry: a word, or a mapping of one word to its options."""
    words = {one.name: one for one in PROVIDER}
    if isinstance(node, Text) and not node.null and not node.broken:
        if node.text not in words:
            near = did_you_mean(node.text, words)
            owner.report.problem(node.place, f"{name}: expected one of {', '.join(words)}, found {found(node)}{near}")
            return None
        node = Table(node.place, {}, {node.text: node.place})
    if not isinstance(node, Table):
        owner.report.unexpected(node, name, f"one of {', '.join(words)}")
        return None
    section = Section(node, name, owner.report)
    section.only(PROVIDER)
    given = [one for one in words if one in node.keys]
    if len(given) != 1:
        if len(given) > 1:
            owner.report.problem(node.place, f"{name}: expected one provider, found {', '.join(given)}")
        return None
    return _made(section, ProviderKind(given[0]), project)


def _made(section: Section, kind: ProviderKind, project: Path) -> SecretProvider:
    match kind:
        case ProviderKind.ENV:
            allow = section.texts(ENV, _PATTERN, alone=True) if section.filled(ENV) else ()
            return SecretProvider(kind=kind, allow=allow or ("*",), own_only=not allow)
        case ProviderKind.FILES:
            folder = section.get(FILES) if FILES.name in section.node.entries else FILES.default
            return SecretProvider(kind=kind, folder=project / Path(folder).expanduser())
        case ProviderKind.SECRETS_MANAGER | ProviderKind.SSM:
            part = SECRETS_MANAGER if kind is ProviderKind.SECRETS_MANAGER else SSM
            options = section.section_or_empty(part)
            options.only(OF_AWS)
            return SecretProvider(
                kind=kind,
                prefix=options.get(PREFIX),
                names=_names(options),
                region=options.get(REGION),
                role_arn=options.get(ROLE_ARN),
                external_id=options.get(EXTERNAL_ID),
            )
        case ProviderKind.STORE | ProviderKind.DATAHUB:
            part = STORE if kind is ProviderKind.STORE else OF_DATAHUB
            if section.filled(part):
                section.report.problem(section.place_of(part), f"{section.path(part.name)}: it has no options")
            return SecretProvider(kind=kind)


def _names(options: Section) -> Mapping[str, str]:
    section = options.section_or_empty(NAMES)
    names: dict[str, str] = {}
    for name, node in section.node.entries.items():
        key = section.value(Text(section.node.keys[name], name), _NAME, section.name)
        value = section.value(node, TEXT, section.path(name))
        if key is not None and value is not None:
            names[name] = value[0]
    return names
