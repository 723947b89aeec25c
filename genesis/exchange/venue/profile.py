"""What the venue does where the real exchange's behaviour is configurable or not verified."""

from __future__ import annotations

import msgspec


class VenueProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Behaviour of one venue.

    The first block are points that could not be confirmed on the real exchange: each has a
    default and can be turned round, so that a client can be tried with either.

    Attributes
    ----------
    duplicate_cloid : {"accept", "reject"}
        A second live order with the same client id.
    small_reduce_only : bool
        Whether a reduce-only order below the minimum value is accepted.
    unknown_coin_book : bool
        Whether the book of an unknown coin is an error rather than ``null``.
    children_survive_partial_parent : bool
        Whether the TP/SL children of a parent that ends partly filled become active for what was
        filled; otherwise they are cancelled with it.
    price_band_percent : int
        Largest distance of a limit price from the reference price.
    partial_ioc_status : str
        Final status of an immediate order whose rest found no counterparty.
    partial_gtc_status : {"filled", "resting"}
        Answer to an order that was partly filled and rests.
    position_tpsl_bare : bool
        Whether a TP/SL of a position is answered with a bare string, as children are.
    liquidation_pays_fee : bool
        Whether a liquidated position pays the taker fee.
    fills_newest_first : bool
        Order of ``userFills``.
    taker_rate, maker_rate, spot_taker_rate, spot_maker_rate : int
        Fees in thousandths of a percent (45 is 0.045 %).
    min_value : int
        Least value of an order in dollars.
    schedule_cancel_volume : int
        Dollars traded before ``scheduleCancel`` is available.
    open_orders : int
        Open orders of an account that has not traded.
    max_position : int
        Largest value of a position in dollars.
    step_ms : int
        Time between two updates of prices and of the venue's own agents; 0 turns both off.
    agents : bool
        Whether makers and takers trade on the venue.
    maker_levels : int
        Price levels a maker keeps on each side.
    coins : tuple of str
        Markets that move by themselves; all where it is empty.
    """

    duplicate_cloid: str = "accept"
    small_reduce_only: bool = True
    unknown_coin_book: bool = False
    children_survive_partial_parent: bool = False
    price_band_percent: int = 95
    partial_ioc_status: str = "canceled"
    partial_gtc_status: str = "filled"
    position_tpsl_bare: bool = False
    liquidation_pays_fee: bool = True
    fills_newest_first: bool = True

    taker_rate: int = 45
    maker_rate: int = 15
    spot_taker_rate: int = 70
    spot_maker_rate: int = 40
    min_value: int = 10
    schedule_cancel_volume: int = 1_000_000
    open_orders: int = 1000
    max_position: int = 1_000_000_000

    step_ms: int = 1000
    agents: bool = True
    maker_levels: int = 10
    coins: tuple[str, ...] = ()


# Nothing happens on its own: prices move only when told, nobody else trades.
STILL = VenueProfile(step_ms=0, agents=False)
