"""What rules are written in: indicators as functions on nodes, and the market they read.

Numbers are accepted wherever a series is. Windows are whole numbers of bars; inside a seed family
they come from genes and lie on `genesis.strategy.grid.GRID`.
"""

from __future__ import annotations

from dataclasses import dataclass

from genesis.strategy import primitives as _primitives  # noqa: F401  (registers the primitives)
from genesis.strategy.node import Node, apply, as_node, const, series

Series = Node | float


@dataclass(frozen=True, slots=True)
class Market:
    """The series a rule may read: the traded symbol, or another one of the panel.

    Attributes
    ----------
    symbol : str, optional
        None for the symbol that is being traded.
    """

    symbol: str | None = None

    @property
    def open(self) -> Node:
        """Opening price of the bar."""
        return series("open", self.symbol)

    @property
    def high(self) -> Node:
        """Highest price of the bar."""
        return series("high", self.symbol)

    @property
    def low(self) -> Node:
        """Lowest price of the bar."""
        return series("low", self.symbol)

    @property
    def close(self) -> Node:
        """Closing price of the bar."""
        return series("close", self.symbol)

    @property
    def volume(self) -> Node:
        """Traded volume of the bar in base units."""
        return series("volume", self.symbol)

    @property
    def funding(self) -> Node:
        """Last settled funding rate per 8 hours; positive means that longs pay."""
        return series("funding", self.symbol)

    @property
    def sentiment(self) -> Node:
        """Last Fear & Greed value, 0 to 100."""
        return series("sentiment", self.symbol)

    @property
    def typical(self) -> Node:
        """``(high + low + close) / 3``."""
        return (self.high + self.low + self.close) / 3.0

    def other(self, symbol: str) -> Market:
        """The same series of another symbol of the panel."""
        return Market(symbol)


def lag(x: Series, n: int) -> Node:
    """Value n valid bars ago."""
    return apply("lag", x, n=n)


def diff(x: Series, n: int = 1) -> Node:
    """Change over n bars."""
    return apply("diff", x, n=n)


def roc(x: Series, n: int = 1) -> Node:
    """Fractional change over n bars, ``x / x_n - 1``."""
    return apply("roc", x, n=n)


def ema(x: Series, n: int) -> Node:
    """Exponential average, ``alpha = 2 / (n + 1)``, started by the mean of n values."""
    return apply("ema", x, n=n)


def wilder(x: Series, n: int) -> Node:
    """Wilder's average, ``alpha = 1 / n``, started by the mean of n values."""
    return apply("wilder", x, n=n)


def sma(x: Series, n: int) -> Node:
    """Mean of n values."""
    return apply("sma", x, n=n)


def wma(x: Series, n: int) -> Node:
    """Mean of n values with weights 1 (oldest) to n."""
    return apply("wma", x, n=n)


def kama(x: Series, n: int) -> Node:
    """Kaufman's adaptive average with an efficiency over n bars."""
    return apply("kama", x, n=n)


def nw(x: Series, n: int, kernel: int = 0) -> Node:
    """Causal Nadaraya-Watson regression of bandwidth n; kernel 0 Gaussian, 1 Epanechnikov."""
    return apply("nw", x, n=n, kernel=kernel)


def slope(x: Series, n: int) -> Node:
    """Least-squares slope over n bars, as a fraction of the last value per bar."""
    return apply("slope", x, n=n)


def macd(x: Series, fast: int, slow: int) -> Node:
    """Difference of two exponential averages."""
    return ema(x, fast) - ema(x, slow)


def rolling_sum(x: Series, n: int) -> Node:
    """Sum of n values."""
    return apply("sum", x, n=n)


def std(x: Series, n: int) -> Node:
    """Population standard deviation of n values."""
    return apply("std", x, n=n)


def zscore(x: Series, n: int) -> Node:
    """Distance of the last value from the mean of n, in standard deviations."""
    return apply("zscore", x, n=n)


def highest(x: Series, n: int) -> Node:
    """Largest of n values, the current one included."""
    return apply("highest", x, n=n)


def lowest(x: Series, n: int) -> Node:
    """Smallest of n values, the current one included."""
    return apply("lowest", x, n=n)


def median(x: Series, n: int) -> Node:
    """Median of n values."""
    return apply("median", x, n=n)


