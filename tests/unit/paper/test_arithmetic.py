"""A run does not depend on the decimal precision that its thread happens to be set to."""

from __future__ import annotations

from decimal import localcontext
from pathlib import Path

from genesis.trading.replay import Refold
from genesis.trading.store import EventReader
from tests.unit.paper.engine_runs import settings_of, take, wild_market, wild_strategies


def test_a_replay_under_another_precision_makes_the_same_events(tmp_path: Path) -> None:
    strategies = wild_strategies(3, 4)
    settings = settings_of(strategies)
    outcome, _ = take(tmp_path / "run", wild_market(3, 300, symbols=2, scale=0.03), settings)
    for digits in (9, 50):
        refold = Refold(settings.core("run"))
        with localcontext() as context, EventReader(tmp_path / "run") as reader:
            context.prec = digits
            for event in reader.events():
                refold.handle(event)
            assert context.prec == digits
        assert refold.divergences == []
        assert refold.core.state_hash == outcome.state_hash
