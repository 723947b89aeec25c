"""Markets whose rules change while clients trade: coarser sizes, less leverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genesis.exchange.venue.faults import FaultRule
from genesis.exchange.venue.placement import done, refused

Answer = dict[str, Any]


def patched(meta: dict[str, Any], rules: Sequence[FaultRule]) -> dict[str, Any]:
    """The description of the perpetuals with what rules change of it."""
    if not rules:
        return meta
    universe = [dict(entry) for entry in meta["universe"]]
    for entry in universe:
        for rule in _about(entry["name"], rules):
            if rule.sz_decimals is not None:
                entry["szDecimals"] = rule.sz_decimals
            if rule.max_leverage is not None:
                entry["maxLeverage"] = rule.max_leverage
    return {**meta, "universe": universe}


def outdated(
    action: Mapping[str, Any], rules: Sequence[FaultRule], names: Mapping[int, str]
) -> Answer | None:
    """Answer to an action that goes by the old rules, None where it goes by the new ones."""
    if action["type"] == "updateLeverage":
        for rule in _about(names.get(action["asset"], ""), rules):
            if rule.max_leverage is not None and action["leverage"] > rule.max_leverage:
                return refused("Invalid leverage value.")
    for order in orders_of(action):
        for rule in _about(names.get(order["a"], ""), rules):
            if rule.sz_decimals is not None and _decimals(order["s"]) > rule.sz_decimals:
                return done("order", {"statuses": [{"error": "Order has invalid size."}]})
    return None


def orders_of(action: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The orders that an action places."""
    match action["type"]:
        case "order":
            return list(action["orders"])
        case "modify":
            return [action["order"]]
        case "batchModify":
            return [row["order"] for row in action["modifies"]]
    return []


def _about(coin: str, rules: Iterable[FaultRule]) -> list[FaultRule]:
    return [rule for rule in rules if rule.where.coin in ("", coin)]


def _decimals(size: str) -> int:
    return len(size.partition(".")[2].rstrip("0"))
