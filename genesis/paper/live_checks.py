"""Before a live paper run begins: its markets, and accounts that nobody else trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genesis.domain.errors import DataError, RefusedError, did_you_mean
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.settings import ForeignPolicy
from genesis.trading.gateway import AccountState


def require_markets(gateway: HyperliquidGateway, symbols: Sequence[str]) -> None:
    """Refuse markets that the exchange does not list, or no more.

    Raises
    ------
    DataError
    """
    known = gateway.parts.markets.rules
    for symbol in symbols:
        if symbol not in known or known[symbol].delisted:
            raise DataError(
                f"the exchange lists no {symbol}{did_you_mean(symbol, known)}",
                fix=f"use one of {', '.join(list(known)[:12])}",
            )


def require_funds(gateway: HyperliquidGateway, accounts: Mapping[str, str], capital: float) -> None:
    """Refuse a capital that an account does not have.

    Raises
    ------
    RefusedError
    InfrastructureError
    """
    for name, address in accounts.items():
        equity = gateway.funds(name).equity
        if float(equity) < capital:
            raise RefusedError(
                f"the account {address} holds {equity:,.2f} dollars, less than its capital",
                why=f"the strategy sizes its positions by {capital:,.2f}",
                fix=f"write --capital {int(equity)}, or pay more in",
            )


BEFORE_MS = 60_000
"""How far back an account is read when a run begins: what just happened is not the run's."""


def require_empty(
    gateway: HyperliquidGateway, accounts: Mapping[str, str], now_ms: int
) -> list[AccountState]:
    """Refuse to begin in an account that somebody trades already.

    Returns
    -------
    list of AccountState
        As the accounts stand, with what happened in the last minute.

    Raises
    ------
    RefusedError
        If it has positions, or resting orders that the gateway was not told to keep.
    InfrastructureError
    """
    keep = gateway.settings.foreign is ForeignPolicy.KEEP
    found = []
    for name, address in accounts.items():
        state = gateway.account_state(name, now_ms - BEFORE_MS)
        found.append(state)
        held = [f"{one.symbol} {one.size}" for one in state.positions]
        held += [f"an order on {one.symbol}" for one in state.orders if not keep]
        if held:
            raise RefusedError(
                f"the account {address} is in use",
                why=f"it has {', '.join(held[:5])}",
                fix="close them, or use a (sub-)account of its own for the run",
            )
    return found
