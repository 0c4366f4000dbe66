"""This file is where it is tested that missing credentials are seen without asking anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.aws.credentials import could_be_found

NOWHERE = Path("/nonexistent/vendor")


@pytest.mark.parametrize(
    "name",
    ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
)
def test_a_variable_is_a_place(name: str) -> None:
    """Each variable of the chain counts; an empty one does not."""
    assert could_be_found({name: "x"}, vendor=NOWHERE)
    assert not could_be_found({name: ""}, vendor=NOWHERE)


def test_a_file_is_a_place(tmp_path: Path) -> None:
    """The files under ~/.aws, or those that are named instead."""
    assert not could_be_found({"HOME": str(tmp_path)}, vendor=NOWHERE)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]", "utf-8")

    assert could_be_found({"HOME": str(tmp_path)}, vendor=NOWHERE)
    assert not could_be_found({"HOME": str(tmp_path), "AWS_CONFIG_FILE": "/nonexistent"}, vendor=NOWHERE)


def test_a_machine_of_amazons_may_have_a_role(tmp_path: Path) -> None:
    """Unless asking it is turned off; another maker's machine has none."""
    vendor = tmp_path / "vendor"
    vendor.write_text("Amazon EC2\n", "utf-8")

    assert could_be_found({}, vendor=vendor)
    assert not could_be_found({"AWS_EC2_METADATA_DISABLED": "true"}, vendor=vendor)
    vendor.write_text("QEMU\n", "utf-8")
    assert not could_be_found({}, vendor=vendor)
