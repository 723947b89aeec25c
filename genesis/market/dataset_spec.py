"""The name of a dataset: which symbols, which bars, which span, and what stands in for funding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from genesis.domain.errors import DataError
from genesis.domain.timeline import DAY_MS, INTERVALS, format_ts, interval_ms, parse_ts
from genesis.market.funding import FundingFallback

_INTERVAL = "|".join(sorted(INTERVALS, key=len, reverse=True))
# Symbols may hold ':' and '/' (BTC/USDC:USDC); the interval is what ends them.
_TEXT = re.compile(
    rf"^(?P<venue>[^:\s]+):(?P<symbols>\S+?):(?P<interval>{_INTERVAL})(:(?P<span>\S+))?$"
)
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A selection of bars on one timeline.

    Attributes
    ----------
    venue : str
    symbols : tuple of str
        In the panel's order.
    interval : str
        Bar length, ``1h``.
    start_ms, end_ms : int or None
        First and last open time taken, both inclusive; None means all there is.
    funding : str
        Stands in for symbols without a funding series of their own: ``required`` (nothing does:
        an error), ``none`` (zero), ``constant:RATE_PER_8H`` or ``proxy:SYMBOL``.
    sentiment : bool or str
        True: the Fear & Greed index when the store has it; a name: that index, required; False:
        none. Without an index the field is unknown on every bar.
    """

    venue: str
    symbols: tuple[str, ...]
    interval: str
    start_ms: int | None = None
    end_ms: int | None = None
    funding: str = "required"
    sentiment: bool | str = True

    def __post_init__(self) -> None:
        interval_ms(self.interval)
        FundingFallback.parse(self.funding)
        if not self.venue or not self.symbols or not all(self.symbols):
            raise DataError(
                "a dataset needs a venue and at least one symbol", fix="write venue:SYM,SYM:1h"
            )
        twice = sorted({s for s in self.symbols if self.symbols.count(s) > 1})
        if twice:
            raise DataError(
                f"symbol named twice: {', '.join(twice)}", fix="name each symbol of a dataset once"
            )
        if self.start_ms is not None and self.end_ms is not None and self.start_ms >= self.end_ms:
            raise DataError(
                f"the span {format_ts(self.start_ms)} to {format_ts(self.end_ms)} is empty",
                why="it starts when or after it ends",
                fix="write the earlier date first, from..to",
            )

    @property
    def text(self) -> str:
        """``venue:SYM,SYM:interval[:from..to]``; `parse` reads it back."""
        text = f"{self.venue}:{','.join(self.symbols)}:{self.interval}"
        if self.start_ms is None and self.end_ms is None:
            return text
        return f"{text}:{_spell_start(self.start_ms)}..{_spell_end(self.end_ms)}"

    @property
    def fallback(self) -> FundingFallback:
        """The funding rule, read."""
        return FundingFallback.parse(self.funding)

    @classmethod
    def of(
        cls,
        venue: str,
        symbols: Sequence[str],
        interval: str,
        start: str | None = None,
        end: str | None = None,
        funding: str = "required",
        sentiment: bool | str = True,
    ) -> DatasetSpec:
        """Build a spec from a configuration's words, dates as ISO text.

        Raises
        ------
        DataError, InputError
            As `parse`.
        """
        return cls(
            venue,
            tuple(symbols),
            interval,
            parse_ts(start) if start else None,
            parse_end(end) if end else None,
            funding,
            sentiment,
        )


def parse(text: str, *, funding: str = "required", sentiment: bool | str = True) -> DatasetSpec:
    """Read ``venue:SYM[,SYM]:interval[:from..to]``.

    Both ends are inclusive and may be left out (``2024-01-01..``). A plain date as the end
    means that whole day.

    Raises
    ------
    DataError
        If the text has another shape, a symbol is named twice or the span is empty.
    InputError
        If the interval or a date cannot be read.
    """
    match = _TEXT.match(text.strip())
    if match is None:
        _explain(text)
    assert match is not None
    span = match["span"]
    start, end = _ends(span) if span is not None else (None, None)
    symbols = match["symbols"].split(",")
    return DatasetSpec.of(
        match["venue"], symbols, match["interval"], start, end, funding, sentiment
    )


def parse_end(text: str) -> int:
    """Last open time taken, in milliseconds: a plain date means the end of that day."""
    moment = parse_ts(text)
    return moment + DAY_MS - 1 if _DATE.match(text.strip()) else moment


def _ends(span: str) -> tuple[str | None, str | None]:
    start, dots, end = span.partition("..")
    if not dots or not (start or end):
        raise DataError(
            f"'{span}' is no span of time", fix="write from..to, 2024-01-01..2024-12-31"
        )
    return start or None, end or None


def _explain(text: str) -> None:
    parts = text.strip().split(":")
    if len(parts) >= 3 and not any(part in INTERVALS for part in parts[2:]):
        interval_ms(parts[2])
    raise DataError(
        f"'{text}' is no dataset",
        why="it must be venue:SYM[,SYM]:interval[:from..to]",
        fix="for example binance_perp:BTCUSDT,ETHUSDT:1h:2021-01-01..2024-12-31",
    )


def _spell_start(ts_ms: int | None) -> str:
    if ts_ms is None:
        return ""
    return format_ts(ts_ms)[:10] if ts_ms % DAY_MS == 0 else _spell(ts_ms)


def _spell_end(ts_ms: int | None) -> str:
    if ts_ms is None:
        return ""
    return format_ts(ts_ms)[:10] if ts_ms % DAY_MS == DAY_MS - 1 else _spell(ts_ms)


def _spell(ts_ms: int) -> str:
    minutes = format_ts(ts_ms)
    rest = ts_ms % _MINUTE_MS
    return minutes if rest == 0 else f"{minutes[:-1]}:{rest // 1000:02d}.{rest % 1000:03d}Z"
