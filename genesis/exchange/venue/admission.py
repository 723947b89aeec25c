"""Whether an order is accepted: each rule with its exact text and its status."""

from __future__ import annotations

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.drafts import Draft
from genesis.exchange.venue.margin import covers, cross_margin
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MONEY, POW10, TOO_FINE, on_tick, show

# (status, text) of a refusal
Refusal = tuple[str, str]

TICK = ("tickRejected", "Price must be divisible by tick size.")
NO_MARGIN = ("perpMarginRejected", "Insufficient margin to place order.")
NO_BALANCE = ("insufficientSpotBalanceRejected", "Insufficient spot balance")
REDUCE_ONLY = ("reduceOnlyRejected", "Reduce only order would increase position.")
BAD_TRIGGER = ("badTriggerPxRejected", "Invalid TP/SL price.")
NO_MATCH = (
    "iocCancelRejected",
    "Order could not immediately match against any resting orders.",
)
NO_LIQUIDITY = (
    "marketOrderNoLiquidityRejected",
    "No liquidity available for market order.",
)
_OPEN_ORDERS_MOST = 5000
_VOLUME_PER_ORDER = 5_000_000


def malformed_payload(draft: Draft | None) -> str | None:
    """Text for what the payload alone makes impossible: answered once for a whole batch."""
    if draft is None:
        return "Asset does not exist."
    if draft.sz == TOO_FINE:
        return "Order has invalid size."
    # A TP/SL of the whole position takes its size from it.
    if draft.sz == 0 and not draft.trigger_px:
        return "Order has zero size."
    if draft.px == 0:
        return "Order has invalid price."
    return None


def refuse_form(draft: Draft, market: Market, state: VenueState) -> Refusal | None:
    """Judge price and size by the market's rules."""
    spec = draft.spec
    if market.delisted:
        return "rejected", "Trading is halted."
    prices = (draft.px, draft.trigger_px) if draft.tpsl else (draft.px,)
    for px in prices:
        if px == TOO_FINE or not on_tick(px, spec.px_decimals, spec.coarsest):
            return TICK
    profile = state.profile
    small = draft.px * draft.sz < profile.min_value * MONEY
    closing = draft.reduce_only and profile.small_reduce_only
    if small and draft.sz and not closing and not draft.exempt:
        least = profile.min_value
        if spec.spot:
            return "minTradeNtlRejected", f"Order must have minimum value of {least} USDC."
        return "minTradeNtlRejected", f"Order must have minimum value of ${least}."
    band = profile.price_band_percent
    reference = market.oracle
    if abs(draft.px - reference) * 100 > band * reference:
        text = f"Order price cannot be more than {band}% away from the reference price"
        return "oracleRejected", text
    return None


def refuse_trigger(draft: Draft, market: Market) -> Refusal | None:
    """Refuse a trigger that would fire at once, or a spot one."""
    if draft.spec.spot or draft.trigger_px == 0:
        return BAD_TRIGGER
    above = draft.buy == (draft.tpsl == "sl")
    through = market.mark >= draft.trigger_px if above else market.mark <= draft.trigger_px
    return BAD_TRIGGER if through else None


def refuse_position(
    draft: Draft, account: Account, market: Market, state: VenueState
) -> Refusal | None:
    """Judge an order by the account's position, margin and number of orders."""
    spec = draft.spec
    size = account.size(spec.asset)
    if draft.reduce_only and not spec.spot and (not size or draft.buy == (size > 0)):
        return REDUCE_ONLY
    allowed = min(
        _OPEN_ORDERS_MOST,
        state.profile.open_orders + account.volume // (_VOLUME_PER_ORDER * MONEY),
    )
    if len(account.orders) >= allowed:
        return "tooManyOpenOrdersRejected", "Too many open orders."
    if draft.tpsl or draft.reduce_only:
        return None
    if spec.spot:
        return _refuse_balance(draft, account, state)
    delta = draft.sz if draft.buy else -draft.sz
    refusal = _refuse_interest(size, delta, market)
    if refusal is not None:
        return refusal
    after = size + delta
    if abs(after) > abs(size) and abs(after) * market.mark > state.profile.max_position * MONEY:
        return "perpMaxPositionRejected", "Order would exceed the maximum position size."
    if not covers(account, market, delta, market.mark, state.markets):
        return NO_MARGIN
    return None


def _refuse_interest(size: int, delta: int, market: Market) -> Refusal | None:
    """Refuse what adds to the open interest of a market that is at its cap."""
    cap = market.interest_cap
    if not cap or abs(size + delta) <= abs(size):
        return None
    if market.open_interest >= cap:
        if size and (size > 0) != (delta > 0):
            return (
                "positionFlipAtOpenInterestCapRejected",
                "Order would flip position when open interest is at cap.",
            )
        return (
            "positionIncreaseAtOpenInterestCapRejected",
            "Order would increase open interest while open interest is capped.",
        )
    if market.open_interest + abs(delta) > cap:
        return (
            "openInterestIncreaseRejected",
            "Order would increase open interest too quickly.",
        )
    return None


def held(account: Account, token: int, state: VenueState) -> int:
    """Amount of a token that the account's open spot orders hold, in steps of 1e-8."""
    total = 0
    for order in account.orders.values():
        spec = state.markets[order.asset].spec
        if not spec.spot:
            continue
        if order.buy and spec.quote == token:
            total += order.px * order.sz
        elif not order.buy and spec.base == token:
            total += order.sz * POW10[spec.px_decimals]
    return total


def _refuse_balance(draft: Draft, account: Account, state: VenueState) -> Refusal | None:
    if account.house:
        return None
    spec = draft.spec
    token = spec.quote if draft.buy else spec.base
    needed = draft.px * draft.sz if draft.buy else draft.sz * POW10[spec.px_decimals]
    there = account.spot.get(token, 0)
    if account.unified and token == 0:
        there = cross_margin(account, state.markets).withdrawable
    return NO_BALANCE if there - held(account, token, state) < needed else None


def refuse_crossing(draft: Draft, market: Market) -> Refusal | None:
    """Refuse a post-only order that would match."""
    bid, ask = market.book.bids.best(), market.book.asks.best()
    crosses = (0 < ask <= draft.px) if draft.buy else draft.px <= bid
    if not crosses:
        return None
    decimals = draft.spec.px_decimals
    bbo = f"{_plain(bid, decimals)}@{_plain(ask, decimals)}"
    text = f"Post only order would have immediately matched, bbo was {bbo}."
    return "badAloPxRejected", text


def _plain(px: int, decimals: int) -> str:
    return show(px, decimals).removesuffix(".0") if px else "0"
