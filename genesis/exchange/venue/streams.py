"""From what happened on the exchange to frames on its websockets.

Channels of a user follow each other in the order of events; what describes a market's state (book,
candle, context) is sent once per beat however often it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from genesis.exchange.venue.events import VenueEvent
from genesis.exchange.venue.market_info import MarketInfo
from genesis.exchange.venue.subscriptions import Subscription

Ask = Callable[[dict[str, Any]], Any]
"""Answers an info request."""

Message = tuple[Subscription, str, Any]
"""Who is meant, the channel, and the data."""

_MARKET_STATE = frozenset(("l2Book", "bbo", "candle", "activeAssetCtx"))
_ACCOUNT_STATE = frozenset(
    ("clearinghouseState", "openOrders", "spotState", "webData2", "webData3", "activeAssetData")
)
_PERIODIC = frozenset(("allMids",))


class Streams:
    """Makes the frames of every subscription.

    Parameters
    ----------
    market : MarketInfo
        Readers of what anyone may know.
    ask : callable
        Answers an info request, as a REST client would get it.
    now_ms : callable
        The exchange's time.
    """

    def __init__(self, market: MarketInfo, ask: Ask, now_ms: Callable[[], int]) -> None:
        self._market = market
        self._ask = ask
        self._now_ms = now_ms
        self._coins: set[str] = set()
        self._users: set[str] = set()
        self._bbo: dict[str, Any] = {}

    def snapshot(self, wanted: Subscription) -> list[tuple[str, Any]]:
        """What a new subscriber hears first; nothing for channels that never repeat themselves."""
        user = wanted.user
        if wanted.type == "userFills":
            fills = self._ask({"type": "userFills", "user": user} | dict(wanted.extra))
            return [("userFills", {"isSnapshot": True, "user": user, "fills": fills})]
        if wanted.type == "userFundings":
            rows = self._ask({"type": "userFunding", "user": user, "startTime": 0})
            flat = [funding_row(row) for row in rows]
            return [("userFundings", {"isSnapshot": True, "user": user, "fundings": flat})]
        if wanted.type == "userNonFundingLedgerUpdates":
            asked = {"type": "userNonFundingLedgerUpdates", "user": user, "startTime": 0}
            data = {"isSnapshot": True, "user": user, "nonFundingLedgerUpdates": self._ask(asked)}
            return [(wanted.type, data)]
        if wanted.type == "userHistoricalOrders":
            orders = self._ask({"type": "historicalOrders", "user": user})
            data = {"isSnapshot": True, "user": user, "orderHistory": orders}
            return [(wanted.type, data)]
        if wanted.type in ("userTwapSliceFills", "userTwapHistory"):
            asked_type = {"userTwapHistory": "twapHistory"}.get(wanted.type, wanted.type)
            name = "history" if wanted.type == "userTwapHistory" else "twapSliceFills"
            rows = self._ask({"type": asked_type, "user": user})
            return [(wanted.type, {"isSnapshot": True, "user": user, name: rows})]
        if wanted.type == "trades":
            return [("trades", self._ask({"type": "recentTrades", "coin": wanted.coin}))]
        return self.state(wanted)

    def state(self, wanted: Subscription) -> list[tuple[str, Any]]:
        """State of a market or account, for the channels that send states."""
        coin, user = wanted.coin, wanted.user
        match wanted.type:
            case "l2Book":
                return [
                    ("l2Book", self._ask({"type": "l2Book", "coin": coin, **dict(wanted.extra)}))
                ]
            case "bbo":
                return [("bbo", self._market.bbo(coin))]
            case "candle":
                candle = self._market.candle(coin, wanted.interval)
                return [] if candle is None else [("candle", candle)]
            case "activeAssetCtx":
                return [self._context(coin)]
            case "allMids":
                return [("allMids", {"mids": self._market.mids()})]
            case "activeAssetData":
                asked = {"type": "activeAssetData", "user": user, "coin": coin}
                return [("activeAssetData", self._ask(asked))]
            case "clearinghouseState":
                state = self._ask({"type": "clearinghouseState", "user": user})
                data = {"dex": "", "user": user, "clearinghouseState": state}
                return [("clearinghouseState", data)]
            case "openOrders":
                orders = self._ask({"type": "frontendOpenOrders", "user": user})
                return [("openOrders", {"dex": "", "user": user, "orders": orders})]
            case "spotState":
                state = self._ask({"type": "spotClearinghouseState", "user": user})
                return [("spotState", {"user": user, "spotState": state})]
            case "webData2":
                return [("webData2", self._ask({"type": "webData2", "user": user}))]
            case "webData3":
                return [("webData3", self._web_data_3(user))]
        return []

    def messages(self, events: Iterable[VenueEvent]) -> Iterator[Message]:
        """Frames that go out at once, and a note of every state that has changed."""
        for (kind, user, coin), group in groupby(events, lambda e: (e.kind, e.user, _coin(e))):
            rows = [event.data for event in group]
            if user:
                self._users.add(user)
            elif coin:
                self._coins.add(coin)
            if kind == "trade":
                yield Subscription("trades", coin), "trades", rows
            elif user:
                yield from _of_user(kind, user, rows)

    def beat(self, wanted: Iterable[Subscription], *, everything: bool) -> Iterator[Message]:
        """Frames of the states that have changed since the last beat.

        Parameters
        ----------
        wanted : iterable of Subscription
            The subscriptions that exist.
        everything : bool
            Also the states that are sent regularly, whether they changed or not.
        """
        for sub in wanted:
            if not self._is_due(sub, everything):
                continue
            for channel, data in self.state(sub):
                if channel == "bbo" and self._bbo.get(sub.coin) == data["bbo"]:
                    continue
                if channel == "bbo":
                    self._bbo[sub.coin] = data["bbo"]
                yield sub, channel, data
        self._coins.clear()
        self._users.clear()

    def _is_due(self, sub: Subscription, everything: bool) -> bool:
        if sub.type in _MARKET_STATE:
            return sub.coin in self._coins or (everything and sub.type == "activeAssetCtx")
        if sub.type in _ACCOUNT_STATE:
            return everything or sub.user in self._users
        return everything and sub.type in _PERIODIC

    def _context(self, coin: str) -> tuple[str, Any]:
        context = self._market.context(coin)
        channel = "activeSpotAssetCtx" if "circulatingSupply" in context else "activeAssetCtx"
        return channel, {"coin": coin, "ctx": context}

    def _web_data_3(self, user: str) -> dict[str, Any]:
        state = self._ask({"type": "clearinghouseState", "user": user})
        orders = self._ask({"type": "frontendOpenOrders", "user": user})
        summary = state["marginSummary"]
        states = {"totalVaultEquity": "0.0", "leadingVaults": [], "perpsAtOpenInterestCap": []}
        return {
            "userState": {
                "agentAddress": None,
                "agentValidUntil": None,
                "serverTime": self._now_ms(),
                "cumLedger": summary["accountValue"],
                "isVault": False,
                "user": user,
            },
            "perpDexStates": [
                {**states, "clearinghouseState": state, "openOrders": orders},
            ],
        }


def funding_row(row: dict[str, Any]) -> dict[str, Any]:
    """A funding payment as the stream sends it: flat, without a hash."""
    delta = {key: value for key, value in row["delta"].items() if key != "type"}
    return {"time": row["time"], **delta}


def _coin(event: VenueEvent) -> str:
    # Updates of a user over several coins share a frame.
    return event.coin if not event.user else ""


def _of_user(kind: str, user: str, rows: list[Any]) -> Iterator[Message]:
    match kind:
        case "orderUpdate":
            yield Subscription("orderUpdates", user=user), "orderUpdates", rows
            history = {"user": user, "orderHistory": rows}
            yield Subscription("userHistoricalOrders", user=user), "userHistoricalOrders", history
        case "fill":
            yield Subscription("userEvents", user=user), "user", {"fills": rows}
            for extra in ((), (("aggregateByTime", True),)):
                sub = Subscription("userFills", user=user, extra=extra)
                yield sub, "userFills", {"user": user, "fills": rows}
        case "funding":
            for row in rows:
                sub = Subscription("userEvents", user=user)
                yield sub, "user", {"funding": funding_row(row)}
            data = {"user": user, "fundings": [funding_row(row) for row in rows]}
            yield Subscription("userFundings", user=user), "userFundings", data
        case "liquidation":
            for row in rows:
                yield Subscription("userEvents", user=user), "user", {"liquidation": row}
        case "nonUserCancel":
            yield Subscription("userEvents", user=user), "user", {"nonUserCancel": rows}
        case "ledger":
            name = "userNonFundingLedgerUpdates"
            data = {"user": user, "nonFundingLedgerUpdates": rows}
            yield Subscription(name, user=user), name, data
        case "twapFill":
            name = "userTwapSliceFills"
            data = {"user": user, "twapSliceFills": rows}
            yield Subscription(name, user=user), name, data
        case "twapHistory":
            data = {"user": user, "history": rows}
            yield Subscription("userTwapHistory", user=user), "userTwapHistory", data
        case "notification":
            for row in rows:
                data = {"notification": row}
                yield Subscription("notification", user=user), "notification", data
