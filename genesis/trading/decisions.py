"""From market data to signals: context, flow initiator, signal detection.

A flow begins with an origin (a tick, a schedule, a news item). Bars are context; when every bar
of an open time has come, the signal groups advance and each deployment decides. What it wants is
a signal event, or nothing; an entry that its rules ask for and its policy forbids is on record as a
rejected opportunity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from genesis.strategy import policy as policies
from genesis.strategy.node import Node
from genesis.strategy.policy import REASON_NONE, REASONS, decide
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    CandlesReady,
    OpportunityRejected,
    Origin,
    Quote,
    SignalGenerated,
)
from genesis.trading.signals import SignalGroup
from genesis.trading.worker import ICEBERG, ExecutionWorker

# The source of the compiled test: a call from Python costs a fifth of a call into numba.
_quiet: Callable[..., bool] = getattr(policies.quiet, "py_func", policies.quiet)

RULES = ("long", "short", "exit_long", "exit_short")
_NOWHERE = -1
"""Place of a rule that a strategy does not have: a zero behind the values."""


class Decisions:
    """Context and signals.

    Parameters
    ----------
    desk : Desk
    worker : ExecutionWorker
        Moves protective orders when the policy moves its levels.
    """

    def __init__(self, desk: Desk, worker: ExecutionWorker) -> None:
        self._desk = desk
        self._worker = worker
        self._groups: list[SignalGroup] = []
        # By group: a deployment and the places of its two entry rules among the group's values.
        self._members: list[list[tuple[Deployment, int, int]]] = []
        self._new: list[Deployment] = []

    # ---- context ---------------------------------------------------------------------------

    def enlist(self, deployment: Deployment) -> None:
        """Take a new deployment into the next round of signal groups."""
        self._new.append(deployment)

    def on_bar_opened(self, event: Event) -> None:
        """Remember the open as the last price."""
        data = event.data
        assert isinstance(data, BarOpened)
        market = self._desk.market
        market.prices[data.symbol] = data.open
        market.open_ms[data.symbol] = data.open_ms

    def on_bar_closed(self, event: Event) -> None:
        """Remember the bar as context."""
        data = event.data
        assert isinstance(data, BarClosed)
        market = self._desk.market
        market.bars[data.symbol] = data
        market.prices[data.symbol] = data.close

    def on_quote(self, event: Event) -> None:
        """Remember the last price."""
        data = event.data
        assert isinstance(data, Quote)
        self._desk.market.prices[data.symbol] = data.last

    # ---- flow initiator --------------------------------------------------------------------

    def on_candles(self, event: Event) -> None:
        """Advance every signal group by one bar and let each deployment decide."""
        data = event.data
        assert isinstance(data, CandlesReady)
        if self._new:
            self._form_groups()
        bars = self._desk.market.bars
        fresh = [
            group.interval_ms == data.interval_ms and group.advance(data.open_ms, bars)
            for group in self._groups
        ]
        closed = set(data.symbols)
        for group, members, moved in zip(self._groups, self._members, fresh, strict=True):
            if not moved or group.symbol not in closed:
                continue
            bar, values = bars[group.symbol], (*group.values, 0)
            for deployment, long, short in members:
                if deployment.options.algorithm == ICEBERG:
                    self._worker.withdraw(deployment)
                # Most are flat and see no entry: what `_quiet` says of them, without a call.
                if deployment.position != 0.0 or values[long] == 1 or values[short] == 1:
                    self._decide(event, deployment, group, bar)

    def _form_groups(self) -> None:
        """One group for the newcomers of each symbol, interval and anchor."""
        waiting: dict[tuple[str, int, int], list[Deployment]] = {}
        for deployment in self._new:
            key = (deployment.symbol, deployment.interval_ms, deployment.anchor_ms)
            waiting.setdefault(key, []).append(deployment)
        for (symbol, interval, anchor), members in waiting.items():
            nodes: dict[str, Node] = {}
            for deployment in members:
                for node in deployment.nodes():
                    if node is not None:
                        nodes.setdefault(node.text, node)
            order = {text: place for place, text in enumerate(nodes)}
            group = SignalGroup(symbol, interval, anchor, tuple(nodes.values()))
            own: list[tuple[Deployment, int, int]] = []
            for deployment in members:
                deployment.places = tuple(
                    None if node is None else order[node.text] for node in deployment.nodes()
                )
                long, short = (_NOWHERE if p is None else p for p in deployment.places[:2])
                own.append((deployment, long, short))
            self._groups.append(group)
            self._members.append(own)
        self._new = []

    # ---- signal detection ------------------------------------------------------------------

    def _decide(
        self, event: Event, deployment: Deployment, group: SignalGroup, bar: BarClosed
    ) -> None:
        values, places = group.values, deployment.places
        rules = [0 if place is None else int(values[place]) for place in places[:4]]
        number, close = group.bars - 1, bar.close
        if event.ts_ms < deployment.options.trade_from_ms or _quiet(
            deployment.state, deployment.params, deployment.position, number, close, *rules
        ):
            return
        atr = close if places[4] is None else values[places[4]]
        vol = close if places[5] is None else values[places[5]]
        before = deployment.state
        state, reason, quantity = decide(
            before,
            deployment.params,
            deployment.position,
            deployment.entry,
            number,
            close,
            atr,
            vol,
            *rules,
        )
        deployment.state = state
        if deployment.position != 0.0 and state.stop != before.stop:
            self._worker.protect(deployment)
        if reason == REASON_NONE and quantity == 0.0:
            self._note_blocked(deployment, rules)
            return
        deployment.last_reject = ""
        self._signal(event, deployment, rules, bar, number, atr, vol, REASONS[reason], quantity)

    def _signal(
        self,
        event: Event,
        deployment: Deployment,
        rules: list[int],
        bar: BarClosed,
        number: int,
        atr: float,
        vol: float,
        reason: str,
        quantity: float,
    ) -> None:
        desk = self._desk
        signal = SignalGenerated(
            signal_id=desk.new_id("SIG"),
            deployment=deployment.id,
            origin=Origin("tick", desk.new_id("TCK"), event.seq),
            bar=number,
            rules=dict(zip(RULES, rules, strict=True)),
            values={
                "close": bar.close,
                "atr": atr if deployment.places[4] is not None else 0.0,
                "vol": vol if deployment.places[5] is not None else 0.0,
                "volume": bar.volume,
                "funding": bar.funding,
                "sentiment": bar.sentiment,
            },
            close_reason=reason,
            quantity=quantity,
        )
        desk.emit(signal, deployment.id, signal.origin.id)

    def _note_blocked(self, deployment: Deployment, rules: list[int]) -> None:
        """Record an entry that the rules ask for and the policy forbids, once while it lasts."""
        if deployment.position != 0.0 or (rules[0] != 1 and rules[1] != 1):
            return
        side = 0 if rules[0] == 1 else 1
        if rules[0] == 1 and rules[1] == 1:
            why = "both entries hold"
        elif rules[2 + side] == 1:
            why = "the exit of the same side holds"
        elif not (deployment.params.may_short if side else deployment.params.may_long):
            why = "the policy does not trade this side"
        else:
            why = "cooldown, or no size can be made"
        if why != deployment.last_reject:
            deployment.last_reject = why
            self._desk.emit(
                OpportunityRejected(deployment.id, "", "policy", why), deployment.id, deployment.id
            )

    # ---- state -----------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """Signal groups with their kernel state, and whose they are."""
        return {
            "groups": [group.plain() for group in self._groups],
            "members": [
                [deployment.id, place]
                for place, members in enumerate(self._members)
                for deployment, _, _ in members
            ],
            "new": [deployment.id for deployment in self._new],
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`; the desk's deployments are there already."""
        found = self._desk.deployments
        sizes = len(value["groups"])
        members: list[list[Deployment]] = [[] for _ in range(sizes)]
        for name, place in value["members"]:
            members[place].append(found[name])
        for group, own in zip(value["groups"], members, strict=True):
            self._new = own
            self._form_groups()
            self._groups[-1].restore(group)
        self._new = [found[name] for name in value["new"]]
