"""Signals of the strategies on one symbol: the kernels of research, fed bar by bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genesis.domain.errors import DataError
from genesis.strategy.node import Node
from genesis.strategy.stream import BlockRunner
from genesis.trading.payloads import BarClosed

_NAN = float("nan")


class SignalGroup:
    """Nodes of all deployments that read one symbol from one anchor bar, computed once a bar.

    Parameters
    ----------
    symbol : str
        Traded symbol: fields without a symbol are its own.
    interval_ms, anchor_ms : int
        Bar length, and open time of the first bar that the kernels saw or will see.
    nodes : sequence of Node
        Fixed for the life of the group, since kernel state belongs to them.

    Notes
    -----
    Every grid bar since the anchor is fed, a missing one as NaN: a kernel sees exactly the series
    that research computes on.
    """

    __slots__ = ("_fields", "_runner", "anchor_ms", "interval_ms", "nodes", "symbol", "values")

    def __init__(
        self, symbol: str, interval_ms: int, anchor_ms: int, nodes: Sequence[Node]
    ) -> None:
        self.symbol = symbol
        self.interval_ms = interval_ms
        self.anchor_ms = anchor_ms
        self.nodes = tuple(nodes)
        self._runner = BlockRunner(self.nodes)
        self._fields = tuple(_field(text, symbol) for text in self._runner.fields)
        self.values: tuple[float, ...] = ()

    @property
    def bars(self) -> int:
        """Bars that the kernels have seen."""
        return self._runner.bars

    @property
    def next_ms(self) -> int:
        """Open time of the next bar that the kernels expect."""
        return self.anchor_ms + self._runner.bars * self.interval_ms

    def advance(self, open_ms: int, bars: Mapping[str, BarClosed]) -> bool:
        """Feed the bar that opened at ``open_ms``, and the missing ones before it.

        Parameters
        ----------
        open_ms : int
        bars : mapping of symbol to BarClosed
            Last final bar of each symbol; one of another open time is missing at this one.

        Returns
        -------
        bool
            False if the bar was seen before or lies off the grid; nothing has changed then.
        """
        ahead, off = divmod(open_ms - self.next_ms, self.interval_ms)
        if off or ahead < 0:
            return False
        if ahead:
            gap = np.full(ahead, np.nan)
            self._runner.feed(dict.fromkeys(self._runner.fields, gap), bars=ahead)
        row = []
        for symbol, name in self._fields:
            bar = bars.get(symbol)
            row.append(getattr(bar, name) if bar and bar.open_ms == open_ms else _NAN)
        self.values = self._runner.feed_bar(row)
        return True

    def plain(self) -> dict[str, Any]:
        """Kernel state for a snapshot, and what it belongs to."""
        return {
            "symbol": self.symbol,
            "interval_ms": self.interval_ms,
            "anchor_ms": self.anchor_ms,
            "kernels": self._runner.snapshot().hex(),
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`.

        Raises
        ------
        StrategyError
            If the state is of other nodes.
        """
        self._runner.restore(bytes.fromhex(value["kernels"]))

    @property
    def state_hash(self) -> str:
        """Hash of the kernels' state."""
        return self._runner.state_hash


def _field(text: str, own: str) -> tuple[str, str]:
    name, _, symbol = text.partition("@")
    if name not in ("open", "high", "low", "close", "volume", "funding", "sentiment"):
        raise DataError(f"live bars have no field '{name}'")
    return symbol or own, name
