"""This file is where wheels are written, and uv is left with a folder of them and nothing else of the world."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path


def wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], info: Mapping[str, str] | None = None
) -> None:
    """Write a wheel, which is a zip file with a few lines about itself; `info` has more of these, by file."""
    about = f"{name}-{version}.dist-info"
    whole = {
        **files,
        **{f"{about}/{file}": text for file, text in (info or {}).items()},
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: old\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*whole, f"{about}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**whole, f"{about}/RECORD": record}.items():
            archive.writestr(path, text)


def only(folder: Path, cache: Path) -> dict[str, str]:
    """An environment in which uv has this folder of wheels and nothing else."""
    return {
        "PATH": os.environ["PATH"],
        "UV_FIND_LINKS": str(folder),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(cache),
        "UV_LINK_MODE": "copy",
        "UV_NO_CONFIG": "1",
    }
