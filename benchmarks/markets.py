"""Markets of the benchmarks: edges of known true Sharpe ratio, and five kinds of pure noise.

Every market is 4h bars of one asset ``SYN1`` unless told otherwise, and a pure function of its
arguments. A plant's *true Sharpe* is the annual ratio, after 5 bp a side and on 300,000 fresh bars
of the law, of the best rule known: a long search over every family on 100,000 other bars finds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError
from genesis.domain.timeline import bars_per_year, interval_ms
from genesis.market.bars import PRICES, Bars
from genesis.market.dataset import SymbolData, build, default_instrument
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.panel import Panel
from genesis.market.resample import resample
from genesis.market.sources.files import ImportItem, read_bars_file
from genesis.market.sources.synthetic import VENUE, Plant, SynthSpec, synthesize

SEARCHED_BARS, SEALED_BARS = 4_380, 2_190
INTERVAL = "4h"
SIGMA = 0.01
NORMAL_DOF = 1e9
"""So many degrees of freedom that the t law is the normal one."""
HOLDING_SHARPE = 0.5

NOISE_KINDS = ("normal", "t4", "garch_t", "drift", "signed_real")
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "candles" / "binance_perp"
"""Hourly candles beside the repository, where there are any."""
_STREAMS = {kind: 101 + place for place, kind in enumerate(NOISE_KINDS)}


@dataclass(frozen=True, slots=True)
class Strength:
    """Size of a plant, and the best that is known to be made of it.

    Attributes
    ----------
    size : float
        In the plant's own unit.
    sharpe : float
        True annual Sharpe ratio; its standard error is 0.09.
    family : str
        Of the rule that reaches it.
    """

    size: float
    sharpe: float
    family: str


PLANT_KINDS: Mapping[str, str] = {
    "trend": "trend",
    "mean_reversion": "mean_reversion",
    "carry": "carry",
    "vol_breakout": "vol_breakout",
    "filter": "trend_low_vol",
    "conjunction": "conjunction",
    "decoy": "decoy",
}
"""Name in the benchmark to the plant of `genesis.market.sources.planted`."""

FUNDED = ("carry", "conjunction")
"""Plants whose funding is paid and known; in all others there is none."""

# Measured by: python benchmarks/calibrate_plants.py --plant KIND --strength NAME --known FILES
# with reports of searches at this and neighbouring strengths as FILES; it comes close without.
STRENGTHS: Mapping[str, Mapping[str, Strength]] = {
    "trend": {
        "2": Strength(0.00092, 1.99, "atr_breakout"),  # 0.00100 gives 2.39
        "4": Strength(0.00135, 3.94, "atr_breakout"),  # 0.00150 gives 4.53
    },
    "mean_reversion": {
        "0.58": Strength(0.0037, 0.58, "vwap_reversion"),
        "2": Strength(0.0068, 2.01, "vwap_reversion"),
        "4": Strength(0.0091, 3.99, "vwap_reversion"),
    },
    "carry": {
        "2": Strength(0.0010, 2.04, "funding_carry"),
        "4": Strength(0.0020, 4.03, "funding_carry"),
    },
    "vol_breakout": {
        "2": Strength(0.0019, 2.02, "donchian"),
        "4": Strength(0.0034, 4.00, "donchian"),
    },
    "filter": {
        "2": Strength(0.00115, 2.04, "volatility_scaling"),  # plain trend following: 1.6
        "4": Strength(0.0017, 3.95, "volatility_scaling"),  # plain trend following: 3.2
    },
    "conjunction": {
        "2": Strength(0.0011, 2.04, "volatility_scaling"),  # 0.88 without a filter (--plain)
        "4": Strength(0.0019, 3.97, "volatility_scaling"),  # 2.28 without
    },
    "decoy": {"0": Strength(1.0, 0.0, "")},  # not to trade is best: the best rule found has -0.1
}


def plant_spec(
    kind: str, size: float, seed: int, *, bars: int, assets: int = 1, stream: int = 0
) -> SynthSpec:
    """Law of a market with one plant; another stream is fresh bars of it."""
    if kind not in PLANT_KINDS:
        raise DataError(f"unknown plant '{kind}'", fix=f"use one of {', '.join(PLANT_KINDS)}")
    return SynthSpec(
        assets=assets,
        bars=bars,
        interval=INTERVAL,
        seed=seed,
        stream=stream,
        sigma=SIGMA,
        plants=(Plant(PLANT_KINDS[kind], size),),
    )


def panel_of_plant(kind: str, spec: SynthSpec) -> Panel:
    """Draw a market; its funding is kept only where the plant needs it."""
    members = [
        SymbolData(
            default_instrument(one.symbol), one.bars, one.funding if kind in FUNDED else None
        )
        for one in synthesize(spec)
    ]
    return build(spec.dataset, members)


def plant_panel(
    kind: str,
    strength_name: str,
    seed: int,
    *,
    bars: int = SEARCHED_BARS + SEALED_BARS,
    assets: int = 1,
    stream: int = 0,
) -> Panel:
    """Market with a plant of a calibrated strength.

    Parameters
    ----------
    kind : str
        One of `PLANT_KINDS`.
    strength_name : str
        One of the names in `STRENGTHS`: about its true Sharpe ratio.
    seed : int
    bars : int
        Searched and sealed ones together.
    assets : int
    stream : int
        Another one is fresh bars of the same law.
    """
    known = STRENGTHS.get(kind, {})
    if strength_name not in known:
        raise DataError(
            f"plant '{kind}' has no strength '{strength_name}'",
            fix=f"use one of {', '.join(f'{k} {n}' for k, v in STRENGTHS.items() for n in v)}",
        )
    size = known[strength_name].size
    spec = plant_spec(kind, size, seed, bars=bars, assets=assets, stream=stream)
    return panel_of_plant(kind, spec)


def noise_spec(kind: str, seed: int, *, bars: int, interval: str = INTERVAL) -> SynthSpec:
    """Law of a synthetic market in which nothing can be known of the next bar's move.

    Each kind draws from a stream of its own, so that markets of one seed are independent.
    """
    calm = {"alpha": 0.0, "beta": 0.0}
    hold = HOLDING_SHARPE * SIGMA / math.sqrt(bars_per_year(interval_ms(interval)))
    laws: Mapping[str, Mapping[str, Any]] = {
        "normal": {**calm, "dof": NORMAL_DOF},
        "t4": {**calm, "dof": 4.0},
        "garch_t": {},
        "drift": {"plants": (Plant("drift", hold),)},
    }
    if kind not in laws:
        raise DataError(f"unknown noise '{kind}'", fix=f"use one of {', '.join(laws)}")
    return SynthSpec(
        assets=1,
        bars=bars,
        interval=interval,
        seed=seed,
        stream=_STREAMS[kind],
        sigma=SIGMA,
        **laws[kind],
    )


def noise_panel(
    kind: str,
    seed: int,
    *,
    searched_bars: int = SEARCHED_BARS,
    sealed_bars: int = SEALED_BARS,
    interval: str = INTERVAL,
    real: Path | None = None,
) -> Panel:
    """Market without an edge; what holding it earns (``drift``) is none.

    Parameters
    ----------
    kind : str
        One of `NOISE_KINDS`.
    seed : int
    searched_bars, sealed_bars : int
        The panel holds both.
    interval : str
        Whole hours for ``signed_real``.
    real : Path, optional
        Folder of hourly candles, SYMBOL/1h.parquet; `REAL` by default. Only ``signed_real``
        reads it.

    Raises
    ------
    DataError
        If the kind is unknown, or the real candles are missing or too few.
    """
    bars = searched_bars + sealed_bars
    if kind == "signed_real":
        drawn = signed_real(real or REAL, seed, bars, interval)
    else:
        drawn = synthesize(noise_spec(kind, seed, bars=bars, interval=interval))[0].bars
    spec = DatasetSpec(VENUE, ("SYN1",), interval, funding="none", sentiment=False)
    return build(spec, [SymbolData(default_instrument("SYN1"), drawn, None)])


def signed_real(folder: Path, seed: int, bars: int, interval: str = INTERVAL) -> Bars:
    """Real bars, each turned upside down or not at random; see `mirrored`.

    Symbol, window and signs are drawn by the seed, among the symbols with a whole window.
    """
    files = sorted(folder.glob("*/1h.parquet"))
    if not files:
        raise DataError(
            f"there are no hourly candles in {folder.name}",
            why=f"{folder} holds no SYMBOL/1h.parquet",
            fix="give the folder of a venue's candles, or leave 'signed_real' out",
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAMS["signed_real"],)))
    length = interval_ms(interval)
    for place in rng.permutation(len(files)):
        symbol = files[place].parent.name
        _, hourly = read_bars_file(ImportItem(files[place], "bars", folder.name, symbol, "1h"), {})
        whole = resample(hourly, "1h", interval)
        # one bar more: the first only gives the close that the second moves from
        spans = whole.ts_ms[bars:] - whole.ts_ms[: max(len(whole) - bars, 0)]
        starts = np.flatnonzero(spans == bars * length)
        if starts.size:
            start = int(rng.choice(starts))
            window = whole.take(slice(start, start + bars + 1))
            return mirrored(window, rng.random(bars) < 0.5).take(slice(1, None))
    raise DataError(f"no symbol in {folder.name} has {bars + 1} bars of {interval} without a gap")


def mirrored(bars: Bars, flip: npt.NDArray[np.bool_]) -> Bars:
    """Turn bars upside down about the close before them, in simple returns.

    A price ``p`` of a flipped bar becomes ``c (2 - p / c)`` about the close c before it, so that
    the high is made of the low, the path inside is the mirror image, and a bar whose sign is drawn
    at random has a mean simple return of zero.

    Parameters
    ----------
    bars : Bars
        N of them; the first stays as it is.
    flip : bool, shape (N - 1,)

    Notes
    -----
    A bar that rises by more than 90 % is mirrored in logarithms instead.
    """
    before = bars.close[:-1]
    ratios = {name: getattr(bars, name)[1:] / before for name in PRICES}
    # The simple mirror image of a bar that nearly doubles would reach zero.
    wild = np.maximum(ratios["high"], ratios["open"]) > 1.9
    turned = {name: np.where(wild, 1.0 / r, 2.0 - r) for name, r in ratios.items()}
    growth = np.where(flip, turned["close"], ratios["close"])
    # one running product: a close that is the bar's high stays so to the last bit
    close = np.cumprod(np.concatenate([bars.close[:1], growth]))

    def placed(name: str, mirror: str) -> npt.NDArray[np.float64]:
        ratio = np.where(flip, turned[mirror], ratios[name])
        return np.concatenate([getattr(bars, name)[:1], close[:-1] * ratio])

    return Bars(
        bars.ts_ms,
        placed("open", "open"),
        placed("high", "low"),
        placed("low", "high"),
        close,
        bars.volume,
    )
