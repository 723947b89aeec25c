"""Breakers of the market are those that are looked at once a bar."""

from __future__ import annotations

from genesis.risk.breaker_kinds import OF_THE_MARKET, Breaker
from genesis.risk.breakers import CONSEQUENCES


def test_every_breaker_means_something() -> None:
    assert set(CONSEQUENCES) == set(Breaker) > OF_THE_MARKET
