"""What a person might look at, from explicit rules over a strategy's numbers.

A rule says what it saw and the bound that it crossed; it never acts. Bounds come from the systems
that the platform grew out of where those had one, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from statistics import NormalDist
from typing import Any

from genesis.paper.numbers import Cell, PerformanceNumbers
from genesis.paper.outcomes import ASKED

LEAST_TRADES = 10
"""Round trips below which only the shortage itself is said (position optimizer and feedback)."""
STOP_OUT_SHARE, STOP_OUT_TRADES = 0.70, 20
"""Early exit is worth a look from this share of stop-outs on (position optimizer)."""
LOW_WIN_RATE = 0.30
"""Retirement rule and alert of the decision engine."""
LOW_SHARPE, SHARPE_DAYS = 0.8, 7
"""Least paper Sharpe ratio of an approval; days of a retirement rule."""
HIGH_DRAWDOWN = 0.12
"""Greatest drawdown of an approval."""
LOSING_STREAK = 5
"""Consecutive losses of the risk genome's default."""
LOW_SUCCESS, SUCCESS_ORDERS = 0.95, 20
"""Alert on execution success."""
HIGH_SLIPPAGE_BP = 20.0
"""Beyond 0.2 % an execution is no longer GOOD."""
SLOW_MS = 1000.0
"""Beyond one second an execution is no longer FAIR; alert on latency."""
WIN_RATE_DROP = 0.10
"""Fall of the last 20 trades' win rate against the 20 before (feedback service)."""
PART_LEVEL = 0.05
"""Chance of naming a part of the trades that is no worse than the rest, over all parts."""
COST_SHARE = 0.50
"""Costs above this share of the profit before costs; our own bound."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One finding.

    Attributes
    ----------
    rule : str
        Name of the rule, as the documentation lists it.
    text : str
        What was seen and what might be looked at.
    value, limit : float
        The number that was seen and the bound that it crossed.
    """

    rule: str
    text: str
    value: float
    limit: float

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def recommendations(numbers: PerformanceNumbers) -> list[Recommendation]:
    """Findings of every rule, in the order of `RULES`; of few trades only that they are few."""
    if numbers.trades < LEAST_TRADES:
        text = (
            f"{numbers.trades} of {LEAST_TRADES} round trips needed: too few to judge;"
            " let it trade longer or on more symbols"
        )
        return [Recommendation("few trades", text, numbers.trades, LEAST_TRADES)]
    return [found for rule in RULES for found in rule(numbers)]


def _stop_outs(n: PerformanceNumbers) -> Iterator[Recommendation]:
    share = n.stop_outs / n.trades
    if n.trades >= STOP_OUT_TRADES and share >= STOP_OUT_SHARE:
        text = (
            f"stop-outs {share:.0%} of {n.trades} trades: the stop lies inside the noise;"
            " try a wider stop, a smaller size, or an earlier exit"
        )
        yield Recommendation("stop-outs", text, share, STOP_OUT_SHARE)


def _win_rate(n: PerformanceNumbers) -> Iterator[Recommendation]:
    if n.win_rate is not None and n.win_rate < LOW_WIN_RATE:
        factor = f", profit factor {n.profit_factor:.2f}" if n.profit_factor is not None else ""
        text = (
            f"win rate {n.win_rate:.0%} of {n.trades} trades{factor}: below the {LOW_WIN_RATE:.0%}"
            " at which strategies are retired"
        )
        yield Recommendation("win rate", text, n.win_rate, LOW_WIN_RATE)


def _loses(n: PerformanceNumbers) -> Iterator[Recommendation]:
    if n.profit_factor is not None and n.profit_factor < 1.0:
        text = (
            f"losers cost {n.gross_loss:,.2f} and winners brought {n.gross_profit:,.2f}"
            f" (profit factor {n.profit_factor:.2f}): it loses money as it trades now"
        )
        yield Recommendation("profit factor", text, n.profit_factor, 1.0)


def _sharpe(n: PerformanceNumbers) -> Iterator[Recommendation]:
    if n.sharpe is not None and n.days >= SHARPE_DAYS and n.sharpe < LOW_SHARPE:
        text = (
            f"Sharpe ratio {n.sharpe:.2f} over {n.days} days: an approval asks for {LOW_SHARPE:g}"
        )
        yield Recommendation("sharpe", text, n.sharpe, LOW_SHARPE)


def _drawdown(n: PerformanceNumbers) -> Iterator[Recommendation]:
    if n.max_drawdown > HIGH_DRAWDOWN:
        text = (
            f"drawdown {n.max_drawdown:.1%} of capital: an approval allows {HIGH_DRAWDOWN:.0%};"
            " a smaller size scales it down"
        )
        yield Recommendation("drawdown", text, n.max_drawdown, HIGH_DRAWDOWN)


def _streak(n: PerformanceNumbers) -> Iterator[Recommendation]:
    if -n.current_streak >= LOSING_STREAK:
        text = (
            f"{-n.current_streak} losses in a row at the end (longest {n.longest_losing_streak}):"
            f" {LOSING_STREAK} are the default limit of the risk manager"
        )
        yield Recommendation("losing streak", text, -n.current_streak, LOSING_STREAK)


def _trend(n: PerformanceNumbers) -> Iterator[Recommendation]:
    half = len(n.recent) // 2
    if half < 20:
        return
    before, after = (sum(part) / half for part in (n.recent[:half], n.recent[half:]))
    if before - after > WIN_RATE_DROP:
        text = (
            f"win rate of the last {half} trades {after:.0%}, of the {half} before {before:.0%}:"
            " what it trades on may have changed"
        )
        yield Recommendation("trend", text, before - after, WIN_RATE_DROP)


