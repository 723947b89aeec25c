"""The table of order states and the words of exchanges."""

from __future__ import annotations

import pytest

from genesis.trading.orders import (
    MOVES,
    TERMINAL,
    Move,
    OrderState,
    VenueStatus,
    next_state,
    venue_status,
)

FILLS = (Move.PART_FILL, Move.FULL_FILL)


def test_every_state_has_a_row() -> None:
    assert set(MOVES) == set(OrderState)


@pytest.mark.parametrize("state", OrderState)
def test_fills_are_legal_in_every_state(state: OrderState) -> None:
    assert next_state(state, Move.FULL_FILL) is OrderState.FILLED
    assert next_state(state, Move.PART_FILL) is not None


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_what_is_over_changes_by_late_fills_only(state: OrderState) -> None:
    for move, after in MOVES[state].items():
        assert after is state or move in FILLS


def test_filled_wins_over_canceled() -> None:
    assert next_state(OrderState.CANCELED, Move.FULL_FILL) is OrderState.FILLED
    assert next_state(OrderState.FILLED, Move.CANCELED) is OrderState.FILLED


@pytest.mark.parametrize("state", [s for s in OrderState if s not in TERMINAL])
def test_a_lost_request_is_unknown_and_never_rejected(state: OrderState) -> None:
    if state is OrderState.INTENT:
        assert next_state(state, Move.LOST) is None  # it was not sent
    else:
        assert next_state(state, Move.LOST) is OrderState.UNKNOWN


def test_only_what_was_not_accepted_can_expire_unsent() -> None:
    able = {s for s in OrderState if next_state(s, Move.EXPIRE) is OrderState.EXPIRED}
    assert able == {
        OrderState.INTENT,
        OrderState.SUBMITTED,
        OrderState.UNKNOWN,
        OrderState.EXPIRED,
    }


# The words of Hyperliquid's order status, as its documentation lists them.
CANCELED = (
    "canceled scheduledCancel internalCancel marginCanceled vaultWithdrawalCanceled"
    " openInterestCapCanceled selfTradeCanceled reduceOnlyCanceled siblingFilledCanceled"
    " delistedCanceled liquidatedCanceled outcomeSettledCanceled"
)
REJECTED = (
    "rejected tickRejected minTradeNtlRejected perpMarginRejected reduceOnlyRejected"
    " badAloPxRejected iocCancelRejected badTriggerPxRejected marketOrderNoLiquidityRejected"
    " positionIncreaseAtOpenInterestCapRejected positionFlipAtOpenInterestCapRejected"
    " tooAggressiveAtOpenInterestCapRejected openInterestIncreaseRejected"
    " insufficientSpotBalanceRejected oracleRejected perpMaxPositionRejected"
    " tooManyOpenOrdersRejected"
)


@pytest.mark.parametrize("word", CANCELED.split())
def test_words_for_canceled(word: str) -> None:
    assert venue_status(word) is VenueStatus.CANCELED


@pytest.mark.parametrize("word", REJECTED.split())
def test_words_for_rejected(word: str) -> None:
    assert venue_status(word) is VenueStatus.REJECTED


def test_other_words() -> None:
    assert venue_status("open") is VenueStatus.OPEN
    assert venue_status("triggered") is VenueStatus.OPEN
    assert venue_status("filled") is VenueStatus.FILLED
    assert venue_status("unknownOid") is VenueStatus.ABSENT


@pytest.mark.parametrize("word", ["", "Open", "somethingNew", "cancelled", "UNKNOWN"])
def test_a_new_word_is_unknown(word: str) -> None:
    assert venue_status(word) is VenueStatus.UNKNOWN
