"""This folder is where the example project is that `headgate init` writes.

What is in `files` are links to `examples/simple-data-hub` in the repository, and plain files in a wheel, so that each
file is there once. (A link to the whole folder would be left out of a source distribution.)
"""

from __future__ import annotations

import secrets
from importlib import resources
from pathlib import Path
from typing import Final

from headgate.errors import Conflict, Unavailable

NAME: Final = "simple-data-hub"

#: Every file of the project. What else is in the folder (state, uploaded data) was left there by someone who tried it.
FILES: Final = (
    ".gitignore",
    "README.md",
    "datasource-ingestion-recipes/glue-example.yml",
    "headgate.yaml",
    "inbox/collections-data/.gitkeep",
    "jobs/glue_create_views_dual_engine.py",
    "jobs/glue_csv_to_iceberg.py",
    "state-machines/metadata-sync-http.asl.json",
    "state-machines/metadata-sync.asl.json",
)


def read_project() -> dict[str, bytes]:
    """The files of the example project, by their path in it."""
    folder = resources.files(__name__) / "files"
    return {name: folder.joinpath(*_packaged(name).split("/")).read_bytes() for name in FILES}


def _packaged(name: str) -> str:
    """What a file is called in this package, where its own name would be taken for something else.

    Git reads no .gitignore that is a link and complains about one; a Glue script is no module of ours, to be checked
    or compiled with the others.
    """
    if name.endswith(".py"):
        return f"{name}.txt"
    return "gitignore" if name == ".gitignore" else name


def write_project(directory: Path) -> list[Path]:
    """Write the example project into a folder, which is made when it is not there.

    A file that is there already with the same content is left alone, so writing twice is harmless, and so is going on
    after a crash: each file appears whole or not at all.

    Returns:
        The files that were written now, in order of their names.

    Raises:
        Conflict: files of these names are there with other content; they are named, and nothing was written.
        Unavailable: the folder can not be written to.
    """
    files = {directory.joinpath(*name.split("/")): content for name, content in read_project().items()}
    try:
        missing = _missing(directory, files)
        for path in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, files[path])
    except OSError as error:
        reason = error.strerror or error
        raise Unavailable(f"the project can not be written to {directory}: {reason} ({error.filename})") from error
    return missing


def _missing(directory: Path, files: dict[Path, bytes]) -> list[Path]:
    """The files that are not there yet. Raises Conflict when something else is in the place of one."""
    missing, differing = list[Path](), list[Path]()
    for path, content in files.items():
        in_the_way = next((folder for folder in path.parents if folder.exists() and not folder.is_dir()), None)
        if in_the_way is not None:
            differing.append(in_the_way)
        elif not (path.exists() or path.is_symlink()):
            missing.append(path)
        elif not path.is_file() or path.read_bytes() != content:
            differing.append(path)
    if differing:
        names = ", ".join(str(path) for path in dict.fromkeys(differing))
        raise Conflict(
            f"{directory} has other files where the project's would be: {names}; nothing was written."
            " Choose another folder, or move them away"
        )
    return missing


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
