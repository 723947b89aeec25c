"""The sealed bars: opened once a strategy, on record first, under one budget for all of them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.domain.errors import StorageError
from genesis.domain.timeline import DAY_MS
from genesis.evidence import sealed as module
from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import Settings
from genesis.evidence.sealed import (
    Budget,
    SealedNumbers,
    level_after,
    open_once,
    sealed_budget,
    sealed_measures,
    sealed_numbers,
)
from genesis.evolution.register import END, REGISTER, TrialRegister
from genesis.evolution.registration import human_registration
from genesis.evolution.seals import SealRegistry
from tests.unit.evidence.small_study import StepClock, campaign_of

SETTINGS = Settings(sealed_alpha=0.25, sealed_share=0.8)


def levels_of(outcomes: tuple[bool, ...], alpha: float, share: float) -> list[float]:
    """The fallback procedure in its own words.

    A candidate owns a share of what the ones before it left of alpha; one that was rejected
    (a success) hands the whole of its level to the next.
    """
    left, handed, levels = alpha, 0.0, []
    for outcome in (*outcomes, False):
        own = share * left
        left -= own
        levels.append(own + handed)
        handed = levels[-1] if outcome else 0.0
    return levels


@pytest.mark.parametrize(("alpha", "share"), [(0.25, 0.8), (0.05, 0.5), (0.9, 0.1)])
def test_levels_follow_the_fallback_procedure(alpha: float, share: float) -> None:
    settings = Settings(sealed_alpha=alpha, sealed_share=share)
    for wanted in product((True, False), repeat=5):
        expected = levels_of(wanted, alpha, share)
        history: list[float | None] = []
        for place, success in enumerate(wanted):
            level = level_after(history, settings)
            assert level == pytest.approx(expected[place])
            # Just inside or just outside of the level that stood at that time, or no test at all.
            failure = None if place % 2 else level * (1 + 1e-9)
            history.append(level * (1 - 1e-9) if success else failure)
        assert level_after(history, settings) == pytest.approx(expected[-1])


def test_failures_only_never_use_more_than_the_budget() -> None:
    history: list[float | None] = []
    spent = 0.0
    for _ in range(30):
        spent += level_after(history, SETTINGS)
        history.append(None)
    assert spent <= 0.25 + 1e-12
    assert spent == pytest.approx(0.25)


def test_without_an_edge_one_ever_passes_with_the_chance_of_the_budget_at_most() -> None:
    """Ten skill-less candidates on one span, independent and all alike."""
    rng = np.random.default_rng(5)
    times = 3000
    for alike in (False, True):
        hits = 0
        for _ in range(times):
            draws = np.full(10, rng.random()) if alike else rng.random(10)
            history: list[float | None] = []
            for p in draws:
                if p <= level_after(history, SETTINGS):
                    hits += 1
                    break
                history.append(float(p))
        assert hits / times < 0.25 + 4 * np.sqrt(0.25 * 0.75 / times)


def test_numbers_are_those_of_a_backtest_over_the_seal(read_campaign: Campaign) -> None:
    """Recomputed from the equity of the whole data set, with a regression of its own."""
    material = read_campaign.material
    candidate = read_campaign.candidates(1)[0]
    result = backtest_strategy(material.panel, candidate.record.strategy, material.setup)
    start, end = material.sealed_span
    assert end == int(material.panel.ts_ms[-1]) + material.panel.interval_ms
    marks: dict[int, float] = {}
    closes: dict[int, list[float]] = {}
    before, base = 0.0, [float("nan")] * len(material.panel.symbols)
    for at, ts in enumerate(material.panel.ts_ms.tolist()):
        if ts < start:
            before = float(result.equity[at])
            continue
        marks[ts // DAY_MS] = float(result.equity[at])
        closes[ts // DAY_MS] = [float(s.close[at]) for s in material.panel.symbols]
        if ts == start:
            base = [float(s.open[at]) for s in material.panel.symbols]
    daily = np.diff([before, *marks.values()])
    table = np.array([base, *closes.values()])
    market = (table[1:] / table[:-1] - 1.0).mean(axis=1)
    slope, alpha = np.polyfit(market, daily, 1)
    alone = daily - slope * market
    n = len(daily)
    ratio = alone.mean() / alone.std(ddof=1)
    unit = (alone - alone.mean()) / alone.std()
    skew, kurtosis = (unit**3).mean(), (unit**4).mean()
    z = ratio * np.sqrt((n - 1) / (1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2))
    from statistics import NormalDist

    found = sealed_numbers(read_campaign, candidate.record.strategy)
    assert alone.mean() == pytest.approx(alpha)
    assert found.days == n
    assert found.sharpe == pytest.approx(daily.mean() / daily.std(ddof=1) * np.sqrt(365))
    assert found.hedged_sharpe == pytest.approx(ratio * np.sqrt(365))
    assert found.p == pytest.approx(1.0 - NormalDist().cdf(float(z)), abs=1e-12)


def test_a_strategy_that_does_nothing_there_has_proved_nothing(
    read_campaign: Campaign,
) -> None:
    from genesis.strategy.strategy import PolicyParams, Rules, Strategy

    found = sealed_numbers(read_campaign, Strategy(Rules(), PolicyParams()))
    assert (found.sharpe, found.hedged_sharpe, found.p) == (0.0, 0.0, 1.0)


class Desk:
    """Opens candidates of a campaign one after the other, their numbers given beforehand."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.campaign = campaign_of("base", home)
        self.registry = SealRegistry(home / "seals.json")
        self.strategies = {c.id: c.record.strategy for c in self.campaign.candidates(6)}
        self.names = list(self.strategies)
        self.p: dict[str, float] = {}
        self.computed: list[str] = []
        self.clock = StepClock()
        monkeypatch.setattr(module, "sealed_numbers", self._numbers)

    def _numbers(self, campaign: Campaign, strategy: Any) -> SealedNumbers:
        rows = self.registry.openings_of(campaign.bases, campaign.material.sealed_span)
        assert strategy.id in {row.strategy for row in rows}, "computed before it was on record"
        self.computed.append(strategy.id)
        p = self.p.get(strategy.id, 0.5)
        if p < 0:
            raise KeyboardInterrupt
        return SealedNumbers(1.5, 1.25, p, 90)

    def open(self, place: int, settings: Settings = SETTINGS) -> dict[str, Any]:
        measures, details = open_once(
            self.campaign, self.strategies[self.names[place]], settings, 3.0, self.clock
        )
        return {**details, **measures}

    def by_hand(self, place: int) -> None:
        span = self.campaign.material.sealed_span
        seals = self.registry.reached(self.campaign.bases, span)
        self.registry.open_sealed(self.names[place], "d", seals, self.clock)


