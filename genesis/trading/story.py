"""The story of a fill, an order or a plan: why, what, how, outcome.

Read from journal and ledger by index alone; of the events only the one that the flow began with,
and the one that added the strategy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from genesis.costs.execution import signed_slippage
from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError
from genesis.domain.timeline import format_ts
from genesis.trading.events import EventType
from genesis.trading.payloads import CandlesReady, DeploymentAdded, NewsReceived, ScheduleDue
from genesis.trading.store.reader import EventReader

Record = Mapping[str, Any]

KINDS = {
    "ORD": ("orders", "order_id"),
    "FIL": ("fills", "fill_id"),
    "TPL": ("trade_plans", "plan_id"),
    "EXG": ("execution_groups", "group_id"),
    "TRD": ("trades", "trade_id"),
}
"""Table and key of what a story can be asked of."""

_END = "\uffff"


class Story(msgspec.Struct, frozen=True):
    """What led to something, and to what it led.

    Attributes
    ----------
    id, kind : str
        What was asked for, in full, and its prefix.
    why : dict
        ``origin`` (kind, id, seq, text), ``signals`` and ``risks`` with their values.
    what : dict
        ``directive_id``, ``plan`` and the ``intents`` with entry, size, exit and execution plans.
    how : list of dict
        Execution groups with their orders, the states of each and its execution quality.
    outcome : dict
        ``fills`` and the ``trade`` (None while it is open).
    entries : list of dict
        Journal entries of the plan, in order.
    strategy : dict or None
        Whose decision it was: ``strategy_id``, ``family`` and the key of its ``genome`` (empty for
        rules that were not bred), as the run's log has them. None where nobody here decided it.
    """

    id: str
    kind: str
    why: dict[str, Any]
    what: dict[str, Any]
    how: list[dict[str, Any]]
    outcome: dict[str, Any]
    entries: list[dict[str, Any]]
    strategy: dict[str, Any] | None = None


def resolve(reader: EventReader, text: str) -> tuple[str, str]:
    """Kind and full id of what a unique beginning of an id names.

    Raises
    ------
    InputError
        If nothing, or more than one thing, begins so.
    """
    prefix = text.partition("_")[0].upper()
    if prefix not in KINDS:
        raise InputError(
            f"{text!r} names nothing that has a story",
            why=f"ids begin with {', '.join(f'{kind}_' for kind in KINDS)}",
            fix="take a plan from genesis trades RUN; its story names orders and fills",
        )
    table, key = KINDS[prefix]
    begin = prefix + text[len(prefix) :]
    where = f"{key} >= ? AND {key} < ?"
    found = reader.rows(table, where, (begin, begin + _END), order=key, limit=4)
    names = [str(row[key]) for row in found]
    if begin in names:
        return prefix, begin
    if not names:
        raise InputError(
            f"no {table.replace('_', ' ').removesuffix('s')} begins with {begin}",
            why="an id belongs to one run; another run has other ids",
            fix="give the run with --run; genesis trades RUN lists its plans, and the story of a"
            " plan names its orders and fills",
        )
    if len(names) > 1:
        more = "" if len(names) < 4 else " …"
        raise InputError(
            f"{begin} is the beginning of several ids",
            why=", ".join(names) + more,
            fix="write more of it",
        )
    return prefix, names[0]


def tell(reader: EventReader, text: str) -> Story:
    """Story of what an id, or a unique beginning of one, names.

    Raises
    ------
    InputError
        If it names nothing, or more than one thing.
    """
    kind, name = resolve(reader, text)
    table, key = KINDS[kind]
    (row,) = reader.rows(table, f"{key} = ?", (name,))
    plan_id = str(row["plan_id"])
    if plan_id:
        orders = reader.rows("orders", "plan_id = ?", (plan_id,), order="order_id")
        fills = reader.rows("fills", "plan_id = ?", (plan_id,), order="fill_id")
        entries = reader.rows("journal", "plan_id = ?", (plan_id,), order="seq, entry_id")
    else:
        orders, fills, entries = _without_plan(reader, kind, row)
    entries = [_entry(entry) for entry in entries]
    plans = reader.rows("trade_plans", "plan_id = ?", (plan_id,)) if plan_id else []
    trades = reader.rows("trades", "plan_id = ?", (plan_id,)) if plan_id else []
    groups = reader.rows("execution_groups", "plan_id = ?", (plan_id,)) if plan_id else []
    return Story(
        id=name,
        kind=kind,
        why=_why(reader, entries),
        what=_what(entries, plans),
        how=_how(reader, groups, orders, focus=name),
        outcome=_outcome(fills, trades, focus=name),
        entries=entries,
        strategy=_strategy(reader, [*plans, *orders, *fills]),
    )


def _strategy(reader: EventReader, rows: Sequence[Record]) -> dict[str, Any] | None:
    """The strategy of the first row that a deployment owns, from the event that added it."""
    name = next((row["deployment"] for row in rows if row["deployment"]), "")
    if not name:
        return None
    added = reader.events(types=(EventType.DEPLOYMENT_ADDED,), aggregate=name, limit=1)
    event = next(added, None)
    if event is None:
        return None
    data = event.data
    assert isinstance(data, DeploymentAdded)
    genome = data.strategy.get("genome")
    return {
        "strategy_id": data.strategy_id,
        "family": data.strategy.get("family", ""),
        "genome": content_hash(genome) if genome is not None else "",
    }


def _without_plan(
    reader: EventReader, kind: str, row: Record
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Orders, fills and entries of what nobody here planned."""
    order_id = str(row["order_id"]) if kind in ("ORD", "FIL") else ""
    if order_id:
        return (
            reader.rows("orders", "order_id = ?", (order_id,)),
            reader.rows("fills", "order_id = ?", (order_id,), order="fill_id"),
            reader.rows("journal", "order_id = ?", (order_id,), order="seq, entry_id"),
        )
    if kind == "FIL":
        entries = reader.rows("journal", "fill_id = ?", (row["fill_id"],), order="seq, entry_id")
        return [], [dict(row)], entries
    return [], [], []


