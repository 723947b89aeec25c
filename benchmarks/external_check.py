"""The best of thousands of technical rules on two stock indices, alone and among the others.

Neither the prices nor the kinds of rules are ours: the S&P 500 and the NASDAQ Composite, daily from
1999 to 2018, as arch ships them, and what the literature on data snooping and the practice since
have tried on such indices (see `technical_rules`). Each test asks whether the best
rule earns more than cash, by its own p-value and by those that know of all the others.

    python benchmarks/external_check.py
    python benchmarks/external_check.py --draws 2000 --block 20
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from technical_rules import WARM_UP, Prices, Universe, earned, universe

from genesis.validation.effective import principal_components
from genesis.validation.multiple import haircut_sharpes
from genesis.validation.sharpe import (
    deflated_sharpe,
    min_backtest_length,
    moments,
    probabilistic_sharpe,
)
from genesis.validation.snooping import long_run_sd, reality_check, spa, step_m

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

INDICES = ("sp500", "nasdaq")
COSTS = (0.0, 0.0005, 0.001)
"""Share of the traded value, a side."""
YEAR = 252
SPLIT = "2009-01-01"
DRAWS, BLOCK = 1000, 10.0
"""Mean blocks of ten days, as in Sullivan, Timmermann & White and in Hsu & Kuan."""
LEVEL = 0.05
SEED = 20_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Days of an index on which all rules are judged.

    Attributes
    ----------
    days : datetime64, shape (T,)
        Close at which the return of a row is known.
    market : float64, shape (T,)
        Return of the index itself.
    prices : Prices
        With the days before, which only form positions.
    rules : Universe
    """

    days: npt.NDArray[np.datetime64]
    market: Floats
    prices: Prices
    rules: Universe

    @property
    def early(self) -> Bools:
        """Days of the first of the two spans."""
        return np.asarray(self.days < np.datetime64(SPLIT))

    def returns(self, cost: float, delay: int = 1) -> Floats:
        """Daily returns of all rules after costs, shape (T, K)."""
        return earned(self.rules.positions, self.prices.close, cost, delay)[WARM_UP:]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests say about the best rule of a sample, in the sense of its mean return.

    Attributes
    ----------
    rule : str
    mean : float
        Annual, in percent.
    nominal, reality : float
        P-value of the rule as if it were the only one, and among all, on the same resamples.
    spa_lower, spa, spa_upper : float
    survivors : int
        Rules that StepM finds at 5 %; its first step is the SPA test itself, so that there are
        none when that one does not reject.
    """

    rule: str
    mean: float
    nominal: float
    reality: float
    spa_lower: float
    spa: float
    spa_upper: float
    survivors: int


@dataclass(frozen=True, slots=True)
class SharpeVerdict:
    """What the Sharpe ratio of the best rule, in that sense, is worth among so many.

    Attributes
    ----------
    rule : str
    sharpe : float
        Annual.
    nominal : float
        One-sided p-value alone: 1 less the probabilistic ratio.
    holm, bhy : float
        Two-sided p-values of Harvey & Liu.
    deflated, deflated_effective : float
        1 less the deflated ratio, for all rules and for their principal components.
    effective : int
        Components that carry 95 % of the variance of five-day returns.
    least_years, years : float
        Length of record that the best of so many useless rules needs to show less, and ours.
    """

    rule: str
    sharpe: float
    nominal: float
    holm: float
    bhy: float
    deflated: float
    deflated_effective: float
    effective: int
    least_years: float
    years: float


def load(name: str) -> Sample:
    """One of `INDICES`."""
    import arch.data.nasdaq
    import arch.data.sp500

    frame = {"sp500": arch.data.sp500, "nasdaq": arch.data.nasdaq}[name].load()
    prices = Prices(*(frame[c].to_numpy(np.float64) for c in ("Open", "High", "Low", "Close")))
    market = prices.close[1:] / prices.close[:-1] - 1.0
    days = frame.index.to_numpy().astype("datetime64[D]")[1:]
    return Sample(days[WARM_UP:], market[WARM_UP:], prices, universe(prices))


def alone_and_among(
    excess: Floats, draws: int = DRAWS, block: float = BLOCK
) -> tuple[int, float, float]:
    """Best column by its mean, its own p-value and that of the Reality Check."""
    best = int(np.argmax(np.mean(excess, axis=0)))
    alone, among = (
        reality_check(x, draws=draws, block=block, rng=np.random.default_rng(SEED))
        for x in (np.ascontiguousarray(excess[:, [best]]), excess)
    )
    return best, alone, among


def judge(
    returns: Floats, names: tuple[str, ...], draws: int = DRAWS, block: float = BLOCK
) -> Verdict:
    """Every test of the best mean among columns."""
    best, alone, among = alone_and_among(returns, draws, block)
    superior = spa(returns, draws=draws, block=block, rng=np.random.default_rng(SEED))
    survivors = 0
    if superior.consistent <= LEVEL:
        rng = np.random.default_rng(SEED)
        survivors = int(np.sum(step_m(returns, draws=draws, block=block, rng=rng, level=LEVEL)))
    mean = float(np.mean(returns[:, best])) * YEAR * 100.0
    bounds = (superior.lower, superior.consistent, superior.upper)
    return Verdict(names[best], mean, alone, among, *bounds, survivors)


def judge_sharpe(returns: Floats, names: tuple[str, ...]) -> SharpeVerdict:
    """Every test of the best Sharpe ratio among columns."""
    varies = np.ptp(returns, axis=0) > 0.0
    kept, places = returns[:, varies], np.flatnonzero(varies)
    annual = np.mean(kept, axis=0) / np.std(kept, axis=0, ddof=1) * math.sqrt(YEAR)
    best, years = int(np.argmax(annual)), returns.shape[0] / YEAR
    weeks = returns.shape[0] // 5
    effective = principal_components(kept[: weeks * 5].reshape(weeks, 5, -1).sum(axis=1))
    m = moments(np.ascontiguousarray(kept[:, best]))
    return SharpeVerdict(
        rule=names[places[best]],
        sharpe=float(annual[best]),
        nominal=1.0 - probabilistic_sharpe(m),
        holm=haircut_sharpes(annual, years, "holm")[best].adjusted,
        bhy=haircut_sharpes(annual, years, "bhy")[best].adjusted,
        deflated=1.0 - deflated_sharpe(m, kept.shape[1]),
        deflated_effective=1.0 - deflated_sharpe(m, effective),
        effective=effective,
        least_years=min_backtest_length(kept.shape[1], float(annual[best])),
        years=years,
    )


def handed_on(
    sample: Sample, cost: float, draws: int = DRAWS, block: float = BLOCK
) -> dict[str, Any]:
    """What the best rule of the first span earned in the second, annual means in percent."""
    returns = sample.returns(cost)
    seen, later = returns[sample.early], returns[~sample.early]
    best, alone, among = alone_and_among(seen, draws, block)
    means = np.mean(later, axis=0)
    after = np.ascontiguousarray(later[:, [best]])
    return {
        "rule": sample.rules.names[best],
        "mean_first": float(np.mean(seen[:, best])) * YEAR * 100.0,
        "nominal_first": alone,
        "reality_first": among,
        "mean_second": float(means[best]) * YEAR * 100.0,
        "nominal_second": alone_and_among(after, draws, block)[1],
        "rank_second": float(np.mean(means < means[best])),
        "index_second": float(np.mean(sample.market[~sample.early])) * YEAR * 100.0,
    }


def arch_gap(returns: Floats, every: int = 40) -> float:
    """Largest difference between our SPA p-values and arch's on some columns, in its sd by chance.

    arch studentises only its threshold, so that the columns are scaled before.
    """
    from arch.bootstrap import SPA

    some = np.ascontiguousarray(returns[:, ::every])
    sd = long_run_sd(some, BLOCK)
    scaled = some[:, sd > 0.0] / sd[sd > 0.0]
    ours = spa(some, draws=DRAWS, block=BLOCK, rng=np.random.default_rng(SEED))
    theirs = SPA(np.zeros(len(scaled)), -scaled, block_size=int(BLOCK), reps=DRAWS, seed=SEED)
    theirs.compute()
    gaps = []
    for name in ("lower", "consistent", "upper"):
        mine, p = float(getattr(ours, name)), float(theirs.pvalues[name])
        middle = (mine + p) / 2.0
        gaps.append(abs(mine - p) / math.sqrt(max(2.0 * middle * (1.0 - middle), 1e-9) / DRAWS))
    return max(gaps)


def measure(sample: Sample, draws: int, block: float) -> dict[str, Any]:
    """Everything that is said of one index."""
    names = sample.rules.names
    rows: dict[str, Any] = {}
    for cost in COSTS:
        returns = sample.returns(cost)
        against = alone_and_among(returns - sample.market[:, None], draws, block)
        rows[f"{cost * 1e4:g}bp"] = {
            "cash": asdict(judge(returns, names, draws, block)),
            "sharpe": asdict(judge_sharpe(returns, names)),
            "buy_and_hold": {"nominal": against[1], "reality": against[2]},
            "handed_on": handed_on(sample, cost, draws, block),
        }
    free = sample.returns(0.0)
    rows["arch_gap_sd"] = arch_gap(free)
    rows["reality_by_block"] = {f"{b:g}": alone_and_among(free, draws, b)[2] for b in (2.0, 50.0)}
    rows["reality_of_a_look_ahead"] = alone_and_among(sample.returns(COSTS[-1], 0), draws, block)[2]
    return rows


def checks_of(figures: dict[str, Any]) -> dict[str, bool]:
    """What must hold of the numbers, and what they say on these data."""
    tests = [figures[i][f"{c * 1e4:g}bp"] for i in figures for c in COSTS]
    paid = [t["cash"] for i in figures for t in (figures[i]["5bp"], figures[i]["10bp"])]
    return {
        "nominal p at most that of the Reality Check": all(
            t[kind]["nominal"] <= t[kind]["reality"]
            for t in tests
            for kind in ("cash", "buy_and_hold")
        ),
        "SPA lower <= consistent <= upper": all(
            t["cash"]["spa_lower"] <= t["cash"]["spa"] <= t["cash"]["spa_upper"] for t in tests
        ),
        "arch agrees within 4 sd": all(f["arch_gap_sd"] <= 4.0 for f in figures.values()),
        "a look-ahead is found": all(
            f["reality_of_a_look_ahead"] <= 0.01 for f in figures.values()
        ),
        "every best rule convinces alone": all(t["cash"]["nominal"] <= LEVEL for t in tests),
        "none does among the others once trading costs": all(
            t["reality"] > LEVEL and t["spa"] > LEVEL for t in paid
        ),
    }


def main() -> int:
    """Judge both indices, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--block", type=float, default=BLOCK, help="mean block length in days")
    options = parser.parse_args()
    samples = {name: load(name) for name in INDICES}
    figures = {name: measure(s, options.draws, options.block) for name, s in samples.items()}
    paid = [f[cost]["cash"] for f in figures.values() for cost in ("5bp", "10bp")]
    least = min(paid, key=lambda verdict: verdict["reality"])
    checks = checks_of(figures)
    report = {
        "name": "external_check",
        "value": round(least["reality"], 4),
        "unit": "least Reality Check p of a best rule that pays 5 or 10 bp a side",
        "reference": round(least["nominal"], 4),
        "ratio": round(least["reality"] / least["nominal"], 1),
        "rules": len(samples["sp500"].rules.names),
        "days": len(samples["sp500"].days),
        "figures": figures,
        "checks": checks,
    }
    print(json.dumps(report))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
