"""One small study that the tests of validations copy and judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.evidence.small_study import one_version, small_config, small_study, write_market


@pytest.fixture(scope="module")
def settled_code() -> Iterator[None]:
    """The code of a module's tests has one hash, even while somebody edits it."""
    with one_version():
        yield


@pytest.fixture(scope="module")
def bred(tmp_path_factory: pytest.TempPathFactory, settled_code: None) -> Path:
    """Workspace with a finished study ``base``; not to be written to."""
    home = tmp_path_factory.mktemp("bred")
    symbols = write_market(home)
    small_study(small_config(symbols), home, "base")
    return home
