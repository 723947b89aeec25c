"""What happens to one symbol of a simulated account inside a bar: funding, levels, fills.

In the order of the backtest; levels are the nearer of the strategy's own and of the manager's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genesis.backtest.passes import in_reach, through_open, within_range
from genesis.costs.margin import liquidation_level
from genesis.costs.model import fill_price
from genesis.domain.jit import kernel
from genesis.evolution.risk.ledger import (
    ACCRUED,
    CASH,
    ENTRY,
    LEAVING,
    LIQUIDATION,
    PENDING,
    POSITION,
    PREVIOUS,
    STOP,
    TARGET,
    TRADE,
    close_trade,
    keep_state,
    open_levels,
    pay,
    policy_of,
    state_of,
)
from genesis.evolution.risk.scenario import (
    DUE,
    HIGH,
    LOW,
    MAINTENANCE,
    OPEN,
    START_MS,
    AccountSettings,
)
from genesis.risk.formulas import tighter
from genesis.risk.genome import RiskGenes
from genesis.strategy.policy import REASON_NONE, REASON_TARGET, on_fill

Floats = npt.NDArray[np.float64]


class Terms(NamedTuple):
    """Numbers of `AccountSettings` that the kernel needs; ``share`` is a deployment's capital."""

    capital: float
    share: float
    taker: float
    maker: float
    slippage: float
    leverage: float
    interval_ms: float
    start_ms: float


def terms_of(settings: AccountSettings, assets: int) -> Terms:
    """Numbers for the kernel.

    Parameters
    ----------
    settings : AccountSettings
    assets : int
        Symbols, each with an equal share of the capital.
    """
    return Terms(
        settings.capital,
        settings.capital / assets,
        settings.taker,
        settings.maker,
        settings.slippage,
        settings.leverage,
        float(settings.interval_ms),
        float(START_MS),
    )


@kernel
def fill(
    row: Floats,
    account: Floats,
    quantity: float,
    price: float,
    maker: bool,
    spread: float,
    terms: Terms,
) -> float:
    """Book a fill and return its price; what rests has no slippage, what takes pays the spread."""
    side = 1.0 if quantity > 0.0 else -1.0
    paid = price if maker else fill_price(price, side, terms.slippage * spread)
    pay(row, account, quantity, paid, terms.maker if maker else terms.taker)
    return paid


@kernel
def leave(
    row: Floats,
    account: Floats,
    policy: Floats,
    price: float,
    maker: bool,
    t: int,
    spread: float,
    terms: Terms,
    now_ms: float,
) -> None:
    """Close a position as a whole; policy and manager learn of it."""
    fill(row, account, -row[POSITION], price, maker, spread, terms)
    state = on_fill(state_of(row), policy_of(policy), t, row[POSITION], 0.0, 0.0)
    keep_state(row, state)
    close_trade(row, account, now_ms)


@kernel
def stop_and_target(row: Floats) -> tuple[float, float]:
    """Nearer of the strategy's and of the manager's levels."""
    side = 1.0 if row[POSITION] > 0.0 else -1.0
    state = state_of(row)
    return tighter(side, state.stop, row[STOP]), tighter(-side, state.target, row[TARGET])


@kernel
def trade_bar(
    row: Floats,
    account: Floats,
    genes: RiskGenes,
    cell: Floats,
    policy: Floats,
    t: int,
    spread: float,
    terms: Terms,
) -> None:
    """Everything of one symbol inside a bar that happens before its close."""
    open_, high, low = cell[OPEN], cell[HIGH], cell[LOW]
    start = terms.start_ms + t * terms.interval_ms
    if row[POSITION] != 0.0:
        if cell[DUE] != 0.0:
            charge = row[POSITION] * row[PREVIOUS] * cell[DUE]
            account[CASH] -= charge
            row[TRADE] -= charge
            row[ACCRUED] += charge
            row[LIQUIDATION] = liquidation_level(
                row[POSITION], row[ENTRY], row[ACCRUED], terms.leverage, policy[MAINTENANCE]
            )
        stop, target = stop_and_target(row)
        if (
            row[PENDING] == 0.0
            and row[LEAVING] == 0.0
            and not in_reach(row[POSITION], high, low, row[LIQUIDATION], stop, target)
        ):
            return
        side = 1.0 if row[POSITION] > 0.0 else -1.0
        reason = through_open(side, open_, row[LIQUIDATION], stop, target)
        if reason != REASON_NONE:
            row[PENDING] = 0.0  # the order decided with another exit in mind is void
            leave(row, account, policy, open_, reason == REASON_TARGET, t, spread, terms, start)
        elif row[LEAVING] != 0.0:
            leave(row, account, policy, open_, False, t, spread, terms, start)
    if row[PENDING] != 0.0:
        quantity = row[PENDING]
        row[PENDING] = 0.0
        price = fill(row, account, quantity, open_, False, spread, terms)
        row[POSITION] = quantity
        state = on_fill(state_of(row), policy_of(policy), t, 0.0, quantity, price)
        keep_state(row, state)
        open_levels(row, genes, price, terms.leverage, policy[MAINTENANCE])
    if row[POSITION] != 0.0:
        side = 1.0 if row[POSITION] > 0.0 else -1.0
        stop, target = stop_and_target(row)
        reason, price = within_range(side, open_, high, low, row[LIQUIDATION], stop, target)
        if reason != REASON_NONE:
            end = start + terms.interval_ms - 1.0
            leave(row, account, policy, price, reason == REASON_TARGET, t, spread, terms, end)
