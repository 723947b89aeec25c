"""Questions to a run's trades, answered from ledger and journal.

Which origins and signals win, which risk rules kept bad trades away, how far fills are from what
was intended, by execution algorithm and by the state of the market.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import msgspec

from genesis.costs.execution import SESSIONS, WEEKEND, session_factor
from genesis.domain.timeline import HOUR_MS
from genesis.trading.events import EventType
from genesis.trading.payloads import BarClosed, DeploymentAdded
from genesis.trading.store.reader import EventReader

Record = Mapping[str, Any]


class TradeGroup(msgspec.Struct, frozen=True):
    """Round trips that have something in common; money in quote units, net of all costs."""

    name: str
    trades: int
    win_rate: float
    net: float
    mean_net: float


class SlippageGroup(msgspec.Struct, frozen=True):
    """Orders that have something in common; basis points, positive where it cost money."""

    name: str
    orders: int
    intent_bp: float | None
    intent_median_bp: float | None
    venue_bp: float | None
    grades: dict[str, int]


class RiskGroup(msgspec.Struct, frozen=True):
    """Opportunities that one rule refused.

    ``prevented`` counts those whose price went against them in the bars that followed;
    ``mean_move`` is the move in their favour, a fraction, negative where the refusal was right.
    """

    rule: str
    refused: int
    judged: int
    prevented: int
    mean_move: float | None


class Answers(msgspec.Struct, frozen=True):
    """Answers of one run."""

    origins: list[TradeGroup]
    signals: list[TradeGroup]
    exits: list[TradeGroup]
    risks: list[RiskGroup]
    slippage: list[SlippageGroup]
    algorithms: list[SlippageGroup]
    sessions: list[SlippageGroup]
    volatility: list[SlippageGroup]


def answer(reader: EventReader, *, bars: int = 24) -> Answers:
    """Answer every question from the stored tables of a run.

    Parameters
    ----------
    reader : EventReader
    bars : int
        How many bars after a refused signal its price is looked at.
    """
    trades = reader.rows("trades", order="trade_id")
    seen = _decisions(reader)
    orders = [o for o in reader.rows("orders", order="order_id") if o["average"] is not None]
    algorithms = {str(g["group_id"]): str(g["algorithm"]) for g in reader.rows("execution_groups")}
    return Answers(
        origins=_trades_by(trades, lambda trade: str(trade["origin_kind"] or "unknown")),
        signals=_trades_by(trades, lambda trade: _rules(seen.get(str(trade["plan_id"])))),
        exits=_trades_by(trades, _exit),
        risks=_refusals(reader, bars),
        slippage=_orders_by(orders, lambda order: str(order["purpose"])),
        algorithms=_orders_by(orders, lambda o: algorithms.get(str(o["group_id"]), "unknown")),
        sessions=_orders_by(orders, lambda order: _session(int(order["intent_ms"]))),
        volatility=_by_volatility(orders, seen),
    )


# ---- trades ----------------------------------------------------------------------------------


def _decisions(reader: EventReader) -> dict[str, Record]:
    """First decision of each plan: the context of its first intent."""
    rows = reader.query(
        "SELECT plan_id, context FROM journal WHERE kind = 'intent' ORDER BY seq, entry_id"
    )
    decisions: dict[str, Record] = {}
    for row in rows:
        if row["plan_id"] not in decisions:
            decisions[str(row["plan_id"])] = json.loads(row["context"])
    return decisions


def _rules(context: Record | None) -> str:
    """Names of the rules that held when the decision was taken."""
    signal = (context or {}).get("signal")
    if signal is None:
        return "no signal"
    held = sorted(name for name, value in signal["rules"].items() if value == 1)
    return " + ".join(held) or "none held"


def _exit(trade: Record) -> str:
    kind = str(trade["exit_class"])
    return f"{trade['exit_reason']} ({kind})" if kind else str(trade["exit_reason"])


def _trades_by(trades: Iterable[Record], name: Callable[[Record], str]) -> list[TradeGroup]:
    groups: dict[str, list[float]] = {}
    for trade in trades:
        groups.setdefault(name(trade), []).append(float(trade["net"]))
    return [
        TradeGroup(
            key, len(nets), sum(net > 0.0 for net in nets) / len(nets), sum(nets), fmean(nets)
        )
        for key, nets in sorted(groups.items(), key=lambda item: (-sum(item[1]), item[0]))
    ]


# ---- executions ------------------------------------------------------------------------------


def _orders_by(orders: Iterable[Record], name: Callable[[Record], str]) -> list[SlippageGroup]:
    groups: dict[str, list[Record]] = {}
    for order in orders:
        groups.setdefault(name(order), []).append(order)
    return [_slippage(key, members) for key, members in sorted(groups.items())]


def _slippage(name: str, orders: Sequence[Record]) -> SlippageGroup:
    intent = [1e4 * o["intent_slippage"] for o in orders if o["intent_slippage"] is not None]
    venue = [1e4 * o["slippage"] for o in orders if o["slippage"] is not None]
    grades: dict[str, int] = {}
    for order in orders:
        if order["grade"]:
            grades[order["grade"]] = grades.get(order["grade"], 0) + 1
    return SlippageGroup(
        name=name,
        orders=len(orders),
        intent_bp=fmean(intent) if intent else None,
        intent_median_bp=median(intent) if intent else None,
        venue_bp=fmean(venue) if venue else None,
        grades=dict(sorted(grades.items())),
    )


def _session(ts_ms: int) -> str:
    if session_factor(ts_ms) == WEEKEND:
        return "weekend"
    hour = ts_ms // HOUR_MS % 24
    return next((name for name, first, end, _ in SESSIONS if first <= hour < end), "other hours")


def _by_volatility(
    orders: Sequence[Record], decisions: Mapping[str, Record]
) -> list[SlippageGroup]:
    """Thirds of the orders by range over price of their decision, calm to wild."""
    known = []
    for order in orders:
        signal = decisions.get(str(order["plan_id"]), {}).get("signal") or {}
        values = signal.get("values", {})
        if values.get("atr") and values.get("close"):
            known.append((values["atr"] / values["close"], order))
    ranges = sorted(ratio for ratio, _ in known)
    if not ranges:
        return []
    cuts = (ranges[len(ranges) // 3], ranges[2 * len(ranges) // 3])
    names = ("1 calm", "2 normal", "3 wild")
    thirds = [(names[sum(ratio >= cut for cut in cuts)], order) for ratio, order in known]
    return [
        _slippage(name, members)
        for name in names
        if (members := [order for third, order in thirds if third == name])
    ]


# ---- refusals --------------------------------------------------------------------------------


def _refusals(reader: EventReader, bars: int) -> list[RiskGroup]:
    rows = reader.query(
        "SELECT deployment, risk_ids, context, text, ts_ms FROM journal"
        " WHERE kind = 'rejected_opportunity' ORDER BY seq, entry_id"
    )
    refused = [(row, json.loads(row["context"])) for row in rows]
    closes = _Closes(reader, bars) if refused else None
    groups: dict[str, list[float | None]] = {}
    for row, context in refused:
        rule = _rule(row, context)
        move = closes.move(row, context) if closes is not None else None
        groups.setdefault(rule, []).append(move)
    told = []
    for rule, moves in sorted(groups.items()):
        judged = [move for move in moves if move is not None]
        told.append(
            RiskGroup(
                rule=rule,
                refused=len(moves),
                judged=len(judged),
                prevented=sum(move < 0.0 for move in judged),
                mean_move=fmean(judged) if judged else None,
            )
        )
    return told


def _rule(row: Record, context: Record) -> str:
    """Rule that refused, or the stage at which something else stood in the way."""
    ids = json.loads(row["risk_ids"])
    for risk in context.get("risks", ()):
        if not risk["approved"] and (not ids or risk["id"] in ids):
            return str(risk["rule"])
    return f"({context.get('stage', 'unknown')}) {row['text']}"


class _Closes:
    """Closes of the symbols of a run's deployments, to see what became of a refused signal."""

    def __init__(self, reader: EventReader, bars: int) -> None:
        self._bars = bars
        self._deployments: dict[str, DeploymentAdded] = {}
        for event in reader.events(types=[EventType.DEPLOYMENT_ADDED]):
            if isinstance(event.data, DeploymentAdded):
                self._deployments[event.data.deployment] = event.data
        self._series: dict[str, tuple[list[int], list[float]]] = {}
        for event in reader.events(types=[EventType.BAR_CLOSED]):
            if isinstance(event.data, BarClosed):
                times, closes = self._series.setdefault(event.data.symbol, ([], []))
                times.append(event.ts_ms)
                closes.append(event.data.close)

    def move(self, row: Record, context: Record) -> float | None:
        """Move in favour of a refused entry over the bars that followed, a fraction."""
        signal = context.get("signal")
        deployment = self._deployments.get(str(row["deployment"]))
        if signal is None or deployment is None or not signal["quantity"]:
            return None
        times, closes = self._series.get(deployment.symbol, ([], []))
        place = bisect_left(times, int(row["ts_ms"]))
        later = place + self._bars
        if place >= len(times) or later >= len(closes):
            return None
        side = 1.0 if signal["quantity"] > 0.0 else -1.0
        return side * (closes[later] / closes[place] - 1.0)
