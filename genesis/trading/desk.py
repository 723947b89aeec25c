"""What the parts of the trading core share: market, deployments, books, emissions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.ids import Ids
from genesis.trading.deployment import Deployment
from genesis.trading.events import Event, Payload
from genesis.trading.journal import StrategyJournal
from genesis.trading.ledger import StrategyLedger
from genesis.trading.order_manager import OrderManager, OrderSettings
from genesis.trading.payloads import BarClosed, RunFinished
from genesis.trading.tables import Row

FEED_STAGE = "stage:feed:"
"""Beginning of the scope of a stage that concerns one symbol alone."""
WARM_UP = "warm-up"
"""Source of the halt that holds while bars of the past are told, at a start or after a pause."""

_NOTHING = Event(RunFinished("nothing is being handled"), 0)


class Market:
    """Last final bar and last price of each symbol.

    Attributes
    ----------
    bars : dict of symbol to BarClosed
    prices : dict of symbol to float
        Last price seen: an open, a close, a quote.
    open_ms : dict of symbol to int
        Open time of the bar that is being traded now.
    """

    __slots__ = ("bars", "open_ms", "prices")

    def __init__(self) -> None:
        self.bars: dict[str, BarClosed] = {}
        self.prices: dict[str, float] = {}
        self.open_ms: dict[str, int] = {}

    def plain(self) -> dict[str, Any]:
        """State for a snapshot."""
        return {
            "bars": {name: msgspec.to_builtins(bar) for name, bar in self.bars.items()},
            "prices": dict(self.prices),
            "open_ms": dict(self.open_ms),
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        self.bars = {k: msgspec.convert(v, BarClosed) for k, v in value["bars"].items()}
        self.prices = dict(value["prices"])
        self.open_ms = dict(value["open_ms"])


class Desk:
    """State of a trading run and the collector of what handling an event leads to.

    Parameters
    ----------
    run : str
        Id of the run; part of every client order id.
    orders : OrderSettings, optional
        Times and bounds of the order manager.

    Attributes
    ----------
    emitted : list of Event
        Emissions of the event that is being handled.
    rows : list of Row
        Rows that it leads to.
    event : Event
        The one that is being handled.
    acts : bool
        Whether it is a command that is to be carried out now.
    now_ms, ts_ms, seq : int
        Of the event that is being handled: when it was recorded, when it happened, its number.
    halts : dict of str to str
        Scope (``run``, ``stage:NAME``, ``symbol:SYM``, ``account:NAME``) to why new risk is halted.
    timers : dict of str to int
        Timers that are set, and when they are due.
    warming_ms : int
        When the telling of past bars began; 0 where none are told.
    """

    def __init__(self, run: str, orders: OrderSettings | None = None) -> None:
        self.run = run
        self.ids = Ids()
        self.market = Market()
        self.orders = OrderManager(orders)
        self.ledger = StrategyLedger()
        self.journal = StrategyJournal()
        self.deployments: dict[str, Deployment] = {}
        self.owners: dict[tuple[str, str], Deployment] = {}
        self.by_symbol: dict[str, list[Deployment]] = {}
        self.by_account: dict[str, list[Deployment]] = {}
        self.halts: dict[str, str] = {}
        self.timers: dict[str, int] = {}
        self.recent: dict[str, list[int]] = {}
        self.day: dict[str, tuple[int, str]] = {}
        self.emitted: list[Event] = []
        self.rows: list[Row] = []
        self.event = _NOTHING
        self.now_ms = self.ts_ms = self.seq = 0
        self.warming_ms = 0
        self.acts = False

    def begin(self, event: Event) -> None:
        """Get ready to handle an event."""
        self.event = event
        self.acts = False
        self.emitted = []
        self.rows = []
        self.seq = event.seq
        self.ts_ms = event.ts_ms
        self.now_ms = event.recorded_ms

    def emit(
        self,
        payload: Payload,
        aggregate: str = "",
        correlation: str = "",
        *,
        ts_ms: int | None = None,
    ) -> None:
        """Collect an event that the one being handled leads to; ``ts_ms`` where it is older."""
        self.emitted.append(
            Event(
                payload,
                self.ts_ms if ts_ms is None else ts_ms,
                aggregate,
                correlation,
                caused_by=self.seq,
                ordinal=len(self.emitted),
            )
        )

    def new_id(self, prefix: str) -> str:
        """Next id of the run, stamped with the time of the event being handled."""
        return self.ids.new(prefix, self.ts_ms)

    def add(self, deployment: Deployment) -> None:
        """Take a deployment in; its (account, symbol) must be free."""
        self.deployments[deployment.id] = deployment
        self.owners[deployment.account, deployment.symbol] = deployment
        self.by_symbol.setdefault(deployment.symbol, []).append(deployment)
        self.by_account.setdefault(deployment.account, []).append(deployment)

    def account_capital(self, account: str) -> Decimal:
        """Reference capital of all deployments of an account, quote units."""
        return sum((d.capital for d in self.by_account.get(account, ())), Decimal(0))

    def halted(self, deployment: Deployment) -> str:
        """Why the deployment may add no risk now, empty if it may."""
        if deployment.stopped:
            return deployment.stopped
        for scope in ("run", f"symbol:{deployment.symbol}", f"account:{deployment.account}"):
            if scope in self.halts:
                return self.halts[scope]
        for scope, why in self.halts.items():
            if scope.startswith(FEED_STAGE):
                if scope.removeprefix(FEED_STAGE) == deployment.symbol:
                    return why
            elif scope.startswith("stage:"):
                return why
        return ""

    def plain(self) -> dict[str, Any]:
        """The whole state, for snapshots and the state hash."""
        warming = {"warming_ms": self.warming_ms} if self.warming_ms else {}
        return warming | {
            "run": self.run,
            "ids": self.ids.counter,
            "market": self.market.plain(),
            "orders": self.orders.plain(),
            "ledger": self.ledger.plain(),
            "journal": self.journal.plain(),
            "deployments": [d.plain() for d in self.deployments.values()],
            "halts": dict(self.halts),
            "timers": dict(self.timers),
            "recent": {k: list(v) for k, v in self.recent.items()},
            "day": {k: list(v) for k, v in self.day.items()},
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        self.run = value["run"]
        self.ids = Ids(value["ids"])
        self.market.restore(value["market"])
        self.orders.restore(value["orders"])
        self.ledger.restore(value["ledger"])
        self.journal.restore(value["journal"])
        for plain in value["deployments"]:
            self.add(Deployment.restored(plain))
        self.halts = dict(value["halts"])
        self.warming_ms = int(value.get("warming_ms", 0))
        self.timers = dict(value["timers"])
        self.recent = {k: list(v) for k, v in value["recent"].items()}
        self.day = {k: (v[0], v[1]) for k, v in value["day"].items()}
