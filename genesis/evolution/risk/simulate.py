"""The simulator: one account under one risk genome on one scenario, bar by bar.

The order inside a bar is that of the backtest, the position policies are those that trade, and
each order that may add risk goes through the manager's formulas at the close that decides it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.domain.timeline import DAY_MS
from genesis.evolution.risk.check import (
    keep_share,
    largest_and_gross,
    level_now,
    trip_losses,
    trip_market,
)
from genesis.evolution.risk.fills import Terms, trade_bar
from genesis.evolution.risk.ledger import (
    CASH,
    ENTRY,
    FORCED,
    GROSS,
    LEAVING,
    ORDERS,
    PENDING,
    PENDING_ATR,
    POSITION,
    PREVIOUS,
    REFUSED,
    ROW,
    begin,
    keep_state,
    mark,
    policy_of,
    state_of,
    trail,
)
from genesis.evolution.risk.scenario import (
    CLOSE,
    CLOSED,
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    OWN_RANGE,
    OWN_VOLATILITY,
    RANGE,
    SIGNALS,
    SPREAD,
    Book,
    Tape,
)
from genesis.risk.formulas import EMERGENCY
from genesis.risk.formulas import HIGH as LEVEL_HIGH
from genesis.risk.genome import RiskGenes
from genesis.risk.state import MOST_ORDERS
from genesis.strategy.policy import (
    SMALLEST_QUANTITY,
    decide,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FORCED_EXIT = 99.0
"""Reason of an exit that the manager ordered."""
_STEP_NOISE = 1e-9


@kernel
def wanted(row: Floats, own: Floats, policy: Floats, close: float, t: int, share: float) -> float:
    """Signed size that a strategy asks for at a close; its exits are noted in the row.

    An order is at most as large as the deployment's capital: the hard limits refuse more.
    """
    signals = int(own[SIGNALS])
    state, reason, quantity = decide(
        state_of(row),
        policy_of(policy),
        row[POSITION],
        row[ENTRY],
        t,
        close,
        own[OWN_RANGE],
        own[OWN_VOLATILITY],
        1 if signals & ENTER_LONG else 0,
        1 if signals & ENTER_SHORT else 0,
        1 if signals & EXIT_LONG else 0,
        1 if signals & EXIT_SHORT else 0,
    )
    keep_state(row, state)
    row[LEAVING] = float(reason)
    return min(max(quantity, -share / close), share / close)


@kernel
def place(
    rows: Floats,
    account: Floats,
    orders: Floats,
    genes: RiskGenes,
    bar: Floats,
    market: Floats,
    correlation: Floats,
    cluster: Bools,
    policy: Floats,
    i: int,
    quantity: float,
    terms: Terms,
    now: float,
) -> None:
    """Ask the manager about an entry and let it wait for the next open, as far as it is allowed."""
    row = rows[i]
    # What was placed a moment ago works already, and may leave the book nearly full.
    _, gross = largest_and_gross(rows, bar, terms.capital)
    level = level_now(account, genes, gross, now)
    held = row[POSITION]
    if row[LEAVING] != 0.0:
        # A reversal's entry is sent when its close is filled, and judged without the position.
        row[POSITION] = 0.0
    kept = keep_share(
        rows,
        account,
        orders,
        genes,
        bar,
        market,
        correlation,
        cluster,
        i,
        quantity,
        level,
        terms.capital,
        now,
    )
    row[POSITION] = held
    numbers = policy_of(policy)
    size = abs(quantity) * kept
    if numbers.lot > 0.0:
        size = math.floor(size / numbers.lot + _STEP_NOISE) * numbers.lot
    if size < SMALLEST_QUANTITY or size * bar[i, CLOSE] < numbers.min_notional:
        account[REFUSED] += 1.0
        return
    row[PENDING] = size if quantity > 0.0 else -size
    row[PENDING_ATR] = bar[i, RANGE]
    orders[int(account[ORDERS]) % MOST_ORDERS] = now
    account[ORDERS] += 1.0


@kernel
def close_bar(
    rows: Floats, account: Floats, genes: RiskGenes, bar: Floats, own: Floats, capital: float
) -> tuple[bool, float, float]:
    """Trail the stops at a close; whether anybody decides, the largest position, the gross."""
    busy = False
    largest = 0.0
    gross = 0.0
    for i in range(rows.shape[0]):
        rows[i, LEAVING] = 0.0
        close = bar[i, CLOSE]
        rows[i, PREVIOUS] = close
        if rows[i, POSITION] != 0.0:
            trail(rows[i], genes, close)
            share = abs(rows[i, POSITION]) * close / capital
            gross += share
            largest = max(largest, share)
            busy = True
        elif int(own[i, SIGNALS]) & (ENTER_LONG | ENTER_SHORT):
            busy = True
    account[GROSS] += gross
    return busy, largest, gross


@kernel
def run_account(
    genes: RiskGenes,
    tape: Tape,
    book: Book,
    terms: Terms,
    equity: Floats,
    totals: Floats,
) -> None:
    """Trade one scenario.

    Parameters
    ----------
    genes : RiskGenes
    tape : Tape
    book : Book
    terms : Terms
    equity : float64, shape (B,)
        Filled with the account's equity at each close, quote units; in a halt that before it.
    totals : float64, shape (ACCOUNT,)
        Filled with the account's last row (see `genesis.evolution.risk.ledger`).
    """
    cells, markets, correlation, cluster = tape
    signals, policy = book
    bars, assets = cells.shape[0], cells.shape[1]
    rows = np.empty((assets, ROW))
    orders = np.zeros(MOST_ORDERS)
    marks, stamps = np.empty(bars + 1), np.empty(bars + 1)
    returns = np.empty(int(bars * terms.interval_ms / DAY_MS) + 2)
    begin(rows, totals, terms.capital, terms.start_ms)
    marks[0] = terms.capital
    stamps[0] = terms.start_ms
    count = 1
    for t in range(bars):
        if markets[t, CLOSED] > 0.0:
            equity[t] = marks[count - 1]
            continue
        bar = cells[t]
        value = 0.0
        for i in range(assets):
            if rows[i, POSITION] != 0.0 or rows[i, PENDING] != 0.0:
                spread = markets[t, SPREAD]
                trade_bar(rows[i], totals, genes, bar[i], policy[i], t, spread, terms)
                value += rows[i, POSITION] * bar[i, CLOSE]
        value += totals[CASH]
        now = terms.start_ms + (t + 1) * terms.interval_ms
        mark(totals, returns, value, now)
        marks[count] = value
        stamps[count] = now
        count += 1
        equity[t] = value
        busy, largest, gross = close_bar(rows, totals, genes, bar, signals[t], terms.capital)
        trip_losses(totals, genes, marks, stamps, count)
        trip_market(totals, genes, markets[t], largest, now, terms.interval_ms)
        if not busy:
            continue
        level = level_now(totals, genes, gross, now)
        for i in range(assets):
            entering = int(signals[t, i, SIGNALS]) & (ENTER_LONG | ENTER_SHORT)
            if rows[i, POSITION] == 0.0 and entering == 0:
                continue
            quantity = wanted(rows[i], signals[t, i], policy[i], bar[i, CLOSE], t, terms.share)
            if level == EMERGENCY and rows[i, POSITION] != 0.0:
                rows[i, LEAVING] = FORCED_EXIT
                totals[FORCED] += 1.0
            if quantity == 0.0:
                continue
            if level >= LEVEL_HIGH:
                totals[REFUSED] += 1.0
                continue
            place(
                rows,
                totals,
                orders,
                genes,
                bar,
                markets[t],
                correlation[t],
                cluster[t],
                policy[i],
                i,
                quantity,
                terms,
                now,
            )
