"""Reading orders off the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.subscriptions import is_address
from genesis.exchange.venue.units import MalformedAction, parse

_TIFS = frozenset(("Gtc", "Ioc", "Alo", "FrontendMarket"))
_HEX = frozenset("0123456789abcdef")
_CLOID_LENGTH = 34


class Draft(msgspec.Struct):
    """An order as requested; prices and sizes on the market's grids, ``TOO_FINE`` off them.

    The venue's own slices of a large order are ``exempt`` from the minimum value.
    """

    spec: Instrument
    buy: bool
    px: int
    sz: int
    reduce_only: bool
    tif: str
    trigger_px: int
    trigger_market: bool
    tpsl: str
    cloid: str | None
    exempt: bool = False


def flag(value: object, name: str) -> bool:
    """Return a boolean field."""
    if not isinstance(value, bool):
        raise MalformedAction(f"{name} must be a boolean")
    return value


def integer(value: object, name: str) -> int:
    """Return an integer field."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedAction(f"{name} must be an integer")
    return value


def text(value: object, name: str) -> str:
    """Return a string field."""
    if not isinstance(value, str):
        raise MalformedAction(f"{name} must be a string")
    return value


def field(fields: object, name: str) -> Any:
    """Return a required field of an object."""
    if not isinstance(fields, dict) or name not in fields:
        raise MalformedAction(f"missing field {name}")
    return fields[name]


def rows(value: object, name: str) -> list[Any]:
    """Return a list field."""
    if not isinstance(value, list):
        raise MalformedAction(f"{name} must be a list")
    return value


def address(value: object, name: str) -> str:
    """Return an address in lower case."""
    out = text(value, name).lower()
    if not is_address(out):
        raise MalformedAction(f"{name} must be an address")
    return out


def client_id(value: object) -> str | None:
    """Return a client order id, None where there is none."""
    if value is None:
        return None
    out = text(value, "cloid").lower()
    if len(out) != _CLOID_LENGTH or not out.startswith("0x") or not _HEX.issuperset(out[2:]):
        raise MalformedAction("cloid must be 0x and 32 hex digits")
    return out


def read_order(wire: object, state: VenueState) -> Draft | None:
    """Read one order.

    Returns
    -------
    Draft or None
        None for a market that does not exist.

    Raises
    ------
    MalformedAction
        Where it does not have the documented shape.
    """
    asset = integer(field(wire, "a"), "a")
    if not isinstance(wire, dict):
        raise MalformedAction("an order must be an object")
    buy = flag(field(wire, "b"), "b")
    reduce_only = flag(field(wire, "r"), "r")
    kind = field(wire, "t")
    cloid = client_id(wire.get("c"))
    market = state.markets.get(asset)
    spec = market.spec if market is not None else state.meta.perps[0]
    px = parse(field(wire, "p"), spec.px_decimals)
    sz = parse(field(wire, "s"), spec.sz_decimals)
    tif, trigger_px, trigger_market, tpsl = "", 0, False, ""
    if isinstance(kind, dict) and "limit" in kind:
        tif = text(field(kind["limit"], "tif"), "tif")
        if tif not in _TIFS:
            raise MalformedAction(f"unknown time in force {tif!r}")
    else:
        trigger = field(kind, "trigger")
        trigger_market = flag(field(trigger, "isMarket"), "isMarket")
        trigger_px = parse(field(trigger, "triggerPx"), spec.px_decimals)
        tpsl = text(field(trigger, "tpsl"), "tpsl")
        if tpsl not in ("tp", "sl"):
            raise MalformedAction(f"unknown trigger {tpsl!r}")
    if market is None:
        return None
    # A spot balance is no position that could be reduced.
    reduce_only = reduce_only and not spec.spot
    return Draft(spec, buy, px, sz, reduce_only, tif, trigger_px, trigger_market, tpsl, cloid)
