"""Answers about what happened to one account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.accounts import FILLS_KEPT, Account, Fill
from genesis.exchange.venue.settlement import shown_fill
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.twap import shown_twap
from genesis.exchange.venue.units import ratio, show_money

Json = dict[str, Any]
FILLS_PER_ANSWER = 2000
ROWS_PER_ANSWER = 500


class UserHistory:
    """Readers of fills, funding, transfers and TWAPs; time bounds are inclusive."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    def _account(self, user: str) -> Account:
        return self._state.accounts.get(user) or Account(address=user)

    def _shown(self, fill: Fill) -> Json:
        return shown_fill(fill, self._state.markets[fill.asset].spec)

    def fills(self, user: str, *, aggregate: bool = False) -> list[Json]:
        """Return ``userFills``: the newest 2000, newest first."""
        kept = self._account(user).fills[-FILLS_KEPT:]
        rows: Iterable[Fill] = _aggregated(kept) if aggregate else kept
        newest = list(rows)[-FILLS_PER_ANSWER:]
        if self._state.profile.fills_newest_first:
            newest.reverse()
        return [self._shown(fill) for fill in newest]

    def fills_by_time(
        self,
        user: str,
        start_ms: int,
        end_ms: int | None = None,
        *,
        aggregate: bool = False,
        newest_first: bool = False,
    ) -> list[Json]:
        """Return ``userFillsByTime``: at most 2000, oldest first, of the 10,000 newest fills."""
        end = self._state.now_ms if end_ms is None else end_ms
        kept = self._account(user).fills[-FILLS_KEPT:]
        rows = [fill for fill in kept if start_ms <= fill.ts_ms <= end]
        if aggregate:
            rows = list(_aggregated(rows))
        if newest_first:
            rows.reverse()
        return [self._shown(fill) for fill in rows[:FILLS_PER_ANSWER]]

    def funding(self, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
        """Return ``userFunding``: at most 500 payments, oldest first."""
        return self._between(self._account(user).funding, start_ms, end_ms)

    def ledger(self, user: str, start_ms: int, end_ms: int | None = None) -> list[Json]:
        """Return ``userNonFundingLedgerUpdates``: at most 500, oldest first."""
        return self._between(self._account(user).ledger, start_ms, end_ms)

    def _between(self, rows: list[Json], start_ms: int, end_ms: int | None) -> list[Json]:
        end = self._state.now_ms if end_ms is None else end_ms
        return [row for row in rows if start_ms <= row["time"] <= end][:ROWS_PER_ANSWER]

    def twaps(self, user: str) -> list[Json]:
        """Return ``twapHistory``, newest first."""
        return [shown_twap(self._state, twap) for twap in reversed(self._account(user).twaps)]

    def twap_fills(self, user: str, start_ms: int = 0, end_ms: int | None = None) -> list[Json]:
        """Return ``userTwapSliceFills`` (and its form by time), newest first."""
        end = self._state.now_ms if end_ms is None else end_ms
        return [
            {"fill": self._shown(fill), "twapId": fill.twap}
            for fill in reversed(self._account(user).fills)
            if fill.twap and start_ms <= fill.ts_ms <= end
        ][:FILLS_PER_ANSWER]

    def portfolio(self, user: str, value: int) -> list[Any]:
        """Return ``portfolio``: profit and volume per span, at its ends.

        Parameters
        ----------
        user : str
        value : int
            Worth of the account now, in money.
        """
        account = self._account(user)
        now = self._state.now_ms
        spans = (("day", 1), ("week", 7), ("month", 30), ("allTime", 0))
        out: list[Any] = []
        for prefix in ("", "perp"):
            for name, days in spans:
                start = now - days * DAY_MS if days else 0
                fills = [fill for fill in account.fills if fill.ts_ms >= start]
                profit = sum(fill.profit - fill.fee for fill in fills)
                volume = sum(fill.px * fill.sz for fill in fills)
                first = max(start, self._state.started_ms)
                label = f"{prefix}{name[0].upper()}{name[1:]}" if prefix else name
                history = [[first, show_money(value - profit)], [now, show_money(value)]]
                profits = [[first, "0.0"], [now, show_money(profit)]]
                body = {"accountValueHistory": history, "pnlHistory": profits}
                out.append([label, {**body, "vlm": show_money(volume)}])
        return out


def _aggregated(fills: Iterable[Fill]) -> Iterator[Fill]:
    """Join the partial fills of an order that crossed the book at one instant."""
    pending: list[Fill] = []
    for fill in fills:
        if pending and (
            fill.oid != pending[0].oid or fill.ts_ms != pending[0].ts_ms or not fill.crossed
        ):
            yield _joined(pending)
            pending = []
        pending.append(fill)
    if pending:
        yield _joined(pending)


def _joined(fills: list[Fill]) -> Fill:
    first = fills[0]
    if len(fills) == 1:
        return first
    size = sum(fill.sz for fill in fills)
    return msgspec.structs.replace(
        first,
        px=ratio(sum(fill.px * fill.sz for fill in fills), size),
        sz=size,
        profit=sum(fill.profit for fill in fills),
        fee=sum(fill.fee for fill in fills),
        builder_fee=sum(fill.builder_fee for fill in fills),
    )
