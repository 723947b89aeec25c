"""The official SDK: wire types and signatures. Nothing else here imports it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hyperliquid.utils.signing import order_wires_to_order_action, sign_l1_action

from genesis.domain.errors import RefusedError
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.rules import wire

Json = dict[str, Any]

SIGNED = frozenset(
    (
        "order",
        "cancel",
        "cancelByCloid",
        "batchModify",
        "twapCancel",
        "scheduleCancel",
        "updateLeverage",
        "noop",
    )
)
"""Actions that are ever signed here: trading, never a transfer or a new agent."""


def limit_wire(tif: str) -> Json:
    """Type of an order that rests or takes at once: ``Gtc``, ``Ioc`` or ``Alo``."""
    return {"limit": {"tif": tif}}


def trigger_wire(level: Decimal, tpsl: str, *, market: bool) -> Json:
    """Type of an order that waits for a level; the order of keys is part of the signature."""
    return {"trigger": {"isMarket": market, "triggerPx": wire(level), "tpsl": tpsl}}


def order_wire(
    asset: int,
    *,
    buy: bool,
    price: Decimal,
    size: Decimal,
    reduce_only: bool,
    kind: Json,
    client_id: str,
) -> Json:
    """An order as it is signed."""
    return {
        "a": asset,
        "b": buy,
        "p": wire(price),
        "s": wire(size),
        "r": reduce_only,
        "t": kind,
        "c": client_id,
    }


def order_action(order: Json) -> Json:
    """Action that places one order."""
    action: Json = order_wires_to_order_action([order])
    return action


def modify_action(oid: int | str, order: Json) -> Json:
    """Action that replaces the order of an exchange's or a client's id."""
    return {"type": "batchModify", "modifies": [{"oid": oid, "order": order}]}


def cancel_action(asset: int, client_id: str) -> Json:
    """Action that ends the order of a client id."""
    return {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": client_id}]}


def cancel_by_oid_action(asset: int, oid: int) -> Json:
    """Action that ends the order of an exchange's id, for orders that have no other."""
    return {"type": "cancel", "cancels": [{"a": asset, "o": oid}]}


def twap_cancel_action(asset: int, number: int) -> Json:
    """Action that ends a TWAP order."""
    return {"type": "twapCancel", "a": asset, "t": number}


def schedule_cancel_action(at_ms: int | None) -> Json:
    """Action that lets every order be cancelled at an instant, or at none."""
    action: Json = {"type": "scheduleCancel"}
    return action if at_ms is None else action | {"time": at_ms}


def leverage_action(asset: int, leverage: int, *, cross: bool) -> Json:
    """Action that sets the leverage of a market."""
    return {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": leverage}


class Signer:
    """Signs actions of one agent for one network.

    Parameters
    ----------
    key : AgentKey
    mainnet : bool
    """

    def __init__(self, key: AgentKey, *, mainnet: bool) -> None:
        self._key = key
        self._mainnet = mainnet

    @property
    def address(self) -> str:
        """Address of the agent, lower case."""
        return self._key.address

    def body(self, action: Json, nonce: int, expires_ms: int | None, vault: str | None) -> bytes:
        """Bytes to post: the action with its signature.

        Raises
        ------
        RefusedError
            For an action that nothing here may ask for.
        """
        kind = action.get("type")
        if kind not in SIGNED:
            raise RefusedError(f"the signer does not sign {kind!r}", why="it signs trading only")
        signature = sign_l1_action(
            self._key.wallet(), action, vault, nonce, expires_ms, self._mainnet
        )
        return msgspec.json.encode(
            {
                "action": action,
                "nonce": nonce,
                "signature": signature,
                "vaultAddress": vault,
                "expiresAfter": expires_ms,
            }
        )
