"""Frames of the websocket on their way out, and what faults make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from genesis.exchange.venue.candles import INTERVALS_MS
from genesis.exchange.venue.faults import FRAME_KINDS, FaultPlan, FaultRule, Where
from genesis.exchange.venue.streams import Message
from genesis.exchange.venue.subscriptions import Subscription
from genesis.exchange.venue.ws import encode

Timed = tuple[int, bytes]
"""Milliseconds to wait, and the frame."""

_PRICES = frozenset(("px", "o", "h", "l", "c", "markPx", "midPx", "oraclePx"))
_FILLS = frozenset(("userFills", "userEvents"))
_UNKNOWN_STATUS = "someNewKindOfRejected"


class Frames:
    """Turns messages into frames.

    Parameters
    ----------
    faults : FaultPlan
    now_ms : callable
        The exchange's time.
    """

    def __init__(self, faults: FaultPlan, now_ms: Callable[[], int]) -> None:
        self._faults = faults
        self._now_ms = now_ms

    def of(self, sub: Subscription, channel: str, data: Any) -> list[Timed]:
        """Frames that carry one message: one, unless a fault is in force."""
        if self._faults.idle:
            return [(0, encode(channel, data))]
        facts = Where("ws", sub.type, sub.user, sub.coin)
        delay, times, garbled = 0, 1, False
        for rule in self._faults.chosen(FRAME_KINDS, facts, self._now_ms()):
            match rule.kind:
                case "ws_drop":
                    return []
                case "ws_duplicate":
                    times = rule.times
                case "ws_delay":
                    delay += rule.delay_ms
                case "ws_garble":
                    garbled = True
                case "ws_status" if channel == "orderUpdates":
                    data = [{**row, "status": rule.text or _UNKNOWN_STATUS} for row in data]
                case "bad_price":
                    data = _with_price(data, rule)
                case "old_candle" if channel == "candle":
                    span = INTERVALS_MS[data["i"]]
                    data = {**data, "t": data["t"] - span, "T": data["T"] - span}
        frame = encode(channel, data)
        if garbled:
            frame = frame[: len(frame) // 2]
        return [(delay, frame)] * times

    def ordered(self, messages: Sequence[Message]) -> list[Message]:
        """Messages of one moment, with fills before updates or after them where a fault says so."""
        facts = Where("ws", "orderUpdates")
        struck = self._faults.chosen({"ws_reorder": ""}, facts, self._now_ms())
        if not struck:
            return list(messages)
        first = _FILLS if struck[0].text != "updates_first" else frozenset(("orderUpdates",))
        return sorted(messages, key=lambda message: message[0].type not in first)


def _with_price(data: Any, rule: FaultRule) -> Any:
    wanted = rule.text or "NaN"
    if isinstance(data, dict):
        return {
            key: {coin: _spoiled(px, wanted) for coin, px in value.items()}
            if key == "mids"
            else _spoiled(value, wanted)
            if key in _PRICES and isinstance(value, str)
            else _with_price(value, rule)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_with_price(row, rule) for row in data]
    return data


def _spoiled(price: str, wanted: str) -> str:
    if not wanted.startswith("x"):
        return wanted
    return f"{float(price) * float(wanted[1:]):.10g}"
