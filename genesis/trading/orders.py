"""An order: its states, the one table of legal moves, the words of an exchange, its record."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from genesis.trading.gateway import OrderKind, OrderRequest
from genesis.trading.money import divide, subtract

ZERO = Decimal(0)


class OrderState(StrEnum):
    """Where an order stands.

    INTENT is decided and not yet sent; SUBMITTED is sent and not yet answered; UNKNOWN is sent
    and nobody knows what became of it; EXPIRED was never at the exchange, for certain.
    """

    INTENT = "intent"
    SUBMITTED = "submitted"
    RESTING = "resting"
    PARTIAL = "partial"
    TRIGGER_WAIT = "trigger_wait"
    PENDING_CANCEL = "pending_cancel"
    PENDING_MODIFY = "pending_modify"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


TERMINAL = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED}
)
IN_FLIGHT = frozenset({OrderState.SUBMITTED, OrderState.PENDING_CANCEL, OrderState.PENDING_MODIFY})
"""States that wait for an answer of the exchange, and become UNKNOWN when none comes."""


class Move(StrEnum):
    """What can happen to an order. OPEN and REOPEN come in three forms, by what is open."""

    SENT = "sent"
    EXPIRE = "expire"
    OPEN = "open"
    OPEN_PART = "open_part"
    OPEN_TRIGGER = "open_trigger"
    REOPEN = "reopen"
    REOPEN_PART = "reopen_part"
    REOPEN_TRIGGER = "reopen_trigger"
    PART_FILL = "part_fill"
    FULL_FILL = "full_fill"
    ASK_CANCEL = "ask_cancel"
    CANCELED = "canceled"
    CANCEL_REFUSED = "cancel_refused"
    ASK_MODIFY = "ask_modify"
    MODIFY_REFUSED = "modify_refused"
    REJECTED = "rejected"
    LOST = "lost"


_S, _M = OrderState, Move
_OPENING = {
    _M.OPEN: _S.RESTING,
    _M.OPEN_PART: _S.PARTIAL,
    _M.OPEN_TRIGGER: _S.TRIGGER_WAIT,
}
_REOPENING = {
    _M.REOPEN: _S.RESTING,
    _M.REOPEN_PART: _S.PARTIAL,
    _M.REOPEN_TRIGGER: _S.TRIGGER_WAIT,
}


def _stays(state: OrderState, *moves: Move) -> dict[Move, OrderState]:
    return dict.fromkeys(moves, state)


_ENDING = {
    _M.FULL_FILL: _S.FILLED,
    _M.CANCELED: _S.CANCELED,
    _M.REJECTED: _S.REJECTED,
    _M.LOST: _S.UNKNOWN,
}
_OPEN = {
    **_OPENING,
    **_REOPENING,
    **_ENDING,
    _M.PART_FILL: _S.PARTIAL,
    _M.ASK_CANCEL: _S.PENDING_CANCEL,
    _M.ASK_MODIFY: _S.PENDING_MODIFY,
}
_REFUSALS = (_M.CANCEL_REFUSED, _M.MODIFY_REFUSED)
_LATE = (*_OPENING, *_REOPENING, *_REFUSALS, _M.CANCELED, _M.LOST)
"""Answers that may still come in when all is over, and change nothing."""

MOVES: dict[OrderState, dict[Move, OrderState]] = {
    # Asked to end before it was sent: it never will be.
    _S.INTENT: {
        _M.SENT: _S.SUBMITTED,
        _M.EXPIRE: _S.EXPIRED,
        _M.ASK_CANCEL: _S.EXPIRED,
        _M.PART_FILL: _S.PARTIAL,
        _M.FULL_FILL: _S.FILLED,
    },
    _S.SUBMITTED: {
        **_OPENING,
        **_ENDING,
        _M.PART_FILL: _S.PARTIAL,
        _M.ASK_CANCEL: _S.PENDING_CANCEL,
        _M.EXPIRE: _S.EXPIRED,
    },
    _S.RESTING: {**_OPEN, **_stays(_S.RESTING, *_REFUSALS)},
    # An acknowledgement after a fill came too late to mean "nothing filled".
    _S.PARTIAL: {**_OPEN, **_stays(_S.PARTIAL, *_OPENING, *_REOPENING, *_REFUSALS)},
    _S.TRIGGER_WAIT: {**_OPEN, **_stays(_S.TRIGGER_WAIT, *_REFUSALS)},
    # "Never placed, canceled or filled" is a hint, not an answer: it is asked for.
    _S.PENDING_CANCEL: {
        **_ENDING,
        **_stays(_S.PENDING_CANCEL, *_OPENING, *_REOPENING, _M.PART_FILL, _M.MODIFY_REFUSED),
        _M.CANCEL_REFUSED: _S.UNKNOWN,
    },
    _S.PENDING_MODIFY: {
        **_ENDING,
        **_REOPENING,
        **_stays(_S.PENDING_MODIFY, *_OPENING, _M.PART_FILL),
        _M.ASK_CANCEL: _S.PENDING_CANCEL,
        _M.MODIFY_REFUSED: _S.UNKNOWN,
    },
    # A part of it filled proves that it is there, not what became of the rest.
    _S.UNKNOWN: {
        **_OPENING,
        **_REOPENING,
        **_ENDING,
        **_stays(_S.UNKNOWN, _M.PART_FILL, _M.ASK_CANCEL, *_REFUSALS),
        _M.EXPIRE: _S.EXPIRED,
    },
    _S.FILLED: _stays(_S.FILLED, _M.PART_FILL, _M.FULL_FILL, *_LATE),
    _S.CANCELED: {
        **_stays(_S.CANCELED, _M.PART_FILL, _M.REJECTED, *_LATE),
        _M.FULL_FILL: _S.FILLED,
    },
    # A refused or absent order that fills after all was there: the rest is in doubt.
    _S.REJECTED: {
        **_stays(_S.REJECTED, _M.REJECTED, *_LATE),
        _M.PART_FILL: _S.UNKNOWN,
        _M.FULL_FILL: _S.FILLED,
    },
    _S.EXPIRED: {
        **_stays(_S.EXPIRED, _M.EXPIRE, _M.ASK_CANCEL, _M.REJECTED, *_LATE),
        _M.PART_FILL: _S.UNKNOWN,
        _M.FULL_FILL: _S.FILLED,
    },
}
"""State and what happens to it, to the next state. A pair that is absent is not legal."""


def next_state(state: OrderState, move: Move) -> OrderState | None:
    """State after a move, None where the table has no such move."""
    return MOVES[state].get(move)


class VenueStatus(StrEnum):
    """What an exchange says of an order, in our words; anything else is UNKNOWN."""

    OPEN = "open"
    TRIGGER_WAIT = "trigger_wait"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    ABSENT = "absent"
    UNKNOWN = "unknown"


_EXACT = {
    "open": VenueStatus.OPEN,
    "resting": VenueStatus.OPEN,
    "partial": VenueStatus.OPEN,
    "triggered": VenueStatus.OPEN,
    "waitingForFill": VenueStatus.TRIGGER_WAIT,
    "waitingForTrigger": VenueStatus.TRIGGER_WAIT,
    "trigger_wait": VenueStatus.TRIGGER_WAIT,
    "filled": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "scheduledCancel": VenueStatus.CANCELED,
    "internalCancel": VenueStatus.CANCELED,
    "expired": VenueStatus.CANCELED,
    "rejected": VenueStatus.REJECTED,
    "absent": VenueStatus.ABSENT,
    "unknownOid": VenueStatus.ABSENT,
}


def venue_status(word: str) -> VenueStatus:
    """Read an exchange's word; one that nobody has seen before is UNKNOWN, never a guess."""
    known = _EXACT.get(word)
    if known is not None:
        return known
    if word.endswith("Canceled"):
        return VenueStatus.CANCELED
    if word.endswith("Rejected"):
        return VenueStatus.REJECTED
    return VenueStatus.UNKNOWN