def _success(n: PerformanceNumbers) -> Iterator[Recommendation]:
    asked = sum(n.order_status.get(name, 0) for name in ASKED)
    if n.success_rate is not None and asked >= SUCCESS_ORDERS and n.success_rate < LOW_SUCCESS:
        text = (
            f"{n.success_rate:.1%} of {asked} orders were filled"
            f" ({n.order_status.get('rejected', 0)} rejected,"
            f" {n.order_status.get('expired', 0)} expired): look at the reasons of the rejections"
        )
        yield Recommendation("execution success", text, n.success_rate, LOW_SUCCESS)


def _slippage(n: PerformanceNumbers) -> Iterator[Recommendation]:
    mean = n.mean_slippage_bp
    if mean is not None and mean > HIGH_SLIPPAGE_BP:
        text = (
            f"mean slippage {mean:.1f} bp (median {n.median_slippage_bp:.1f} bp): beyond"
            f" {HIGH_SLIPPAGE_BP:g} bp executions are not GOOD; try smaller or sliced orders"
        )
        yield Recommendation("slippage", text, mean, HIGH_SLIPPAGE_BP)


def _latency(n: PerformanceNumbers) -> Iterator[Recommendation]:
    slow = n.latency_p95_ms
    if slow is not None and slow > SLOW_MS:
        text = f"one order in twenty takes longer than {slow:,.0f} ms: {SLOW_MS:,.0f} ms is FAIR"
        yield Recommendation("latency", text, slow, SLOW_MS)


def _costs(n: PerformanceNumbers) -> Iterator[Recommendation]:
    costs = n.fees + n.slippage_cost + n.funding
    before = n.pnl + costs
    if before > 0.0 and costs > COST_SHARE * before:
        text = (
            f"costs {costs:,.2f} take {costs / before:.0%} of the profit before costs of"
            f" {before:,.2f} (fees {n.fees:,.2f}, slippage {n.slippage_cost:,.2f}, funding"
            f" {n.funding:,.2f}): trade less often or rest orders"
        )
        yield Recommendation("costs", text, costs / before, COST_SHARE)


def _losing_group(n: PerformanceNumbers, group: str, words: str) -> Iterator[Recommendation]:
    """The part that does worst, where it loses, the rest earns, and chance hardly explains it."""
    cells = n.by[group]
    squares = math.fsum(cell.squares for cell in cells.values())
    found = []
    for key, cell in cells.items():
        rest = Cell(n.trades - cell.trades, 0, Decimal(repr(n.pnl)) - cell.pnl,
                    squares - cell.squares)  # fmt: skip
        if min(cell.trades, rest.trades) >= LEAST_TRADES and cell.pnl < 0 < rest.pnl:
            score, freedom = _difference(cell, rest)
            limit = student_quantile(PART_LEVEL / len(cells), freedom)
            if score < limit:
                found.append((score - limit, key, score, limit, rest))
    if found:
        _, key, score, limit, rest = min(found, key=lambda row: row[:2])
        cell = cells[key]
        text = (
            f"{words.format(key)}: {cell.trades} trades lose {-cell.pnl:,.2f} (win rate"
            f" {cell.win_rate:.0%}) while the other {rest.trades} earn {rest.pnl:,.2f};"
            f" {-score:.1f} standard errors apart, where chance among {len(cells)} parts"
            f" explains {-limit:.1f}"
        )
        yield Recommendation(f"losing {group}", text, score, limit)


def _difference(cell: Cell, rest: Cell) -> tuple[float, float]:
    """How far apart the mean profits of a part and of the rest are (Welch's test).

    Returns
    -------
    float
        Difference in standard errors, negative where the part does worse.
    float
        Degrees of freedom.
    """
    means = [float(one.pnl) / one.trades for one in (cell, rest)]
    errors = [
        max(one.squares - one.trades * mean * mean, 0.0) / (one.trades - 1) / one.trades
        for one, mean in zip((cell, rest), means, strict=True)
    ]
    total = sum(errors)
    if not total > 0.0:
        return 0.0, 1.0  # without any spread there is nothing to measure a difference by
    parts = [e * e / (one.trades - 1) for e, one in zip(errors, (cell, rest), strict=True)]
    return (means[0] - means[1]) / math.sqrt(total), total * total / sum(parts)


def student_quantile(p: float, freedom: float) -> float:
    """Quantile of Student's t by its expansion about the normal one.

    Abramowitz and Stegun (1964), 26.7.5; within 1 % for 9 degrees of freedom and p of 0.002.
    """
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return sum(term / freedom**k for k, term in enumerate(terms))


def _symbol(n: PerformanceNumbers) -> Iterator[Recommendation]:
    yield from _losing_group(n, "symbol", "{}")


def _hour(n: PerformanceNumbers) -> Iterator[Recommendation]:
    yield from _losing_group(n, "hour", "entries at {} h UTC")


def _side(n: PerformanceNumbers) -> Iterator[Recommendation]:
    yield from _losing_group(n, "side", "entries by {}")


RULES: tuple[Callable[[PerformanceNumbers], Iterator[Recommendation]], ...] = (
    _loses,
    _win_rate,
    _sharpe,
    _drawdown,
    _stop_outs,
    _streak,
    _trend,
    _costs,
    _slippage,
    _latency,
    _success,
    _symbol,
    _hour,
    _side,
)
"""Every rule; docs/paper.md lists them with their bounds."""
