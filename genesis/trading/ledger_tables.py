"""Tables of the ledger: plans, execution groups, orders, fills, trades, postings."""

from __future__ import annotations

from decimal import Decimal

from genesis.trading.accounts import Account, ClosedTrade, Trader
from genesis.trading.events import Event
from genesis.trading.gateway import VenueFill
from genesis.trading.orders import Order
from genesis.trading.quality import quality_of
from genesis.trading.tables import Row, Table


def _ordered(names: str, integer: str = "", real: str = "") -> dict[str, str]:
    whole, number = set(integer.split()), set(real.split())
    return {
        name: "INTEGER" if name in whole else "REAL" if name in number else "TEXT"
        for name in names.split()
    }


TRADE_PLANS = Table(
    "trade_plans",
    _ordered(
        "plan_id deployment account symbol side status reason reference wanted size method"
        " stop_atr target_atr trail_atr breakeven_atr time_stop atr begun_ms ended_ms seq",
        integer="time_stop begun_ms ended_ms seq",
        real="stop_atr target_atr trail_atr breakeven_atr atr",
    ),
    ("plan_id",),
    (("deployment", "begun_ms"),),
)
EXECUTION_GROUPS = Table(
    "execution_groups",
    _ordered(
        "group_id plan_id intent_id scope reason purpose algorithm slices spacing_ms begun_ms seq",
        integer="slices spacing_ms begun_ms seq",
    ),
    ("group_id",),
    (("plan_id",),),
)
ORDERS = Table(
    "orders",
    _ordered(
        "order_id client_id venue_id deployment plan_id group_id intent_id account symbol purpose"
        " side kind tif reduce_only size price reference state reason filled average fees"
        " modifications intent_ms submitted_ms accepted_ms first_fill_ms last_fill_ms done_ms"
        " intent_slippage slippage impact latency_ms maker_share grade seq",
        integer="reduce_only modifications intent_ms submitted_ms accepted_ms first_fill_ms"
        " last_fill_ms done_ms latency_ms seq",
        real="intent_slippage slippage impact maker_share",
    ),
    ("order_id",),
    (("client_id",), ("plan_id",), ("deployment",)),
)
ORDER_STATES = Table(
    "order_states",
    _ordered(
        "order_id number state filled size price reason ts_ms recorded_ms seq",
        integer="number ts_ms recorded_ms seq",
    ),
    ("order_id", "number"),
)
FILLS = Table(
    "fills",
    _ordered(
        "fill_id venue_fill_id account symbol order_id client_id deployment plan_id group_id side"
        " size price reference intent_reference fee maker cause realised position ts_ms"
        " recorded_ms latency_ms seq",
        integer="maker ts_ms recorded_ms latency_ms seq",
    ),
    ("fill_id",),
    (("order_id",), ("plan_id",), ("account", "venue_fill_id")),
)
TRADES = Table(
    "trades",
    _ordered(
        "trade_id deployment plan_id account symbol side size entry exit pnl fees funding net"
        " slippage intent_slippage entry_ms exit_ms entry_reason exit_reason exit_class"
        " origin_kind mfe mae seq",
        integer="entry_ms exit_ms seq",
        real="mfe mae",
    ),
    ("trade_id",),
    (("plan_id",), ("deployment", "exit_ms")),
)
POSTINGS = Table(
    "postings",
    _ordered(
        "account number kind symbol reference realised fee funding deposit cash ts_ms seq",
        integer="number ts_ms seq",
    ),
    ("account", "number"),
)
TABLES = (TRADE_PLANS, EXECUTION_GROUPS, ORDERS, ORDER_STATES, FILLS, TRADES, POSTINGS)
"""Tables of the ledger, for the store that holds them."""


def money(value: Decimal | None) -> str | None:
    """Spelling of a Decimal without exponent, None for nothing."""
    return None if value is None else format(value, "f")


def order_rows(order: Order, event: Event) -> tuple[Row, Row]:
    """Row of an order as it stands, and the next row of the states that it came into."""
    request, quality = order.request, quality_of(order)
    values = (
        request.order_id,
        request.client_id,
        order.venue_id,
        order.deployment,
        order.plan_id,
        order.group_id,
        order.intent_id,
        request.account,
        request.symbol,
        order.purpose,
        request.side.value,
        request.kind.value,
        request.tif.value,
        int(request.reduce_only),
        money(order.size),
        money(order.price),
        money(order.reference),
        order.state.value,
        order.reason,
        money(order.filled),
        money(order.average),
        money(order.fees),
        order.modifications,
        order.intent_ms,
        order.submitted_ms,
        order.accepted_ms,
        order.first_fill_ms,
        order.last_fill_ms,
        order.done_ms,
        quality.intent_slippage,
        quality.slippage,
        quality.impact,
        quality.latency_ms,
        quality.maker_share,
        None if quality.grade is None else quality.grade.value,
        event.seq,
    )
    asked = order.asked_size is not None
    order.changes += 1
    state = (
        request.order_id,
        order.changes,
        order.state.value,
        money(order.filled),
        money(order.asked_size if asked else order.size),
        money(order.asked_price if asked else order.price),
        order.reason,
        event.ts_ms,
        event.recorded_ms,
        event.seq,
    )
    return ("orders", values), ("order_states", state)


def fill_row(
    fill_id: str,
    fill: VenueFill,
    order: Order | None,
    trader: Trader,
    realised: Decimal,
    position: Decimal,
    event: Event,
) -> Row:
    """Row of a fill."""
    return "fills", (
        fill_id,
        fill.fill_id,
        fill.account,
        fill.symbol,
        order.order_id if order else "",
        fill.client_id,
        trader.deployment,
        trader.plan_id,
        order.group_id if order else "",
        fill.side.value,
        money(fill.size),
        money(fill.price),
        money(fill.reference),
        money(trader.reference),
        money(fill.fee),
        int(fill.maker),
        fill.cause,
        money(realised),
        money(position),
        fill.ts_ms,
        event.recorded_ms,
        fill.latency_ms,
        event.seq,
    )


def posting_row(
    account: Account,
    kind: str,
    event: Event,
    *,
    symbol: str = "",
    reference: str = "",
    realised: Decimal | None = None,
    fee: Decimal | None = None,
    funding: Decimal | None = None,
    deposit: Decimal | None = None,
) -> Row:
    """Next posting of an account, with the cash after it."""
    account.postings += 1
    parts = tuple(money(value) for value in (realised, fee, funding, deposit))
    head = (account.name, account.postings, kind, symbol, reference)
    return "postings", (*head, *parts, money(account.cash), event.ts_ms, event.seq)


def trade_row(
    trade_id: str,
    closed: ClosedTrade,
    words: tuple[str, str, str, str],
    excursions: tuple[float, float],
    event: Event,
) -> Row:
    """Row of a round trip; ``words`` are entry reason, exit reason, exit class, origin kind."""
    numbers = (
        closed.size,
        closed.entry,
        closed.exit,
        closed.pnl,
        closed.fees,
        closed.funding,
        closed.net,
        closed.slippage,
        closed.intent_slippage,
    )
    return "trades", (
        trade_id,
        closed.deployment,
        closed.plan_id,
        closed.account,
        closed.symbol,
        closed.side.value,
        *(money(value) for value in numbers),
        closed.entry_ms,
        closed.exit_ms,
        *words,
        *excursions,
        event.seq,
    )
