"""This file is where recipes get another DataHub than the installed one: built once with uv, shared, then offline.

One folder below `<home>/environments` for each set of requirements and interpreter, named by their digest. It is built
beside its place and moved there, so that one which is there is whole. Whoever uses it says so, and what nobody has used
for a month is removed when the next one is built.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

import headgate
from headgate.errors import EngineRefused, EngineUnavailable, Invalid

UNUSED: Final = 30 * 86400.0  #: seconds after which one is removed
_ABANDONED: Final = 86400.0  #: seconds after which a half-built one is nobody's any more
_USED: Final = "used"
#: Words for the installed one. DataHub means the newest by `latest`; what is newest must not change under a job.
INSTALLED: Final = frozenset({"", "installed", "native", "bundled", "latest", "NO_ACRYL_DATAHUB"})
_VERSION: Final = re.compile(r"\d+(\.\w+)*([+!-][\w.]+)*")
_URL: Final = re.compile(r"(https?|file)://\S+\.(whl|tar\.gz|zip)(#\S*)?")
_PLUGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
#: Plugins whose extra of acryl-datahub has another name.
_EXTRAS: Final[Mapping[str, str]] = {"headgate-glue": "glue", "console": "", "file": "", "csv-enricher": ""}
#: What uv may be told by variables: where packages come from, and how they are got there.
_ALLOWED: Final = (
    "UV_",
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
)


def requirements_of(
    version: str,
    *,
    types: Mapping[str, Sequence[str]],
    plugins: Sequence[str] = (),
    requirements: Sequence[str] = (),
    installed: str,
) -> list[str]:
    """Return what has to be installed for a recipe, as pip takes it; nothing when what is installed will do.

    Args:
        version: of acryl-datahub: a number, a wheel's URL, or a word for the installed one.
        types: the plugins the recipe names itself.
        plugins: more plugins of acryl-datahub by name, and packages as pip takes them.
        requirements: more packages.
        installed: the version of acryl-datahub that is here.

    Raises:
        Invalid: one of them cannot be installed, as it is no name of a version or package.
    """
    packages = [*(one for one in plugins if not _PLUGIN.fullmatch(one)), *requirements]
    wanted = [one for one in plugins if _PLUGIN.fullmatch(one)]
    if (version in INSTALLED or version == installed) and not packages and not wanted:
        return []
    if bad := next((one for one in packages if not one.strip() or one.lstrip().startswith("-") or "\n" in one), None):
        raise Invalid(f"{bad!r} is no requirement; write it as pip takes it, without options")
    named = {_EXTRAS.get(one, one) for names in types.values() for one in names if _PLUGIN.fullmatch(one)}
    extras = ",".join(sorted(({*wanted} | named) - {""}))
    package = f"acryl-datahub[{extras}]" if extras else "acryl-datahub"
    if _URL.fullmatch(version):
        return [f"{package} @ {version}", *packages]
    number = installed if version in INSTALLED else version
    if not _VERSION.fullmatch(number):
        raise Invalid(
            f"version: expected a version of acryl-datahub such as 1.7.0.17, or a wheel's URL; found {number!r}"
        )
    return [f"{package}=={number}", *packages]


class Environments:
    """The folders. Safe from any thread and process."""

    def __init__(self, folder: Path, *, python: str = sys.executable) -> None:
        self._folder = folder
        self._python = python

    def find(self, requirements: Sequence[str]) -> str | None:
        """The interpreter that has them; None: it is not built yet. Finding it counts as using it."""
        place = self.place(requirements)
        python = place / "bin" / "python"
        if not python.exists():
            return None
        with contextlib.suppress(OSError):  # a read-only home has what was built before
            (place / _USED).touch()
        return str(python)

    def source(self) -> str:
        """A folder with our own package and nothing else, for interpreters that have not got it."""
        package = Path(headgate.__file__).parent
        folder = self._folder / f".source-{hashlib.sha256(str(package).encode()).hexdigest()[:12]}"
        link = folder / "headgate"
        if not link.is_symlink():
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                link.symlink_to(package, target_is_directory=True)
        return str(folder)

    def build(self, requirements: Sequence[str], environ: Mapping[str, str], *, say: Callable[[str], None]) -> str:
        """Build it, unless somebody else does meanwhile; answers its interpreter.

        Raises:
            EngineRefused: these requirements cannot be had together, or there is no uv. EngineUnavailable: it did not
                work now.
        """
        place = self.place(requirements)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone(place.name, say):
            if found := self.find(requirements):
                return found
            half = place.with_name(f".{place.name}.{os.getpid()}")
            for left in self._folder.glob(f".{place.name}.*/"):  # its builder was killed: nobody else builds it now
                shutil.rmtree(left, ignore_errors=True)
            try:
                self._install(half, requirements, environ, say)
                (half / "requirements.txt").write_text("".join(f"{one}\n" for one in requirements), "utf-8")
                (half / _USED).touch()
                half.rename(place)
            finally:
                shutil.rmtree(half, ignore_errors=True)
        self.clean(UNUSED, say=say)
        return str(place / "bin" / "python")

    def clean(self, unused: float, *, say: Callable[[str], None]) -> list[str]:
        """Remove those that nobody has used for so many seconds, and what was left half-built; answers their names."""
        removed: list[str] = []
        for place in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if not place.is_dir() or place.name.startswith(".source-"):
                continue
            half = place.name.startswith(".")
            if _age(place if half else place / _USED) < (_ABANDONED if half else unused):
                continue
            gone = place.with_name(f".gone-{place.name}.{os.getpid()}")
            with contextlib.suppress(OSError):  # moved first: nobody starts in one that is half removed
                place.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                removed.append(place.name)
                say(f"removed the environment {place.name}, unused for {unused / 86400:g} days")
        return removed

    def place(self, requirements: Sequence[str]) -> Path:
        """The folder for these requirements, built or not."""
        built_for = [sysconfig.get_platform(), sys.version.split()[0], self._python]
        text = "\n".join([*built_for, *sorted(requirements)])
        return self._folder / hashlib.sha256(text.encode()).hexdigest()[:24]

    @contextlib.contextmanager
    def _alone(self, name: str, say: Callable[[str], None]) -> Generator[None]:
        """Hold the right to build it; it falls with this process."""
        with (self._folder / f".{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting: another run is installing the same")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _install(
        self, place: Path, requirements: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        uv = find_uv(environ)
        say(f"installing {', '.join(requirements)}; this happens once")
        _run([uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", self._python, str(place)], environ)
        python = str(place / "bin" / "python")
        install = [uv, "pip", "install", "--python", python]
        _run([*install, "--no-deps", requirements[0]], environ)
        tested = next(iter(place.glob("lib/python*/site-packages/datahub/**/constraints.txt")), None)
        _run([*install, *(["--constraint", str(tested)] if tested else []), requirements[0]], environ)
        if requirements[1:]:  # what is asked for beside it need not be what DataHub was tested with
            _run([*install, *requirements[1:]], environ)


def uv_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the server's environment uv is given."""
    return {name: value for name, value in environ.items() if name.upper().startswith(_ALLOWED)}


def find_uv(environ: Mapping[str, str]) -> str:
    """Raises EngineRefused: there is none."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv", path=environ.get("PATH"))
    if found is None:
        raise EngineRefused("a version of DataHub of its own is installed with uv, and there is no uv: pip install uv")
    return found


def _run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run uv, its words going to our own log, too. It has limits of its own for how long the network may take."""
    done = subprocess.run(  # noqa: S603 -- uv, with requirements that are none of its options
        command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    if done.returncode == 0:
        return
    words = " ".join(done.stdout.split())[-1500:]
    if "No solution found" in done.stdout or "was not found in the" in done.stdout:
        raise EngineRefused(f"DataHub's packages cannot be had: {words}")
    raise EngineUnavailable(f"DataHub's packages could not be installed: {words}")


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