@pytest.fixture
def desk(home: Path, settled_code: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(home, monkeypatch)


def test_the_first_may_use_most_of_the_budget(desk: Desk) -> None:
    desk.p[desk.names[0]] = 0.19
    found = desk.open(0)
    assert found["level"] == pytest.approx(0.2)
    assert found["place"] == 1
    assert found["sealed_psr"][0] == pytest.approx(0.81 - 0.8)
    assert found["sealed_ratio"][0] == pytest.approx(0.5)
    assert "candidate 1" in found["sealed_psr"][1]


def test_the_opening_names_what_was_opened(desk: Desk) -> None:
    desk.open(2)
    (row,) = desk.registry.openings()
    material = desk.campaign.material
    assert (row.strategy, row.purpose, row.dataset) == (
        desk.names[2],
        "gate",
        material.panel.name,
    )
    assert (row.start_ms, row.end_ms) == material.sealed_span
    assert set(row.bases) == set(desk.campaign.bases)
    assert row.studies == ("base",)
    assert row.numbers == {"sharpe": 1.5, "hedged_sharpe": 1.25, "p": 0.5, "days": 90}


def test_levels_go_on_from_candidate_to_candidate(desk: Desk) -> None:
    for place, p in enumerate((0.1, 0.9, 0.001, 0.5)):
        desk.p[desk.names[place]] = p
    found = [desk.open(place)["level"] for place in range(4)]
    assert found == pytest.approx(levels_of((True, False, True), 0.25, 0.8))


def test_a_second_time_gives_the_numbers_and_the_level_of_the_first(desk: Desk) -> None:
    first = [desk.open(place) for place in range(3)]
    rows = desk.registry.openings()
    desk.p = dict.fromkeys(desk.names, 0.0001)
    assert [desk.open(place) for place in (2, 0, 1)] == [first[2], first[0], first[1]]
    assert desk.registry.openings() == rows
    assert len(desk.computed) == 3


def test_a_crash_between_opening_and_result_counts_and_is_mended(desk: Desk) -> None:
    crashed, other = desk.names[:2]
    desk.p = {crashed: -1.0, other: 0.0001}
    with pytest.raises(KeyboardInterrupt):
        desk.open(0)
    (row,) = desk.registry.openings()
    assert (row.strategy, row.numbers, row.p) == (crashed, None, None)
    # Another candidate meanwhile: the unfinished one is a failure that was paid for.
    assert desk.open(1)["level"] == pytest.approx(0.25 * 0.8 * 0.2)
    desk.p[crashed] = 0.15
    again = desk.open(0)
    assert (again["p"], again["place"]) == (0.15, 1)
    assert again["level"] == pytest.approx(0.2)
    assert len(desk.registry.openings()) == 2


def test_a_look_by_hand_spends_a_level_and_spoils_its_strategy(desk: Desk) -> None:
    desk.by_hand(0)
    found = desk.open(0)
    assert found["sealed_psr"][0] is found["sealed_ratio"][0] is None
    assert "by hand" in found["sealed_psr"][1]
    assert "by hand" in found["void"]
    assert desk.computed == []
    assert len(desk.registry.openings()) == 1
    assert desk.open(1)["level"] == pytest.approx(0.25 * 0.8 * 0.2)


def test_bars_that_a_person_saw_before_they_were_sealed_are_not_unseen(desk: Desk) -> None:
    campaign = desk.campaign
    own, other = desk.names[0], desk.names[5]
    for seen in (own, other):
        TrialRegister(desk.home).add(human_registration(seen, campaign.material.panel))
    assert "by hand" in desk.open(0)["void"]
    assert desk.registry.openings() == []
    # The other one has spent a level of the span, and so has the first.
    assert desk.open(1)["level"] == pytest.approx(0.25 * 0.8 * 0.2**2)


def test_a_look_by_hand_after_the_gate_spoils_nothing_but_spends(desk: Desk) -> None:
    first = desk.open(0)
    desk.by_hand(0)
    assert desk.open(0) == first
    assert desk.open(1)["level"] == pytest.approx(0.25 * 0.8 * 0.2**2)


def test_two_processes_never_use_the_same_level(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one opens its candidate between this one's look at the record and its own entry."""
    plain = SealRegistry.open_for_gate
    span, bases = desk.campaign.material.sealed_span, desk.campaign.bases

    def slow(self: SealRegistry, strategy: str, *args: Any) -> Any:
        plain(self, "strat_of_the_other", "d", bases, span, desk.clock)
        return plain(self, strategy, *args)

    monkeypatch.setattr(SealRegistry, "open_for_gate", slow)
    found = desk.open(0)
    assert found["place"] == 2
    assert found["level"] == pytest.approx(0.25 * 0.8 * 0.2)


def test_other_assets_and_other_times_do_not_count(desk: Desk) -> None:
    start, end = desk.campaign.material.sealed_span
    bases = desk.campaign.bases
    others = (
        (["BTC", "synth:OTHER"], (start, end)),
        (bases, (start - 1000, start)),
        (bases, (end, end + 1000)),
    )
    for place, (names, span) in enumerate(others):
        desk.registry.open_for_gate(f"strat_{place}", "d", names, span, desk.clock)
    assert desk.open(0)["place"] == 1
    for place, (names, span) in enumerate(
        ((bases[:1], (start, start + 1)), ([bases[1], "x"], (end - 1, end + 5)))
    ):
        desk.registry.open_for_gate(f"strat_in_{place}", "d", names, span, desk.clock)
    assert desk.open(1)["place"] == 4


def test_looks_by_hand_of_other_seals_do_not_count(desk: Desk) -> None:
    start, end = desk.campaign.material.sealed_span
    desk.registry.register("elsewhere", "d", ["OTHER"], (0, start), (start, end))
    desk.registry.register("later", "d", desk.campaign.bases, (0, start), (end, end + 10))
    for study in ("elsewhere", "later"):
        seals = [seal for seal in desk.registry.seals() if seal.study == study]
        desk.registry.open_sealed("strat_x", "d", seals, desk.clock)
    assert desk.open(0)["place"] == 1
    assert len(desk.registry.openings()) == 3


def test_rows_of_an_earlier_version_are_read(desk: Desk) -> None:
    """Openings by hand were written without purpose, span and numbers."""
    path = desk.home / "seals.json"
    for name in (REGISTER, END):  # it had no seals and no looks then
        (desk.home / name).unlink()
    document = json.loads(path.read_text())
    document["openings"] = [
        {"strategy": desk.names[3], "dataset": "d", "ts_ms": 5, "studies": ["base"]}
    ]
    path.write_text(json.dumps(document))
    (row,) = desk.registry.openings()
    assert (row.purpose, row.bases, row.numbers, row.p) == ("backtest", (), None, None)
    assert "by hand" in desk.open(3)["void"]
    assert desk.open(0)["place"] == 2


def test_a_registry_without_openings_is_read(tmp_path: Path) -> None:
    registry = SealRegistry(tmp_path / "seals.json")
    assert registry.openings() == []
    registry.register("s", "d", ["BTC"], (0, 10), (10, 20))
    assert registry.openings_of(["BTC"], (0, 20)) == []


@pytest.mark.parametrize("whole", [True, False])
def test_a_lost_record_gives_no_level_back(desk: Desk, whole: bool) -> None:
    first = desk.open(0)
    path = desk.home / "seals.json"
    if whole:
        path.unlink()
    else:
        document = json.loads(path.read_text())
        del document["openings"]
        path.write_text(json.dumps(document))
    assert desk.open(1)["level"] == pytest.approx(0.25 * 0.8 * 0.2)
    assert desk.open(0) == first
    assert len(desk.computed) == 2


def test_what_another_process_found_first_stays(desk: Desk) -> None:
    opening = desk.registry.open_for_gate("strat_a", "d", ["BTC"], (0, 10), desk.clock)
    first = desk.registry.close(opening, {"p": 0.5})
    assert desk.registry.close(opening, {"p": 0.1}) == first
    assert desk.registry.openings() == [first]


def test_nothing_is_computed_where_the_opening_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("genesis.evolution.seals.write_json", full)
    with pytest.raises(StorageError):
        desk.open(0)
    assert desk.computed == []


@pytest.mark.parametrize("p", [0.0, 0.1, 0.2, 0.2000001, 1.0])
def test_the_gate_asks_for_what_the_level_allows(p: float) -> None:
    numbers = {"sharpe": 1.0, "hedged_sharpe": 1.0, "p": p, "days": 90}
    value, _ = sealed_measures(numbers, 0.2, 2.0, 0)["sealed_psr"]
    assert (value >= -1e-15) == (p <= 0.2)


def test_a_search_that_lost_money_has_no_ratio() -> None:
    numbers = {"sharpe": 1.0, "hedged_sharpe": 1.0, "p": 0.1, "days": 90}
    assert sealed_measures(numbers, 0.2, 0.0, 0)["sealed_ratio"][0] is None
    assert sealed_measures(numbers, 0.2, -1.0, 0)["sealed_ratio"][0] is None


# -- what is left --------------------------------------------------------------------------------


def left(desk: Desk) -> Budget:
    """Budget of the campaign's span as it stands."""
    campaign = desk.campaign
    return sealed_budget(desk.home, campaign.bases, campaign.material.sealed_span, SETTINGS)


def test_nobody_has_opened_anything_yet(desk: Desk) -> None:
    found = left(desk)
    assert (found.opened, found.alpha, found.left) == (0, 0.25, 0.25)
    assert found.level == pytest.approx(0.2)
    assert found.text == (
        "not opened yet; 0.25 of 0.25 of the error budget left, the next one needs a PSR of 0.8000"
    )


def test_a_failure_takes_its_level_away_and_a_success_hands_it_on(desk: Desk) -> None:
    desk.p = dict(zip(desk.names, (0.9, 0.01, 0.9), strict=False))
    for place, expected in enumerate((0.05, 0.05, 0.002)):
        desk.open(place)
        found = left(desk)
        assert found.opened == place + 1
        assert found.left == pytest.approx(expected)
        assert found.level == pytest.approx(desk_level(desk))
    assert found.text.startswith("opened 3 times; 0.002 of 0.25 of the error budget left")


def desk_level(desk: Desk) -> float:
    """Level of the next candidate, from the record of what was opened."""
    rows = desk.registry.openings_of(desk.campaign.bases, desk.campaign.material.sealed_span)
    return level_after([row.p for row in rows], SETTINGS)


def test_what_a_person_looked_at_has_spent_too(desk: Desk) -> None:
    desk.by_hand(0)
    TrialRegister(desk.home).add(human_registration("strat_seen", desk.campaign.material.panel))
    found = left(desk)
    assert found.opened == 2
    assert found.left == pytest.approx(0.25 * 0.2**2)
    assert found.to_plain()["next_psr"] == pytest.approx(1.0 - 0.25 * 0.8 * 0.2**2)
    assert desk.open(1)["level"] == pytest.approx(found.level)
