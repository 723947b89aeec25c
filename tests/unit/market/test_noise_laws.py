"""The benchmarks' markets: noise that is noise, plants of the calibrated size, mirrored bars."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genesis.domain.errors import DataError
from genesis.domain.timeline import HOUR_MS
from genesis.market.bars import Bars
from genesis.market.panel import Panel
from genesis.market.quality import check
from genesis.market.sources.synthetic import Plant, SynthSpec, synthesize
from genesis.strategy.text import parse
from genesis.strategy.trees import from_prefix

YEAR_BARS = 2_190
LONG = 200_000
HOURS = 2_000
START_MS = 1_600_002_000_000  # an hour that begins no bar of 4h


def _markets() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "markets.py"
    spec = importlib.util.spec_from_file_location("benchmark_markets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


markets = _markets()


def moves(close: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(close[1:] / close[:-1] - 1.0)


def kurtosis(values: npt.NDArray[np.float64]) -> float:
    return float(((values - values.mean()) ** 4).mean() / values.var() ** 2)


def drawn(kind: str, bars: int = LONG, seed: int = 3) -> npt.NDArray[np.float64]:
    return moves(synthesize(markets.noise_spec(kind, seed, bars=bars))[0].bars.close)


def candle_folder(folder: Path, symbols: int = 2, hours: int = HOURS, spread: float = 0.01) -> Path:
    """Hourly candles of random walks that open away from the close before."""
    for number in range(symbols):
        rng = np.random.default_rng(number)
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, spread, hours)))
        opened = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0.0, 0.001, hours))
        columns = {
            "timestamp": START_MS + (np.arange(hours) + number) * HOUR_MS,
            "open": opened,
            "high": np.maximum(opened, close) * (1.0 + rng.exponential(0.002, hours)),
            "low": np.minimum(opened, close) * (1.0 - rng.exponential(0.002, hours)),
            "close": close,
            "volume": rng.exponential(10.0, hours),
        }
        place = folder / f"COIN{number}USDT"
        place.mkdir(parents=True)
        pq.write_table(pa.table(columns), place / "1h.parquet")
    return folder


def walk(bars: int, seed: int = 0) -> Bars:
    spec = SynthSpec(assets=1, bars=bars, seed=seed)
    return synthesize(spec)[0].bars


@pytest.mark.parametrize("kind", ["normal", "t4", "garch_t"])
def test_nothing_is_known_of_the_next_bar(kind: str) -> None:
    r = drawn(kind)
    error = r.std() / np.sqrt(r.size)
    assert abs(r.mean()) < 4.0 * error
    # signs and clipped moves too: heavy tails make the plain correlation a blunt test
    for values in (r, np.sign(r), np.clip(r, -0.02, 0.02)):
        correlation = np.corrcoef(values[1:], values[:-1])[0, 1]
        # under GARCH squares go together, so that r[t] r[t + 1] varies more than their product
        assert abs(correlation) < (0.02 if values is r else 4.5 / np.sqrt(r.size))


def test_normal_noise_has_the_moments_of_the_normal_law() -> None:
    r = drawn("normal")
    assert r.std() == pytest.approx(0.01, rel=4.0 / np.sqrt(2.0 * r.size))
    assert kurtosis(r) == pytest.approx(3.0, abs=5.0 * np.sqrt(24.0 / r.size))
    assert abs(((r - r.mean()) ** 3).mean() / r.std() ** 3) < 0.04  # exp of a normal: 3 sigma
    squares = (r - r.mean()) ** 2
    assert abs(np.corrcoef(squares[1:], squares[:-1])[0, 1]) < 4.5 / np.sqrt(r.size)
    # 68.27 %, 95.45 % and 99.73 % within one, two and three sd
    for sds, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        error = np.sqrt(share * (1.0 - share) / r.size)
        assert (np.abs(r / 0.01) < sds).mean() == pytest.approx(share, abs=5.0 * error)


def test_t4_noise_has_its_quantiles_and_breaks_nothing() -> None:
    spec = markets.noise_spec("t4", 3, bars=LONG)
    bars = synthesize(spec)[0].bars
    assert check(bars, "4h").ok
    r = moves(bars.close)
    # its fourth moment is infinite: quantiles and the sd, whose error shrinks slowly, are tested
    assert r.std() == pytest.approx(0.01, rel=0.05)
    assert kurtosis(r) > 10.0
    # quantiles of |t| with 4 degrees of freedom, over its sd of sqrt(2)
    for level, share in ((0.740697, 0.5), (2.776445, 0.95), (4.604095, 0.99)):
        error = np.sqrt(share * (1.0 - share) / r.size)
        inside = np.abs(np.log1p(r)) < 0.01 * level / np.sqrt(2.0)
        assert inside.mean() == pytest.approx(share, abs=5.0 * error + 0.002)
    clipped = np.minimum(np.abs(r), 0.03)
    assert abs(np.corrcoef(clipped[1:], clipped[:-1])[0, 1]) < 4.5 / np.sqrt(r.size)


def test_garch_noise_has_clusters_of_volatility() -> None:
    r = np.minimum(np.abs(drawn("garch_t")), 0.03)
    assert np.corrcoef(r[1:], r[:-1])[0, 1] > 0.1


def test_drift_is_the_only_thing_that_the_drift_market_adds() -> None:
    spec = markets.noise_spec("drift", 3, bars=6_570)
    (held,), (flat,) = synthesize(spec), synthesize(replace(spec, plants=()))
    gained = np.diff(np.log(held.bars.close / flat.bars.close))
    size = spec.strength("drift")
    np.testing.assert_allclose(gained, size, rtol=1e-8)
    assert set(held.drift) == {size}
    # a year of it over a year's sd: the ratio of buying and holding
    assert size * YEAR_BARS / (spec.sigma * np.sqrt(YEAR_BARS)) == pytest.approx(0.5)
    r = drawn("drift", bars=1_000_000)
    ratio = r.mean() / r.std() * np.sqrt(YEAR_BARS)
    assert ratio == pytest.approx(0.5, abs=4.0 * np.sqrt(YEAR_BARS / r.size))


@pytest.mark.parametrize("kind", ["normal", "t4", "garch_t", "drift"])
def test_a_panel_is_a_function_of_its_seed(kind: str) -> None:
    sizes = {"searched_bars": 300, "sealed_bars": 100}
    one, again, other = (markets.noise_panel(kind, seed, **sizes) for seed in (1, 1, 2))
    assert one.dataset_hash == again.dataset_hash != other.dataset_hash
    assert one.bars == 400
    assert_unfunded(one)


def assert_unfunded(panel: Panel) -> None:
    (series,) = panel.symbols
    assert series.symbol == "SYN1"
    assert not series.has_funding
    assert np.isnan(series.funding).all()
    assert (series.funding_due == 0.0).all()
    assert series.valid.all()


def test_kinds_of_noise_are_independent_of_each_other() -> None:
    signs = [np.sign(drawn(kind, bars=20_000)) for kind in ("normal", "t4", "garch_t", "drift")]
    table = np.corrcoef(signs)
    assert np.abs(table[np.triu_indices(4, 1)]).max() < 0.03


def test_unknown_markets_are_refused() -> None:
    for call in (
        lambda: markets.noise_panel("pink", 1),
        lambda: markets.plant_panel("trend", "9", 1),
        lambda: markets.plant_spec("tulips", 0.1, 1, bars=10),
    ):
        with pytest.raises(DataError, match=r"pink|'9'|tulips"):
            call()
    for dof in (np.inf, np.nan):
        with pytest.raises(DataError, match="dof"):
            SynthSpec(dof=dof)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, row in markets.STRENGTHS.items() for name in row]
)
def test_plants_are_drawn_at_their_strength(kind: str, name: str) -> None:
    panel = markets.plant_panel(kind, name, 5, bars=300)
    strength = markets.STRENGTHS[kind][name]
    spec = markets.plant_spec(kind, strength.size, 5, bars=300)
    assert spec.plants == (Plant(markets.PLANT_KINDS[kind], strength.size),)
    (one,) = synthesize(spec)
    np.testing.assert_array_equal(panel.symbols[0].close, one.bars.close)
    funded = kind in markets.FUNDED
    assert panel.symbols[0].has_funding == funded
    if funded:
        assert np.isfinite(panel.symbols[0].funding).all()
        assert (panel.symbols[0].funding_due != 0.0).any()
    else:
        assert_unfunded(panel)


def test_every_plant_is_calibrated_and_the_conjunction_can_be_spelled() -> None:
    assert set(markets.STRENGTHS) == set(markets.PLANT_KINDS)
    for row in markets.STRENGTHS.values():
        for name, strength in row.items():
            assert strength.sharpe == pytest.approx(float(name), abs=0.1)
    calm = ["below_level", "ratio_rank", "price_volatility", "close", 20, 224, 0.5]
    cheap = ["below_level", "funding", 0.0]
    written = parse("and(lt(rank(realised_vol(close,20),224),0.5),lt(funding,0))")
    assert from_prefix(["both", *calm, *cheap]) == written


def test_mirrored_bars_are_possible_and_mirror_back() -> None:
    bars = walk(3_000)
    flip = np.random.default_rng(4).random(2_999) < 0.5
    turned = markets.mirrored(bars, flip)
    assert check(turned, "4h").ok
    sign = np.where(flip, -1.0, 1.0)
    np.testing.assert_allclose(moves(turned.close), sign * moves(bars.close), atol=1e-14)
    # the highest point of a turned bar is its lowest, seen from the close before
    up = turned.high[1:] / turned.close[:-1] - 1.0
    down = bars.low[1:] / bars.close[:-1] - 1.0
    np.testing.assert_allclose(up[flip], -down[flip], atol=1e-14)
    back = markets.mirrored(turned, flip)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(getattr(back, name), getattr(bars, name), rtol=1e-9)
    same = markets.mirrored(bars, np.zeros(2_999, dtype=bool))
    np.testing.assert_allclose(same.high, bars.high, rtol=1e-9)


def test_a_bar_that_doubles_is_mirrored_in_logarithms() -> None:
    bars = walk(10)
    high = bars.high.copy()
    high[5] = 2.0 * bars.close[4]
    wild = replace(bars, high=high)
    turned = markets.mirrored(wild, np.ones(9, dtype=bool))
    assert (turned.low > 0.0).all()
    assert turned.low[5] / turned.close[4] == pytest.approx(0.5)
    assert (turned.high >= np.maximum(turned.open, turned.close)).all()
    again = markets.mirrored(turned, np.ones(9, dtype=bool))
    np.testing.assert_allclose(
        again.close[6:] / again.close[5:-1], bars.close[6:] / bars.close[5:-1]
    )


def test_signed_bars_are_real_ones_up_to_their_signs(tmp_path: Path) -> None:
    folder = candle_folder(tmp_path, symbols=1)
    panel = markets.noise_panel("signed_real", 1, searched_bars=200, sealed_bars=100, real=folder)
    assert panel.bars == 300
    assert_unfunded(panel)
    (series,) = panel.symbols
    source = pq.read_table(folder / "COIN0USDT" / "1h.parquet")
    stamps = source["timestamp"].to_numpy()
    start = int(np.searchsorted(stamps, panel.ts_ms[0]))
    closes = source["close"].to_numpy()[start + 3 : start + 4 * 300 : 4]
    np.testing.assert_allclose(np.abs(moves(series.close)), np.abs(moves(closes)), atol=1e-12)
    agree = np.sign(moves(series.close)) == np.sign(moves(closes))
    assert 0.35 < agree.mean() < 0.65
    assert (series.high >= np.maximum(series.open, series.close)).all()
    assert (series.low <= np.minimum(series.open, series.close)).all()
    assert (series.low > 0.0).all()


def test_symbol_window_and_signs_follow_the_seed(tmp_path: Path) -> None:
    folder = candle_folder(tmp_path, symbols=3)
    sizes = {"searched_bars": 150, "sealed_bars": 50, "real": folder}
    hashes = [markets.noise_panel("signed_real", seed, **sizes).dataset_hash for seed in range(8)]
    assert len(set(hashes)) == 8
    assert hashes[3] == markets.noise_panel("signed_real", 3, **sizes).dataset_hash


def test_missing_or_short_real_candles_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no hourly candles") as caught:
        markets.noise_panel("signed_real", 1, real=tmp_path / "binance_perp")
    assert "1h.parquet" in str(caught.value.why)
    with pytest.raises(DataError, match="without a gap"):
        markets.noise_panel("signed_real", 1, real=candle_folder(tmp_path))


def test_real_candles_give_windows_of_noise(shared_data: Path) -> None:
    folder = shared_data / "candles" / "binance_perp"
    pooled = []
    for seed in range(6):
        (series,) = markets.noise_panel("signed_real", seed, real=folder).symbols
        assert series.close.size == markets.SEARCHED_BARS + markets.SEALED_BARS
        assert series.valid.all()
        pooled.append(moves(series.close) / moves(series.close).std())
    r = np.concatenate(pooled)
    assert abs(r.mean()) < 4.0 / np.sqrt(r.size)
    signs = np.sign(r)
    assert abs(np.corrcoef(signs[1:], signs[:-1])[0, 1]) < 4.0 / np.sqrt(r.size)
