"""A state that was stored anywhere and restored goes on as if nothing had happened."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.canonical import canonical_json
from genesis.market.panel import Panel
from genesis.paper.settings import PaperSettings
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import Event
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.replay import same
from genesis.trading.session import read_state, write_state
from genesis.trading.store import EventReader
from tests.property.test_trading_parity import of_every_family
from tests.unit.paper.engine_runs import settings_of, take, wild_market, wild_strategies

Logged = tuple[PaperSettings, list[Event], str]


def logged(folder: Path, panel: Panel, plan: PaperSettings, quotes: int = 0) -> Logged:
    feed = PanelFeed(panel, quotes) if quotes else None
    outcome, _ = take(folder, panel, plan, feed=feed)
    with EventReader(folder) as reader:
        return plan, list(reader.events()), outcome.state_hash


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Logged]:
    """Runs of every kind: all families, slices, resting parts, stops that the loop watches."""
    folder = tmp_path_factory.mktemp("runs")
    every = wild_market(2, 260, symbols=2, scale=0.02)
    wild = wild_market(3, 120, symbols=3, scale=0.03, tick=0.01, lot=0.01)
    hour = wild.interval_ms
    mine = wild_strategies(3, 4, size=0.3)
    twap = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=hour)
    iceberg = DeploymentOptions(algorithm="iceberg", slices=4)
    watched = DeploymentOptions(stops="loop")
    return [
        logged(folder / "families", every, settings_of(list(of_every_family(5)))),
        logged(folder / "single", wild, settings_of(mine)),
        logged(folder / "twap", wild, settings_of(mine, options=twap)),
        logged(folder / "iceberg", wild, settings_of(mine, options=iceberg)),
        logged(folder / "watched", wild, settings_of(mine, options=watched), quotes=3),
    ]


def handle(core: TradingCore, events: list[Event]) -> list[Event]:
    made = []
    for event in events:
        core.handle(event)
        made += core.emitted
    return made


@pytest.mark.parametrize("draw", range(8))
@pytest.mark.parametrize("which", range(5))
def test_snapshot_and_tail_are_the_whole(runs: list[Logged], which: int, draw: int) -> None:
    """Also in the middle of a batch, while orders wait and slices are to come."""
    plan, log, expected = runs[which]
    rng = random.Random(f"{which} {draw}")
    first, second = sorted(rng.randrange(len(log) + 1) for _ in range(2))
    core = plan.core(_run_of(log))
    found = handle(core, log[:first])
    for start, stop in ((first, second), (second, len(log))):
        state: dict[str, Any] = read_state(write_state(core.plain()))
        restored = plan.core("another")
        restored.restore(state)
        same_bytes = canonical_json(restored.plain()) == canonical_json(core.plain())
        assert same_bytes, "restore(plain()) changes nothing"
        core = restored
        found += handle(core, log[start:stop])
    assert core.state_hash == expected
    made = {(e.caused_by, e.ordinal): e for e in log if e.caused_by}
    assert len(found) == len(made)
    assert all(same(event, made[event.caused_by, event.ordinal]) for event in found)


def _run_of(log: list[Event]) -> str:
    return log[0].data.run  # type: ignore[attr-defined,no-any-return]


def test_the_hash_tells_states_apart(runs: list[Logged]) -> None:
    plan, log, _ = runs[1]
    core, seen = plan.core("run"), set()
    places = random.Random(1).sample(range(len(log)), 12)
    changed = 0
    for place, event in enumerate(log):
        core.handle(event)
        if place in places:
            seen.add(core.state_hash)
            changed += 1
    assert len(seen) > 0.9 * changed