def rank(x: Series, n: int) -> Node:
    """Percentile rank of the last value among n, in (0, 1], ties averaged."""
    return apply("rank", x, n=n)


def corr(x: Series, y: Series, n: int) -> Node:
    """Pearson correlation of two series over n bars."""
    return apply("corr", x, y, n=n)


def beta(x: Series, y: Series, n: int) -> Node:
    """Least-squares slope of x on y over n bars."""
    return apply("beta", x, y, n=n)


def realised_vol(x: Series, n: int) -> Node:
    """Sample standard deviation of n log returns of x, per bar, not annualised."""
    return apply("realised_vol", x, n=n)


def rsi(x: Series, n: int) -> Node:
    """Wilder's relative strength index, 0 to 100."""
    return apply("rsi", x, n=n)


def tr(m: Market) -> Node:
    """True range in price units."""
    return apply("tr", m.high, m.low, m.close)


def atr(m: Market, n: int) -> Node:
    """Wilder's average true range in price units."""
    return apply("atr", m.high, m.low, m.close, n=n)


def adx(m: Market, n: int) -> Node:
    """Wilder's average directional index, 0 to 100."""
    return apply("adx", m.high, m.low, m.close, n=n)


def stoch(m: Market, n: int) -> Node:
    """Place of the close in the high-low channel of n bars (%K), 0 to 100."""
    return apply("stoch", m.high, m.low, m.close, n=n)


def midpoint(m: Market, n: int) -> Node:
    """Middle of the high-low channel of n bars."""
    return apply("midpoint", m.high, m.low, n=n)


def vwap(m: Market, n: int) -> Node:
    """Volume-weighted typical price of n bars."""
    return apply("vwap", m.high, m.low, m.close, m.volume, n=n)


def log(x: Series) -> Node:
    """Natural logarithm; invalid for x <= 0."""
    return apply("log", x)


def sqrt(x: Series) -> Node:
    """Square root; invalid for x < 0."""
    return apply("sqrt", x)


def sign(x: Series) -> Node:
    """-1, 0 or 1."""
    return apply("sign", x)


def clip(x: Series, lo: float, hi: float) -> Node:
    """Value held within ``[lo, hi]``."""
    return apply("clip", x, lo=lo, hi=hi)


def minimum(x: Series, y: Series) -> Node:
    """The smaller of two series, bar by bar."""
    return apply("min2", x, y)


def maximum(x: Series, y: Series) -> Node:
    """The larger of two series, bar by bar."""
    return apply("max2", x, y)


def between(x: Series, low: Series, high: Series) -> Node:
    """Whether ``low <= x <= high``."""
    return apply("between", x, low, high)


def cross_up(x: Series, y: Series) -> Node:
    """Whether x is above y and was not on the previous valid bar."""
    return apply("cross_up", x, y)


def cross_down(x: Series, y: Series) -> Node:
    """Whether x is below y and was not on the previous valid bar."""
    return apply("cross_down", x, y)


def persist(condition: Node, n: int) -> Node:
    """Whether the condition held on each of the last n bars."""
    return apply("persist", condition, n=n)


def since(condition: Node, n: int) -> Node:
    """Bars since the condition was last true, at most n."""
    return apply("since", condition, n=n)


def latch(on: Node, off: Node) -> Node:
    """True from `on` until `off`; unknown before the first of them, off wins over on."""
    return apply("latch", on, off)


def always(value: bool = True) -> Node:
    """A condition that is always true, or never."""
    return as_node(1.0 if value else 0.0) > const(0.5)


__all__ = [
    "Market",
    "Node",
    "Series",
    "adx",
    "always",
    "atr",
    "beta",
    "between",
    "clip",
    "const",
    "corr",
    "cross_down",
    "cross_up",
    "diff",
    "ema",
    "highest",
    "kama",
    "lag",
    "latch",
    "log",
    "lowest",
    "macd",
    "maximum",
    "median",
    "midpoint",
    "minimum",
    "nw",
    "persist",
    "rank",
    "realised_vol",
    "roc",
    "rolling_sum",
    "rsi",
    "series",
    "sign",
    "since",
    "slope",
    "sma",
    "sqrt",
    "std",
    "stoch",
    "tr",
    "vwap",
    "wilder",
    "wma",
    "zscore",
]
