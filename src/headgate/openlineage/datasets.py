"""This file is where a dataset's namespace and name become its URN."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple, Protocol

from headgate.errors import UnconvertibleEvent
from headgate.openlineage.java import scheme_of, sorted_as_java
from headgate.openlineage.options import FABRICS, Connection, Options
from headgate.openlineage.scalars import text
from headgate.openlineage.wire import NO_FACETS, Dataset, DatasetFacets, OutputStatistics, Symlinks

#: Schemes of file systems, with the platform of each. `hdfs` is none: its paths keep their slashes, its host is lost.
FILE_SYSTEMS: Final = {
    "s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "abs", "abfss": "abs", "wasb": "abs",
    "wasbs": "abs", "dbfs": "dbfs", "file": "file",
}  # fmt: skip
RENAMED: Final = {"awsathena": "athena", "sqlserver": "mssql"}
_GLUE: Final = re.compile(r"(?:arn:)?aws:glue:([^:/]+):([^:/]+)")
_TABLE: Final = "{table}"
_CACHED: Final = 500  #: characters of a dataset's names that are worth remembering


class DatasetUrn(NamedTuple):
    """A dataset's URN and its parts."""

    text: str
    platform: str  #: the bare word
    name: str
    env: str


class Aliases(Protocol):
    """What symlinks have taught: the URN a dataset has by its namespace -> the one it is to have."""

    def get(self, urn: str, /) -> DatasetUrn | None: ...
    def __setitem__(self, urn: str, alias: DatasetUrn, /) -> None: ...