class Order(msgspec.Struct):
    """What is known of one order.

    Attributes
    ----------
    request : OrderRequest
        As it was sent.
    deployment, plan_id, intent_id, group_id, purpose : str
        Whose it is; purpose is ``entry``, ``exit``, ``stop``, ``target`` or a caller's word.
    reference : Decimal or None
        Price that the decision saw.
    size, price : Decimal
        As last confirmed; ``asked_size`` and ``asked_price`` of a modification under way, which
        the exchange must not accept after ``asked_until_ms``. Sizes are totals, what is filled
        included.
    filled, value, fees, maker_filled, reference_value : Decimal
        Sums over its fills: size, size·price, fee, size as maker, size·reference of the venue.
    final, expected : OrderState, Decimal
        What the exchange says it ended as, while fills of it are still missing here.
    attempts, absent, absent_ms : int
        Queries sent while UNKNOWN, conclusive answers that the exchange does not know it, and
        the exchange's time of the last such answer.
    doubt : str
        Which request got no answer: ``submit``, ``cancel`` or ``modify``.
    cancel_reason : str
        Why its end was asked for, empty if it was not.
    legs, ended_legs : list of str
        Every id that the exchange gave it (a modification may give a new one), and those that
        were reported canceled.
    modifications, changes : int
        How often it was modified, and how many of its states are written down.
    intent_ms … done_ms : int
        Clock of the run at each step, 0 where it was not reached.
    """

    request: OrderRequest
    deployment: str
    plan_id: str
    purpose: str
    size: Decimal
    price: Decimal | None
    reference: Decimal | None = None
    intent_id: str = ""
    group_id: str = ""
    state: OrderState = OrderState.INTENT
    venue_id: str = ""
    asked_size: Decimal | None = None
    asked_price: Decimal | None = None
    asked_until_ms: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fees: Decimal = ZERO
    maker_filled: Decimal = ZERO
    reference_value: Decimal = ZERO
    first_price: Decimal = ZERO
    last_price: Decimal = ZERO
    venue_latency_ms: int = 0
    fill_ids: list[str] = []
    reason: str = ""
    final: OrderState | None = None
    expected: Decimal = ZERO
    attempts: int = 0
    absent: int = 0
    absent_ms: int = 0
    doubt: str = ""
    cancel_reason: str = ""
    cancel_asks: int = 0
    legs: list[str] = []
    ended_legs: list[str] = []
    modifications: int = 0
    changes: int = 0
    intent_ms: int = 0
    submitted_ms: int = 0
    accepted_ms: int = 0
    first_fill_ms: int = 0
    last_fill_ms: int = 0
    done_ms: int = 0
    deadline_ms: int = 0

    @property
    def order_id(self) -> str:
        """Our id, ``ORD_…``."""
        return self.request.order_id

    @property
    def live(self) -> bool:
        """Whether it may still fill, as far as we know."""
        return self.state not in TERMINAL

    @property
    def full_size(self) -> Decimal:
        """Most that it can fill: the larger size while a modification is under way."""
        asked = self.asked_size
        return self.size if asked is None or asked < self.size else asked

    def has(self, size: Decimal, price: Decimal | None) -> bool:
        """Whether these are its terms."""
        return self.size == size and self.price == price

    @property
    def remaining(self) -> Decimal:
        """What may still fill; zero for an order that is over."""
        if self.state in TERMINAL:
            return ZERO
        left = subtract(self.full_size, self.filled)
        return left if left > ZERO else ZERO

    @property
    def average(self) -> Decimal | None:
        """Average price of its fills, None before the first."""
        return divide(self.value, self.filled) if self.filled else None


def opening(order: Order) -> Move:
    """How an acknowledged order is open: partly filled, waiting for its trigger, or resting."""
    if order.filled:
        return Move.OPEN_PART
    if order.request.kind in (OrderKind.STOP, OrderKind.TARGET):
        return Move.OPEN_TRIGGER
    return Move.OPEN


def reopening(order: Order) -> Move:
    """How an order is open after a modification."""
    if order.filled:
        return Move.REOPEN_PART
    if order.request.kind in (OrderKind.STOP, OrderKind.TARGET):
        return Move.REOPEN_TRIGGER
    return Move.REOPEN
