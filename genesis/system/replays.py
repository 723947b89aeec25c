"""Replay of a stored trading run: its state at any event, and proof that the log leads there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError
from genesis.domain.timeline import format_ts, parse_ts

if TYPE_CHECKING:
    from genesis.trading.core import TradingCore
    from genesis.trading.events import Event
    from genesis.trading.replay import Divergence
    from genesis.trading.store import EventReader


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay found.

    Attributes
    ----------
    run : str
    until : int
        Last event that was handled.
    events : int
        Events handled.
    state_hash : str
    expected : str
        State hash that the run ended with, empty if it is not finished or the replay stops early.
    divergences : list of Divergence
        Emissions that differ from the log.
    pending : int
        Emissions that the log does not hold: the run was killed before it stored them.
    core : TradingCore
        The state.
    """

    run: str
    until: int
    events: int
    state_hash: str
    expected: str
    divergences: list[Divergence]
    pending: int
    core: TradingCore

    @property
    def equal(self) -> bool:
        """Whether every emission is the stored one and the state is that of the run."""
        whole = not self.pending or not self.expected
        return not self.divergences and whole and self.expected in ("", self.state_hash)


def replay_run(
    folder: Path,
    *,
    until: str | None = None,
    since: str | None = None,
    publish: Callable[[Event], None] | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> ReplayOutcome:
    """Fold the log of a run again, from its first event.

    Parameters
    ----------
    folder : Path
    until : str, optional
        Number of the last event to handle, or an instant of the run's clock: time travel.
    since : str, optional
        Event or instant from which events are published; the state begins at the first event.
    publish : callable, optional
        Is given the events again, in the order of the log.
    told : callable
        Called with the events handled and their total, for progress.

    Raises
    ------
    InputError
        If there is no such event.
    StorageError
        If the log is damaged.
    HaltedOnEvent
        If an event cannot be handled.
    """
    from genesis.paper.settings import read_settings
    from genesis.system.paper import RESULT, result_of
    from genesis.trading.quarantine import quarantined
    from genesis.trading.replay import Refold
    from genesis.trading.store import EventReader

    settings, _ = read_settings(folder)
    core = settings.core(folder.name)
    refold = Refold(core, quarantined(folder))
    with EventReader(folder) as reader:
        head = reader.head.seq
        last = head if until is None else _event_at(reader, until)
        first = 1 if since is None else _event_at(reader, since, begin=True)
        if first > last:
            raise InputError(
                f"the replay would begin at event {first} and end at event {last}",
                fix="give --from an earlier, or --until a later point",
            )
        for event in reader.events(until=last):
            refold.handle(event)
            if publish is not None and event.seq >= first:
                publish(event)
            if refold.events % 2_000 == 0:
                told(refold.events, last)
    told(refold.events, last)
    whole = last == head and (folder / RESULT).is_file()
    return ReplayOutcome(
        run=folder.name,
        until=last,
        events=refold.events,
        state_hash=core.state_hash,
        expected=str(result_of(folder)["state_hash"]) if whole else "",
        divergences=refold.divergences,
        pending=len(refold.pending()) if last == head else 0,
        core=core,
    )


def _event_at(reader: EventReader, point: str, *, begin: bool = False) -> int:
    """Event of a number, or the last one recorded at or before an instant.

    To ``begin`` at an instant it is the first one recorded at or after it.

    Raises
    ------
    InputError
        If the run has no such event, or the text is neither.
    """
    run, head = reader.folder.name, reader.head.seq
    if point.strip().isdigit():
        seq = int(point)
        if not 1 <= seq <= head:
            raise InputError(f"run {run} has no event {seq}", fix=f"its events are 1 to {head}")
        return seq
    instant = parse_ts(point) - begin
    low, high = 0, head  # recorded times never go back
    while low < high:
        middle = (low + high + 1) // 2
        event = reader.event(middle)
        if event is not None and event.recorded_ms <= instant:
            low = middle
        else:
            high = middle - 1
    if begin:
        return min(low + 1, head)
    if low == 0:
        raise InputError(
            f"run {run} has no event at or before {format_ts(instant)}",
            fix="genesis events tail shows its latest events and their times",
        )
    return low


def state_summary(core: TradingCore) -> dict[str, Any]:
    """Accounts, positions and open orders of a state, as JSON can hold them."""
    desk = core.desk
    accounts = []
    for name, account in sorted(desk.ledger.accounts.items()):
        accounts.append(
            {
                "account": name,
                "cash": str(account.cash),
                "equity": str(core.equity(name)),
                "fees": str(account.fees),
                "funding": str(account.funding),
            }
        )
    positions = [
        {
            "account": held.account,
            "symbol": held.symbol,
            "size": str(held.size),
            "entry": str(held.entry),
        }
        for held in desk.ledger.positions()
    ]
    orders = [
        {
            "order": order.order_id,
            "account": order.request.account,
            "symbol": order.request.symbol,
            "purpose": order.purpose,
            "side": order.request.side.value,
            "size": str(order.size),
            "price": None if order.price is None else str(order.price),
            "state": order.state.value,
        }
        for order in desk.orders.open_orders()
    ]
    return {
        "accounts": accounts,
        "positions": positions,
        "orders": orders,
        "halts": dict(desk.halts),
        "deployments": [
            {"deployment": d.id, "stopped": d.stopped} for d in desk.deployments.values()
        ],
    }
