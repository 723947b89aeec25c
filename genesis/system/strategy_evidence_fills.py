"""Fills with the ids by which their story is asked for, each compared with its event.

Of the tables beside a log these ids alone are read, which the events do not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from genesis.system.strategy_evidence_log import FillFacts, TradedLog, slippage_bp
from genesis.trading.ledger_tables import money


def name_fills(log: TradedLog, rows: Iterable[Mapping[str, Any]]) -> str:
    """Give fills the ids by which their story is asked for; what does not fit, in words.

    Parameters
    ----------
    log : TradedLog
    rows : iterable of mapping
        Of the table of fills, on the strategy's accounts.

    Returns
    -------
    str
        First row that is not what its event says, or is missing; empty if all fit.
    """
    mine = [row for row in rows if (row["account"], row["symbol"]) in log.pairs]
    by_seq = {int(row["seq"]): row for row in mine}
    for fact in log.fills:
        row = by_seq.pop(fact.seq, None)
        if row is None:
            return f"the fill of event {fact.seq} is not in the table of fills"
        wrong = [name for name, value in _told(fact).items() if row[name] != value]
        if wrong:
            return f"the table of fills differs from event {fact.seq}: {', '.join(wrong)}"
        fact.fill_id = str(row["fill_id"])
    if by_seq:
        return f"the table of fills has one of event {min(by_seq)}, which is no fill"
    return ""


def _told(fact: FillFacts) -> dict[str, Any]:
    """What the row of a fill must say."""
    fill = fact.fill
    told = {
        "venue_fill_id": fill.fill_id,
        "client_id": fill.client_id,
        "side": fill.side.value,
        "size": money(fill.size),
        "price": money(fill.price),
        "fee": money(fill.fee),
        "maker": int(fill.maker),
        "cause": fill.cause,
        "ts_ms": fill.ts_ms,
    }
    if fact.order is not None:
        told["order_id"] = fact.order.sent.order.order_id
        told["deployment"] = fact.deployment
    return told


def fill_plain(fact: FillFacts, log: TradedLog) -> dict[str, Any]:
    """JSON form of a fill with what led to it: order, plan, signals, intent."""
    fill, order = fact.fill, fact.order
    plan = order.sent.plan_id if order is not None else ""
    own = order.sent.intent_id if order is not None else ""
    intent = log.intents.get(own) or log.intents.get(plan)
    reference = order.sent.reference if order is not None else None
    return {
        "fill_id": fact.fill_id,
        "seq": fact.seq,
        "ts_ms": fill.ts_ms,
        "symbol": fill.symbol,
        "account": fill.account,
        "side": fill.side.value,
        "size": money(fill.size),
        "price": money(fill.price),
        "fee": money(fill.fee),
        "maker": fill.maker,
        "cause": fill.cause,
        "purpose": order.sent.purpose if order is not None else "not ordered here",
        "order_id": order.sent.order.order_id if order is not None else "",
        "plan_id": plan,
        "signal_ids": list(intent.causality.signal_ids) if intent is not None else [],
        "intent_slippage_bp": slippage_bp(fill.side, reference, fill.price),
        "slippage_bp": slippage_bp(fill.side, fill.reference, fill.price),
    }
