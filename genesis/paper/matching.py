"""Fills of a paper run beside those of the backtest: which belong together, and what differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.domain.errors import InputError
from genesis.trading.money import exact

Floats = npt.NDArray[np.float64]

MISSING, EXTRA, SIZE, PRICE, TIME = (
    "missing fill", "extra fill", "size", "price", "time",
)  # fmt: skip
CAUSES = (MISSING, EXTRA, TIME, SIZE, PRICE)
"""What a divergence is, as far as fills can tell: the backtest has one that paper lacks, paper has
one more, both have it in different bars, with different sizes, or at different prices."""

LATE_BARS = 1
"""Bars by which a fill may be late or early and still be the same fill at another time."""
_ULPS = 4.0
"""Roundings that two ways to compute the same float may differ by."""


@dataclass(frozen=True, slots=True)
class PaperFill:
    """A fill of a paper run.

    Attributes
    ----------
    bar : int
        Place on the panel's timeline of the bar in which it happened.
    size : float
        Signed, base units.
    price : float
        With slippage.
    fee : float
        Quote units, positive where it costs.
    ts_ms : int
    order : str
        Id of its order; partial fills of one order in one bar count as one.
    fill : str
        Its own id, for whoever wants its story.
    """

    bar: int
    size: float
    price: float
    fee: float = 0.0
    ts_ms: int = 0
    order: str = ""
    fill: str = ""


@dataclass(frozen=True, slots=True)
class PaperSymbol:
    """What a paper run did on one symbol; arrays have shape (T,), one place a bar of the panel.

    Attributes
    ----------
    symbol : str
    fills : tuple of PaperFill
        In order of execution.
    position : float64
        Signed base units after each bar, as the ledger has them.
    equity : float64
        Net profit since the start after each bar, quote units, the open position marked at the
        last known close; NaN at bars that were not marked.
    outside : tuple of int
        Bars in which an act from outside closed a position, see `genesis.paper.positions`.
    """

    symbol: str
    fills: tuple[PaperFill, ...]
    position: Floats
    equity: Floats
    outside: tuple[int, ...] = ()


def positions_of(fills: Iterable[PaperFill], bars: int) -> Floats:
    """Signed position after each bar that fills add up to, shape (bars,).

    Added as decimals, like a ledger: what was bought and sold again leaves exactly nothing.
    """
    steps: dict[int, Decimal] = {}
    for fill in fills:
        steps[fill.bar] = steps.get(fill.bar, Decimal(0)) + exact(fill.size)
    out, position, since = np.zeros(bars), Decimal(0), 0
    for bar in sorted(steps):
        out[since:bar] = float(position)
        position, since = position + steps[bar], bar
    out[since:] = float(position)
    return out


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where paper and backtest part.

    Attributes
    ----------
    symbol : str
    bar, ts_ms : int
        Bar of the backtest's fill, or of paper's where there is no other.
    cause : str
        One of `CAUSES`, a guess from the two fills.
    paper, backtest : mapping or None
        bar, size, price, fee of each side, and of paper's the id of its fill; the reason of the
        backtest's order.
    """

    symbol: str
    bar: int
    ts_ms: int
    cause: str
    paper: dict[str, Any] | None
    backtest: dict[str, Any] | None

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Executed:
    """An execution of either side, in one form."""

    bar: int
    ts_ms: int
    size: float
    price: float
    fee: float
    what: str

    def plain(self, what: str) -> dict[str, Any]:
        """JSON form; ``what`` names the last field."""
        return {"bar": self.bar, "size": self.size, "price": self.price, "fee": self.fee,
                what: self.what}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matched:
    """Fills of one symbol, paired.

    Attributes
    ----------
    pairs : tuple of (paper, backtest)
        By bar and side, in order.
    late : tuple of (paper, backtest)
        The same side at most `LATE_BARS` bars apart.
    missing, extra : tuple of Executed
        The backtest's and paper's without a partner.
    """

    pairs: tuple[tuple[Executed, Executed], ...]
    late: tuple[tuple[Executed, Executed], ...]
    missing: tuple[Executed, ...]
    extra: tuple[Executed, ...]


def match_fills(paper: Sequence[PaperFill], backtest: SymbolBacktest) -> Matched:
    """Pair fills by bar and side, in order; then what is left by side within `LATE_BARS`.

    Two fills of one side in one bar (the close and the entry of a reversal) pair in their order.
    """
    ours = _merged(paper)
    theirs = [Executed(o.bar, o.ts_ms, o.size, o.price, o.fee, o.reason) for o in backtest.orders]
    waiting: dict[tuple[int, bool], list[Executed]] = {}
    for fill in ours:
        waiting.setdefault((fill.bar, fill.size > 0.0), []).append(fill)
    pairs, left = [], []
    for order in theirs:
        found = waiting.get((order.bar, order.size > 0.0))
        if found:
            pairs.append((found.pop(0), order))
        else:
            left.append(order)
    late, missing = [], []
    for order in left:
        near = [
            fill
            for bar in range(order.bar - LATE_BARS, order.bar + LATE_BARS + 1)
            for fill in waiting.get((bar, order.size > 0.0), ())
        ]
        if near:
            nearest = min(near, key=lambda fill: (abs(fill.size - order.size), fill.bar))
            waiting[nearest.bar, nearest.size > 0.0].remove(nearest)
            late.append((nearest, order))
        else:
            missing.append(order)
    rest = [fill for fills in waiting.values() for fill in fills]
    return Matched(tuple(pairs), tuple(late), tuple(missing), tuple(rest))