def _entry(row: Record) -> dict[str, Any]:
    entry = dict(row)
    for name in ("signal_ids", "risk_ids", "context"):
        entry[name] = json.loads(entry[name])
    return entry


# ---- why -------------------------------------------------------------------------------------


def _why(reader: EventReader, entries: Sequence[Record]) -> dict[str, Any]:
    signals: dict[str, Any] = {}
    risks: dict[str, Any] = {}
    for entry in entries:
        signal = entry["context"].get("signal")
        if signal is not None:
            signals.setdefault(signal["id"], signal)
        for risk in entry["context"].get("risks", ()):
            risks.setdefault(risk["id"], risk)
    first = next((entry for entry in entries if entry["origin_kind"]), None)
    origin = None
    if first is not None:
        origin = {
            "kind": first["origin_kind"],
            "id": first["origin_id"],
            "seq": first["origin_seq"],
            "text": _origin_text(reader, int(first["origin_seq"])),
        }
    return {"origin": origin, "signals": list(signals.values()), "risks": list(risks.values())}


def _origin_text(reader: EventReader, seq: int) -> str:
    """What the event was that a flow began with; an archived one is not worth the time."""
    if seq <= 0:
        return ""
    if seq <= reader.archived_seq:
        return f"event {seq}, archived"
    event = reader.event(seq)
    if event is None:
        return ""
    match event.data:
        case CandlesReady(open_ms=open_ms, symbols=symbols):
            return f"bars of {format_ts(open_ms)} closed: {', '.join(symbols)}"
        case NewsReceived(headline=headline):
            return headline
        case ScheduleDue(name=name):
            return f"schedule {name}"
        case _:
            return str(event.type.value)


# ---- what ------------------------------------------------------------------------------------


def _what(entries: Sequence[Record], plans: Sequence[Record]) -> dict[str, Any]:
    intents = []
    for entry in entries:
        if entry["kind"] != "intent":
            continue
        context = entry["context"]
        named = {name: context.get(name) for name in ("entry", "size", "exit", "execution")}
        intents.append(
            {
                "intent_id": entry["intent_id"],
                "directive_id": entry["directive_id"],
                "scope": context.get("scope", ""),
                "reason": entry["text"],
                "ts_ms": entry["ts_ms"],
                **named,
            }
        )
    directive = next((one["directive_id"] for one in intents), "")
    plan = dict(plans[0]) if plans else None
    return {"directive_id": directive, "plan": plan, "intents": intents}


# ---- how -------------------------------------------------------------------------------------


def _how(
    reader: EventReader, groups: Sequence[Record], orders: Sequence[Record], *, focus: str
) -> list[dict[str, Any]]:
    told = []
    known = {str(group["group_id"]): dict(group) for group in groups}
    for group_id in dict.fromkeys(str(order["group_id"]) for order in orders):
        group = known.get(group_id, {"group_id": group_id, "algorithm": "", "purpose": ""})
        mine = [order for order in orders if order["group_id"] == group_id]
        group["orders"] = [_order(reader, order, focus=focus) for order in mine]
        group["focus"] = group_id == focus
        told.append(group)
    return told


def _order(reader: EventReader, row: Record, *, focus: str) -> dict[str, Any]:
    order = dict(row)
    states = reader.rows("order_states", "order_id = ?", (row["order_id"],), order="number")
    order["states"] = [{k: v for k, v in state.items() if k != "order_id"} for state in states]
    order["focus"] = row["order_id"] == focus
    return order


# ---- outcome ---------------------------------------------------------------------------------


def _outcome(fills: Sequence[Record], trades: Sequence[Record], *, focus: str) -> dict[str, Any]:
    told = [{**fill, **_slippages(fill), "focus": fill["fill_id"] == focus} for fill in fills]
    return {"fills": told, "trade": dict(trades[0]) if trades else None}


def _slippages(fill: Record) -> dict[str, float | None]:
    """Slippage of one fill in basis points, positive where it cost money."""
    side = 1.0 if fill["side"] == "buy" else -1.0
    price = float(fill["price"])

    def since(reference: str | None) -> float | None:
        seen = float(reference or 0.0)
        return signed_slippage(side, seen, price) * 1e4 if seen else None

    return {
        "intent_slippage_bp": since(fill["intent_reference"]),
        "slippage_bp": since(fill["reference"]),
    }
