"""Fixtures that several test areas use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def require(present: bool, what: str) -> None:
    """Skip when something is missing, or fail where everything is required."""
    if present:
        return
    if os.environ.get("GENESIS_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing and GENESIS_REQUIRE_ALL=1")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    require(folder.is_dir(), "real market data (../shared/data)")
    return folder
