"""A still venue, for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hyperliquid.exchange import Exchange

from tests.integration.venue.rig import Rig, rig


@pytest.fixture
def venue() -> Iterator[Rig]:
    with rig() as running:
        yield running


@pytest.fixture
def maker(venue: Rig) -> Exchange:
    return venue.trader("100000000")


@pytest.fixture
def taker(venue: Rig) -> Exchange:
    return venue.trader()
