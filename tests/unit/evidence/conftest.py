"""One small study that the tests of this folder share, and copies of it to work in."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.evidence import dossier_checks
from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import GatesFile, parse_gates
from tests.unit.evidence.judged_homes import TEXT
from tests.unit.evidence.small_study import (
    campaign_of,
    one_version,
    small_config,
    small_study,
    write_market,
)


@pytest.fixture(scope="session")
def settled_code() -> Iterator[None]:
    """The code of these tests has one hash, even while somebody edits it."""
    with one_version():
        yield


@pytest.fixture(scope="session")
def bred(tmp_path_factory: pytest.TempPathFactory, settled_code: None) -> Path:
    """Workspace with a finished study ``base``; not to be written to."""
    home = tmp_path_factory.mktemp("bred")
    symbols = write_market(home)
    small_study(small_config(symbols), home, "base")
    return home


@pytest.fixture
def home(bred: Path, tmp_path: Path) -> Path:
    """A copy of the workspace that a test may change."""
    return shutil.copytree(bred, tmp_path / "home")


@pytest.fixture(scope="session")
def read_campaign(bred: Path) -> Campaign:
    """The study of `bred`; not to be changed."""
    return campaign_of("base", bred)


@pytest.fixture
def campaign(read_campaign: Campaign, tmp_path: Path) -> Campaign:
    """The same with a folder of its own for its evidence; its facts may be changed."""
    own = copy.copy(read_campaign)
    own.facts = dict(read_campaign.facts)
    own.folder = tmp_path / "evidence"
    return own


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> GatesFile:
    """Gates that count."""
    gates = parse_gates(TEXT)
    monkeypatch.setattr(dossier_checks, "PRODUCTION_HASH", gates.hash)
    return gates
