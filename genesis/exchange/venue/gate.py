"""The way of one request: limits, faults before it, its answer, faults after it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from genesis.exchange.venue import wire
from genesis.exchange.venue.faults import REQUEST_KINDS, FaultRule, Where, coins_of
from genesis.exchange.venue.info import stale
from genesis.exchange.venue.limits import answer_weight, exchange_weight, info_weight
from genesis.exchange.venue.venue import Venue

_ACCOUNT_STATES = ("clearinghouseState", "spotClearinghouseState")
_KEPT = 200


class Reply(NamedTuple):
    """Status, body and media type of an answer."""

    status: int
    body: bytes
    kind: str = "application/json"


class Ending(Enum):
    """How a request ends without an answer."""

    CUT = "cut"
    HANG = "hang"


_UNPROCESSABLE = Reply(422, wire.UNPROCESSABLE.encode(), "text/plain")
_TOO_MANY = Reply(429, b"null")
_HTML = Reply(200, b"<html><body>It will be back soon.</body></html>", "text/html")


class Gate:
    """Answers requests over HTTP and over the websocket alike."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._names = {asset: coin for coin, asset in venue.info.coins.items()}
        self._before_actions: dict[tuple[str, str], deque[tuple[int, Any]]] = {}

    async def answer(self, path: str, raw: bytes, ip: str) -> Reply | Ending:
        """Answer the body of a request to ``info`` or ``exchange``."""
        try:
            body = wire.decode(raw)
        except wire.BadShape:
            return _UNPROCESSABLE
        return await self.answer_to(path, body, ip)

    async def answer_to(self, path: str, body: Any, ip: str) -> Reply | Ending:
        """Answer a request whose body is read already."""
        venue = self._venue
        if venue.faults.idle:
            return self._apply(path, body, ip, 0)
        now_ms = venue.clock.now_ms()
        down = venue.faults.state("maintenance", now_ms)
        if down is not None:
            return _failure(down)
        struck = self._struck(path, body, now_ms)
        early = await _before(struck)
        if early is not None:
            return early
        kinds = {rule.kind for rule in struck}
        lag_ms = max((r.lag_ms for r in struck if r.kind == "stale_reads"), default=0)
        reply = self._apply(path, body, ip, lag_ms)
        if "duplicate" in kinds:
            reply = self._apply(path, body, ip, lag_ms)
        return await _after(struck, reply)

    def _struck(self, path: str, body: Any, now_ms: int) -> list[FaultRule]:
        faults = self._venue.faults
        asked = body if isinstance(body, dict) else {}
        if path == "info":
            coin = _text(asked, "coin") or _text(asked.get("req"), "coin")
            facts = Where("info", _text(asked, "type"), _text(asked, "user"), coin)
            return faults.chosen(REQUEST_KINDS, facts, now_ms)
        action = asked.get("action")
        action = action if isinstance(action, dict) else {}
        # Recovering a signature is worth its while only where a rule asks for it.
        user = self._venue.exchange.account_of(body) if faults.by_user else ""
        facts = Where("exchange", _text(action, "type"), user)
        return faults.chosen(REQUEST_KINDS, facts, now_ms, _coins(action, self._names))

    def _apply(self, path: str, body: Any, ip: str, lag_ms: int) -> Reply:
        try:
            return self._info(body, ip, lag_ms) if path == "info" else self._exchange(body, ip)
        except wire.BadShape:
            return _UNPROCESSABLE

    def _info(self, body: Any, ip: str, lag_ms: int) -> Reply:
        venue = self._venue
        kind = _text(body, "type")
        now_ms = venue.clock.now_ms()
        if not venue.weights.take(ip, info_weight(kind), now_ms):
            return _TOO_MANY
        venue.step()
        answer = venue.info.answer(body)
        if lag_ms:
            answer = self._earlier(kind, body, now_ms - lag_ms) or stale(
                kind, answer, now_ms - lag_ms
            )
        skewed = venue.faults.state("clock_skew", now_ms)
        if skewed is not None and isinstance(answer, dict) and "time" in answer:
            answer = {**answer, "time": answer["time"] + skewed.skew_ms}
        venue.weights.add(ip, answer_weight(kind, answer), now_ms)
        return Reply(200, msgspec.json.encode(answer))

    def _exchange(self, body: Any, ip: str) -> Reply:
        venue = self._venue
        action = body.get("action") if isinstance(body, dict) else None
        weight = exchange_weight(action) if isinstance(action, dict) else 1
        if not venue.weights.take(ip, weight, venue.clock.now_ms()):
            return _TOO_MANY
        if not venue.faults.idle:
            self._remember(venue.exchange.account_of(body))
        answer = venue.exchange.answer(body)
        venue.publish()
        return Reply(200, msgspec.json.encode(answer))

    def _remember(self, user: str) -> None:
        """Keep an account's state from before its action, for reads that are behind."""
        for kind in _ACCOUNT_STATES if user else ():
            kept = self._before_actions.setdefault((kind, user), deque(maxlen=_KEPT))
            state = self._venue.info.answer({"type": kind, "user": user})
            kept.append((self._venue.clock.now_ms(), state))

    def _earlier(self, kind: str, body: dict[str, Any], until_ms: int) -> Any:
        """State of an account before its first action after an instant, None where none is kept."""
        kept = self._before_actions.get((kind, _text(body, "user").lower()), ())
        return next((state for stamp, state in kept if stamp > until_ms), None)


async def _before(struck: Sequence[FaultRule]) -> Reply | Ending | None:
    for rule in struck:
        match rule.kind:
            case "drop_before":
                return Ending.CUT
            case "hang_before":
                return Ending.HANG
            case "too_many":
                return _TOO_MANY
            case "server_error":
                return _failure(rule)
            case "html":
                return _HTML
            case "delay_before":
                await asyncio.sleep(rule.delay_ms / 1000)
    return None


async def _after(struck: Sequence[FaultRule], reply: Reply) -> Reply | Ending:
    for rule in struck:
        match rule.kind:
            case "drop_after":
                return Ending.CUT
            case "hang_after":
                return Ending.HANG
            case "error_after":
                return _failure(rule)
            case "html_after":
                return _HTML
            case "delay_after":
                await asyncio.sleep(rule.delay_ms / 1000)
    return reply


def _failure(rule: FaultRule) -> Reply:
    text = rule.text or "upstream connect error or disconnect/reset before headers"
    return Reply(rule.status, text.encode(), "text/plain")


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _coins(action: dict[str, Any], names: dict[int, str]) -> frozenset[str]:
    rows: list[Any] = [action]
    for name in ("orders", "cancels", "modifies"):
        listed = action.get(name)
        if isinstance(listed, list):
            rows += [row.get("order", row) if isinstance(row, dict) else row for row in listed]
    return coins_of(rows, names)