class SharedAliases:
    """An alias memory that outlives one event: the last `most` symlinks. Safe from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, DatasetUrn] = OrderedDict()
        self._lock = Lock()

    def get(self, urn: str, /) -> DatasetUrn | None:
        with self._lock:
            found = self._kept.get(urn)
            if found is not None:
                self._kept.move_to_end(urn)
            return found

    def __setitem__(self, urn: str, alias: DatasetUrn, /) -> None:
        with self._lock:
            self._kept[urn] = alias
            self._kept.move_to_end(urn)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


class Found(NamedTuple):
    """A dataset of an event under its URN."""

    urn: DatasetUrn
    platform: str | None  #: of the namespace as it was sent, whatever a symlink says; None where it has no URN
    facets: DatasetFacets
    statistics: OutputStatistics | None


class Resolver:
    """Gives datasets their URNs, and remembers what their symlinks say."""

    def __init__(self, options: Options, aliases: Aliases) -> None:
        self._options = options
        self._aliases = aliases
        #: Nothing that is asked depends on more than namespace and name, so that an answer can be kept.
        self._simple = not (
            options.lower_case_dataset_urns
            or options.file_partition_regexp
            or options.connections
            or options.path_specs
        )

    def dataset(self, dataset: Dataset, what: str) -> Found | None:
        """A dataset under its URN, by its symlink where it has one; None where its namespace makes no legal URI.

        Raises:
            UnconvertibleEvent: it has no namespace or no name.
        """
        namespace, name = text(dataset.namespace), text(dataset.name)
        if namespace is None or name is None:
            missing = "namespace" if namespace is None else "name"
            raise UnconvertibleEvent(f"{what} has no {missing}; every dataset needs both")
        facets = dataset.facets or NO_FACETS
        sent = urn = self._resolved(namespace, name, namespace)
        if facets.symlinks is not None and not self._options.disable_symlink_resolution:
            urn = self._symlinked(facets.symlinks, namespace, name)
            if sent is not None and urn is not None:
                self._aliases[sent.text] = urn
        urn = self._known(urn)
        if urn is None:
            return None
        outside = dataset.outputFacets
        statistics = outside.outputStatistics if outside is not None else None
        return Found(urn, sent.platform if sent is not None else None, facets, statistics)

    def urn(self, namespace: str, name: str) -> DatasetUrn | None:
        """The URN of a dataset named without facets, as column lineage does."""
        return self._known(self._resolved(namespace, name, namespace))

    def _known(self, urn: DatasetUrn | None) -> DatasetUrn | None:
        return None if urn is None else (self._aliases.get(urn.text) or urn)

    def _symlinked(self, symlinks: Symlinks, namespace: str, name: str) -> DatasetUrn | None:
        """What the last symlink to a table says; without one what the dataset says itself."""
        target, target_name, origin = namespace, name, namespace
        for one in symlinks.identifiers or ():
            if one is None or one.type != "TABLE":
                continue
            linked, linked_name = text(one.namespace), text(one.name)
            if linked is None or linked_name is None:
                continue
            in_glue = linked.startswith(("aws:glue:", "arn:aws:glue:"))
            target, origin = ("glue" if in_glue else self._options.hive_platform_alias), linked
            target_name = table_name(linked_name)
        return self._resolved(target, target_name, origin)

    def _resolved(self, namespace: str, name: str, origin: str) -> DatasetUrn | None:
        """Resolve without the memory. `origin` is the namespace that says which connection it is."""
        options = self._options
        if self._simple and len(namespace) + len(name) <= _CACHED:
            return _simple_urn(namespace, name, options.common_dataset_platform_instance, options.fabric)
        return self.worked_out(namespace, name, origin)

    def worked_out(self, namespace: str, name: str, origin: str) -> DatasetUrn | None:
        """Resolve without any memory at all."""
        options = self._options
        if options.lower_case_dataset_urns:
            namespace, name, origin = namespace.lower(), name.lower(), origin.lower()
        if "://" in namespace:
            slash = "" if namespace.endswith("/") or name.startswith("/") else "/"
            uri = f"{namespace}{slash}{name}"
            scheme = scheme_of(uri)
            if not scheme:
                return None
            if scheme in FILE_SYSTEMS:
                return self._of_path(scheme, uri)
            platform = RENAMED.get(scheme, scheme)
        elif namespace:
            platform = namespace
            if options.file_partition_regexp and platform in FILE_SYSTEMS:
                name = self._without_partition(name)
        else:
            return None
        if not options.connections and not options.path_specs:
            return _made(platform, name, options.common_dataset_platform_instance, options.fabric)
        connection = self._connection(origin)
        specs = options.path_specs.get(platform, ())
        instance = (
            connection.platform_instance
            or next((spec.platform_instance for spec in specs if spec.platform_instance), None)
            or options.common_dataset_platform_instance
        )
        env = _fabric((connection.env, *(spec.env for spec in specs)), options.fabric)
        return _made(platform, name, instance, env)

    def _connection(self, origin: str) -> Connection:
        glue = _GLUE.search(origin)
        key = f"arn:aws:glue:{glue[1]}:{glue[2]}" if glue else origin if "://" in origin else ""
        return self._options.connections.get(key) or Connection()

    def _of_path(self, scheme: str, uri: str) -> DatasetUrn:
        options = self._options
        path, platform = uri.rstrip("/"), FILE_SYSTEMS[scheme]
        other = _made("hdfs", path, options.common_dataset_platform_instance, options.fabric)
        if not _has_one_scheme(path):
            return other
        specs = options.path_specs.get(platform, ()) if options.path_specs else ()
        envs = [spec.env for spec in specs]
        for spec in specs:
            for pattern in spec.paths:
                if (matched := matching(path, pattern)) is not None:
                    env = _fabric((spec.env, *envs), options.fabric)
                    return _made(platform, _without_scheme(matched), spec.platform_instance, env)
        if options.file_partition_regexp:
            path = self._without_partition(path)
            if not _has_one_scheme(path):
                return other
        env = _fabric(envs, options.fabric)
        return _made(platform, _without_scheme(path), options.common_dataset_platform_instance, env)

    def _without_partition(self, name: str) -> str:
        cut = re.sub(f"{self._options.file_partition_regexp}$", "", name, count=1)
        return cut.removesuffix("/")


@lru_cache(maxsize=4096)
def _simple_urn(namespace: str, name: str, instance: str | None, env: str) -> DatasetUrn | None:
    """The URN where only these four matter. The same datasets come again and again."""
    options = Options(common_dataset_platform_instance=instance, fabric=env)
    return Resolver(options, {}).worked_out(namespace, name, namespace)


def table_name(name: str) -> str:
    """A table's name in a catalog: `table/db/t` is `db.t`."""
    return name[len("table/") :].replace("/", ".") if name.startswith("table/") else name


def matching(path: str, pattern: str) -> str | None:
    """The path as far as `{table}` stands in the pattern, where `*` is any one folder; None where it does not match."""
    before, mark, _ = pattern.partition(_TABLE)
    if not mark:
        return None
    folders, there = f"{before}{_TABLE}".split("/"), path.split("/", before.count("/") + 1)
    if len(there) < len(folders):
        return None
    for wanted, found in zip(folders, there, strict=False):
        if wanted not in (found, "*", _TABLE):
            return None
    return "/".join(there[: len(folders)]) if folders[-1] == _TABLE else None


def _has_one_scheme(path: str) -> bool:
    """Whether there is just one, and something after it."""
    return path.count("://") == 1 and not path.endswith("://")


def _without_scheme(path: str) -> str:
    scheme, _, rest = path.partition("://")
    return rest if scheme == "file" else rest.removeprefix("/")


def _fabric(words: Iterable[str | None], otherwise: str) -> str:
    return next((word.upper() for word in words if word and word.upper() in FABRICS), otherwise)


def _made(platform: str, name: str, instance: str | None, env: str) -> DatasetUrn:
    if instance:
        name = f"{instance}.{name}"
    return DatasetUrn(f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name},{env})", platform, name, env)


def in_urn_order(found: Mapping[str, Found]) -> list[Found]:
    """As they are written. `found` has them by their URNs."""
    return [found[urn] for urn in sorted_as_java(found)] if len(found) > 1 else list(found.values())