def _merged(fills: Sequence[PaperFill]) -> list[Executed]:
    """Partial fills of one order in one bar as one execution at their average price."""
    made = []
    for (bar, order), group in groupby(fills, key=lambda fill: (fill.bar, fill.order or id(fill))):
        parts = list(group)
        size = math.fsum(part.size for part in parts)
        price = (
            parts[0].price
            if len(parts) == 1
            else math.fsum(part.size * part.price for part in parts) / size
        )
        fee = math.fsum(part.fee for part in parts)
        name = parts[0].fill or (order if isinstance(order, str) else "")
        made.append(Executed(bar, parts[-1].ts_ms, size, price, fee, name))
    return made


def agree(mine: float, other: float, tolerance: float) -> bool:
    """Whether two numbers are equal to ``tolerance``: absolute from 1 on, relative below.

    A few roundings of the float itself are always allowed; where it is large they are more.
    """
    scale = min(1.0, abs(other))
    room = max(tolerance * scale, _ULPS * float(np.spacing(abs(other))))
    return abs(mine - other) <= room


def divergences(
    symbol: str, matched: Matched, price_tol: float, size_tol: float
) -> list[Divergence]:
    """Every difference between the fills of one symbol, in order of bars."""
    found = []
    for mine, other in matched.pairs:
        if not agree(mine.size, other.size, size_tol):
            found.append(_divergence(symbol, SIZE, mine, other))
        elif not agree(mine.price, other.price, price_tol):
            found.append(_divergence(symbol, PRICE, mine, other))
    found += [_divergence(symbol, TIME, mine, other) for mine, other in matched.late]
    found += [_divergence(symbol, MISSING, None, other) for other in matched.missing]
    found += [_divergence(symbol, EXTRA, mine, None) for mine in matched.extra]
    return sorted(found, key=lambda one: (one.bar, CAUSES.index(one.cause)))


def _divergence(
    symbol: str, cause: str, mine: Executed | None, other: Executed | None
) -> Divergence:
    at = other or mine
    assert at is not None
    return Divergence(
        symbol=symbol,
        bar=at.bar,
        ts_ms=at.ts_ms,
        cause=cause,
        paper=mine.plain("fill") if mine else None,
        backtest=other.plain("reason") if other else None,
    )


def earliest(found: Sequence[Divergence], count: int) -> tuple[Divergence, ...]:
    """The first ``count`` divergences of all symbols, by bar; a common cause hides no other."""
    ordered = sorted(found, key=lambda one: (one.bar, one.symbol))
    each = max(count // len(CAUSES), 1)
    kept = [k for cause in CAUSES for k in _places(ordered, cause)[:each]][:count]
    shown = set(kept)
    rest = [k for k in range(len(ordered)) if k not in shown]
    return tuple(ordered[k] for k in sorted(kept + rest[: count - len(kept)]))


def _places(ordered: Sequence[Divergence], cause: str) -> list[int]:
    return [k for k, one in enumerate(ordered) if one.cause == cause]


def paired(
    paper: Sequence[PaperSymbol], backtest: PortfolioBacktest
) -> list[tuple[PaperSymbol, SymbolBacktest]]:
    """The symbols of both sides side by side, in the backtest's order.

    Raises
    ------
    InputError
        If the symbols or the number of bars differ.
    """
    by_name = {one.symbol: one for one in paper}
    names, bars = [s.symbol for s in backtest.symbols], backtest.ts_ms.size
    if len(by_name) != len(paper) or set(by_name) != set(names):
        raise InputError(
            "paper run and backtest are not of the same symbols",
            why=f"paper has {', '.join(sorted(by_name))}; the backtest {', '.join(sorted(names))}",
            fix="compare them on one dataset",
        )
    for one in paper:
        if one.position.shape != (bars,) or one.equity.shape != (bars,):
            raise InputError(
                f"paper run and backtest are not of the same bars on {one.symbol}",
                why=f"paper has {one.position.size} positions and {one.equity.size} marks;"
                f" the backtest {bars} bars",
                fix="compare them on one dataset and span",
            )
    return [(by_name[s.symbol], s) for s in backtest.symbols]
