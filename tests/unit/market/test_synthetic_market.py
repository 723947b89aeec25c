"""Synthetic markets: deterministic, possible, and with the edge that they claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import DataError
from genesis.domain.timeline import HOUR_MS
from genesis.market.dataset import load
from genesis.market.quality import check
from genesis.market.sources.planted import PLANTS, burst, follow, garch, onward, share_below
from genesis.market.sources.synthetic import (
    Plant,
    SynthSpec,
    SynthSymbol,
    panel_of,
    synthesize,
    write,
)
from genesis.market.store import BarStore

SMALL = SynthSpec(assets=2, bars=400, seed=11, plants=(Plant("trend", 0.001),))


def hashes(spec: SynthSpec) -> list[str]:
    return [one.bars.content_hash + one.funding.content_hash for one in synthesize(spec)]


def returns_of(one: SynthSymbol) -> np.ndarray:
    return one.bars.close / one.bars.open - 1.0


def long_market(plant: str, strength: float, assets: int = 1, seed: int = 5) -> list[SynthSymbol]:
    plants = (Plant(plant, strength),) if plant else ()
    return list(synthesize(SynthSpec(assets=assets, bars=200_000, seed=seed, plants=plants)))


def test_same_spec_same_bytes() -> None:
    assert hashes(SMALL) == hashes(SMALL)


@pytest.mark.parametrize("change", [{"seed": 12}, {"stream": 1}, {"sigma": 0.02}])
def test_another_law_or_seed_is_another_market(change: dict[str, float]) -> None:
    assert set(hashes(SMALL)).isdisjoint(hashes(replace(SMALL, **change)))


def test_more_bars_only_append_and_more_assets_change_no_other() -> None:
    short, long = synthesize(SMALL), synthesize(replace(SMALL, bars=1_000, assets=3))
    for one, two in zip(short, long, strict=False):
        assert one.bars.content_hash == two.bars.take(slice(0, 400)).content_hash
        n = len(one.funding)
        assert one.funding.content_hash == two.funding.take(slice(0, n)).content_hash
        np.testing.assert_array_equal(one.drift, two.drift[:400])


def test_fresh_bars_are_of_the_same_law_but_others() -> None:
    fresh = SMALL.fresh(bars=400)
    assert fresh.plants == SMALL.plants
    assert set(hashes(SMALL)).isdisjoint(hashes(fresh))


@pytest.mark.parametrize("plant", PLANTS)
def test_bars_of_every_plant_are_possible(plant: str) -> None:
    strength = {"mean_reversion": 0.004, "carry": 0.001, "decoy": 1.0}.get(plant, 0.001)
    spec = SynthSpec(assets=2, bars=2_000, interval="1h", plants=(Plant(plant, strength),))
    for one in synthesize(spec):
        assert check(one.bars, "1h").ok
        assert (np.diff(one.bars.ts_ms) == HOUR_MS).all()
        assert (one.bars.open[1:] == one.bars.close[:-1]).all()


def test_base_market_has_its_volatility_tails_and_no_edge() -> None:
    (one,) = long_market("", 0.0)
    r = returns_of(one)
    error = r.std() / np.sqrt(r.size)
    assert abs(r.mean()) < 4 * error
    # the fourth moment is infinite here, so that the sample's sd settles slowly
    assert r.std() == pytest.approx(0.01, rel=0.12)
    kurtosis = ((r - r.mean()) ** 4).mean() / r.var() ** 2
    assert kurtosis > 6  # t with 5 degrees of freedom has 9, GARCH adds to it
    assert abs(np.corrcoef(r[1:], r[:-1])[0, 1]) < 0.015
    assert np.corrcoef(r[1:] ** 2, r[:-1] ** 2)[0, 1] > 0.05
    assert (one.drift == 0).all()


@pytest.mark.parametrize("strength", [0.001, 0.0015])
def test_trend_has_the_drift_and_the_persistence_it_claims(strength: float) -> None:
    (one,) = long_market("trend", strength)
    r, sign = returns_of(one), np.sign(one.drift)
    assert set(np.abs(one.drift)) == {strength}
    earned = r * sign
    error = r.std() / np.sqrt(r.size)
    assert earned.mean() == pytest.approx(strength, abs=4 * error)
    assert error < strength / 10
    flips = np.count_nonzero(np.diff(sign))
    expected = r.size / 120
    assert flips == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_mean_reversion_claims_what_the_next_bar_pays() -> None:
    (one,) = long_market("mean_reversion", 0.008)
    r = returns_of(one)
    slope = np.cov(one.drift, r)[0, 1] / one.drift.var()
    assert slope == pytest.approx(1.0, abs=0.1)
    # theory: sd of the expected return is (1 - phi) d / sqrt(1 - phi^2)
    phi = 0.5 ** (1 / 12)
    assert one.drift.std() == pytest.approx((1 - phi) * 0.008 / np.sqrt(1 - phi**2), rel=0.05)
    assert r.std() == pytest.approx(0.01, rel=0.12)
    # half-life: the autocorrelation of the OU part, seen in its expected returns
    lagged = np.corrcoef(one.drift[12:], one.drift[:-12])[0, 1]
    assert lagged == pytest.approx(0.5, abs=0.05)


def test_carry_sets_the_size_and_persistence_of_funding() -> None:
    (one,) = long_market("carry", 0.001)
    f = one.funding.rate
    assert f.std() == pytest.approx(0.001, rel=0.06)
    assert np.corrcoef(f[1:], f[:-1])[0, 1] == pytest.approx(0.97, abs=0.01)
    assert (np.diff(one.funding.ts_ms) == 8 * HOUR_MS).all()
    assert (one.drift == 0).all()


@pytest.mark.parametrize(
    ("plant", "strength"),
    [
        ("vol_breakout", 0.002),
        ("lead_lag", 0.001),
        ("trend_low_vol", 0.001),
        ("conjunction", 0.001),
    ],
)
def test_other_plants_pay_what_they_claim(plant: str, strength: float) -> None:
    one = long_market(plant, strength, assets=2)[1]
    r = returns_of(one)
    assert one.drift.std() > 0
    slope = np.cov(one.drift, r)[0, 1] / one.drift.var()
    error = r.std() / (one.drift.std() * np.sqrt(r.size))
    assert error < 0.1
    assert slope == pytest.approx(1.0, abs=4 * error)


def test_lead_lag_lets_the_follower_follow() -> None:
    leader, follower = long_market("lead_lag", 0.002, assets=2)
    lagged = np.corrcoef(returns_of(leader)[:-1], returns_of(follower)[1:])[0, 1]
    reverse = np.corrcoef(returns_of(follower)[:-1], returns_of(leader)[1:])[0, 1]
    assert lagged > 0.12
    assert abs(reverse) < 0.015
    assert (leader.drift == 0).all()


def test_conjunction_pays_nothing_without_both_conditions() -> None:
    one = long_market("conjunction", 0.003)[0]
    size = np.sort(np.unique(np.abs(one.drift)))
    np.testing.assert_allclose(size, [0.001, 0.003])
    pays = np.abs(one.drift) > 0.002
    assert pays.mean() == pytest.approx(0.25, abs=0.05)
    r, close = returns_of(one), one.bars.close
    follow_move = np.zeros(r.size)
    follow_move[21:] = np.sign(close[20:-1] / close[:-21] - 1.0)
    error = r.std() / np.sqrt(r.size)
    followed, drift = r * follow_move, one.drift * follow_move
    assert abs(followed.mean()) < 4.0 * error
    assert abs(drift.mean()) < 0.1 * 0.25 * 0.003
    # the move that counts can be seen in the closes
    assert (drift[21:][pays[21:]] > 0.0).all()
    assert (drift[21:][~pays[21:]] < 0.0).all()


def test_low_vol_trend_is_silent_half_of_the_time() -> None:
    one = long_market("trend_low_vol", 0.001)[0]
    assert (one.drift == 0).mean() == pytest.approx(0.5, abs=0.08)


def test_decoy_tells_its_own_bar_and_nothing_of_the_next() -> None:
    (one,) = long_market("decoy", 1.0)
    r, volume = returns_of(one), np.log(one.bars.volume)
    assert np.corrcoef(volume, r)[0, 1] > 0.6
    assert abs(np.corrcoef(volume[:-1], r[1:])[0, 1]) < 0.01


def test_correlation_between_assets() -> None:
    market = synthesize(SynthSpec(assets=3, bars=100_000, seed=2, correlation=0.6))
    table = np.corrcoef([returns_of(one) for one in market])
    assert table[np.triu_indices(3, 1)] == pytest.approx([0.6] * 3, abs=0.06)


def test_kernels_against_plain_loops() -> None:
    z = np.random.default_rng(0).standard_t(5, 500)
    level, expected = 0.01**2, []
    for shock in z:
        expected.append(level**0.5)
        level = 0.01**2 * 0.02 + 0.08 * level * shock**2 + 0.9 * level
    np.testing.assert_allclose(garch(z, 0.01, 0.08, 0.9), expected, rtol=1e-12)
    path, x = [], 0.0
    for shock in z:
        x = 0.5 * x + 2.0 * shock
        path.append(x)
    np.testing.assert_allclose(follow(z, 0.5, 2.0, stationary=False), path, rtol=1e-12)
    naive = [0.5] * 20 + [(z[t - 20 : t] < z[t]).mean() for t in range(20, 500)]
    np.testing.assert_allclose(share_below(z, 20), naive)
    path, ahead = [], []
    for t, shock in enumerate(z):
        ahead.append(0.3 * np.sign(sum(path[-20:])))
        path.append(shock + ahead[t])
    np.testing.assert_allclose(onward(z, np.full(500, 0.3), 20), ahead)
    recent = [
        next((np.sign(z[k]) for k in range(t - 1, max(t - 4, -1), -1) if abs(z[k]) > 2), 0.0)
        for t in range(500)
    ]
    np.testing.assert_array_equal(burst(z, 2.0, 3), recent)


def test_store_and_panel_agree(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    spec = write(store, SMALL)
    stored, direct = load(store, spec), panel_of(SMALL)
    assert stored.dataset_hash == direct.dataset_hash
    assert stored.name == "synth:SYN1,SYN2:4h"
    assert all(np.isfinite(s.funding).all() and s.has_funding for s in stored.symbols)


def test_another_market_in_the_store_is_not_mixed_with(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    write(store, SMALL)
    write(store, SMALL)  # the same again is no conflict
    # the last two differ from what is stored in their funding alone
    carry, hourly = replace(SMALL, plants=(Plant("carry", 0.001),)), replace(SMALL, interval="1h")
    for other in (replace(SMALL, bars=300), replace(SMALL, seed=2), carry, hourly):
        with pytest.raises(DataError, match="another synthetic market") as caught:
            write(store, other)
        assert "--replace" in caught.value.fix
        assert load(store, SMALL.dataset).dataset_hash == panel_of(SMALL).dataset_hash
    write(store, replace(SMALL, bars=300), replace=True)
    assert [info.rows for info in store.list() if info.kind == "bars"] == [300, 300]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assets": 0}, "assets"),
        ({"bars": 0}, "bars"),
        ({"seed": -1}, "seed"),
        ({"alpha": 0.2}, "alpha [+] beta"),
        ({"dof": 2.0}, "dof"),
        ({"correlation": 1.0}, "correlation"),
        ({"start_ms": 1}, "grid"),
        ({"plants": (Plant("mean_reversion", 0.02),)}, "larger than sigma"),
        ({"plants": (Plant("lead_lag", 0.02),), "assets": 1}, "two assets"),
    ],
)
def test_impossible_laws(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    "text", ["tren:0.1", "trend", "trend:", "trend:-1", "trend:x", "trend:nan"]
)
def test_impossible_plants(text: str) -> None:
    with pytest.raises(DataError, match="plant") as caught:
        Plant.parse(text)
    assert caught.value.fix


@pytest.mark.parametrize("distance", [0.3, 0.8, 1.5, 3.0])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_stop_inside_a_bar_earns_nothing_on_a_market_without_edge(
    distance: float, side: float
) -> None:
    # Optional stopping: in by the open, out at the level or the close, is a fair game. A path
    # that jumps over levels, or is too smooth in large bars, would pay for stops.
    spec = SynthSpec(assets=1, bars=200_000, seed=5)
    bars = synthesize(spec)[0].bars
    level = bars.open * (1.0 - side * distance * spec.sigma)
    hit = (bars.low <= level) if side > 0 else (bars.high >= level)
    gain = side * (np.where(hit, level, bars.close) / bars.open - 1.0)
    error = gain.std() / np.sqrt(gain.size)
    assert abs(gain.mean()) < 4.0 * error
