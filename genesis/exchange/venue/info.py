"""``/info``: from a request to the reader that answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from genesis.exchange.venue.absent import NOBODY_HAS
from genesis.exchange.venue.candles import INTERVALS_MS
from genesis.exchange.venue.core import VenueCore
from genesis.exchange.venue.faults import FaultPlan
from genesis.exchange.venue.limits import AddressBudget
from genesis.exchange.venue.meta_change import patched
from genesis.exchange.venue.subscriptions import is_address
from genesis.exchange.venue.units import MONEY_DECIMALS, show
from genesis.exchange.venue.wire import BadShape

_CLOID = re.compile(r"0x[0-9a-fA-F]{32}")

Body = Mapping[str, Any]
Reader = Callable[[Body], Any]


class InfoApi:
    """Answers every type of info request.

    Parameters
    ----------
    core : VenueCore
    budget : AddressBudget
        Requests that each account has made.
    volume : callable
        Dollars that an account has traded.
    faults : FaultPlan
    """

    def __init__(
        self,
        core: VenueCore,
        budget: AddressBudget,
        volume: Callable[[str], Decimal],
        faults: FaultPlan,
    ) -> None:
        self._core = core
        self._market = core.market_info
        self._user = core.user_info
        self._history = core.user_history
        self._budget = budget
        self._volume = volume
        self._faults = faults
        self.coins: dict[str, int] = {spec.coin: spec.asset for spec in core.meta.instruments()}
        self._readers: dict[str, Reader] = {
            **self._of_markets(),
            **self._of_accounts(),
            **self._of_histories(),
            **{kind: _constant(value) for kind, value in NOBODY_HAS.items()},
        }

    def answer(self, body: Any) -> Any:
        """Answer one request.

        Raises
        ------
        BadShape
            For a type that does not exist or arguments that are none of it.
        """
        if not isinstance(body, Mapping) or not isinstance(body.get("type"), str):
            raise BadShape("an info request has a type")
        reader = self._readers.get(body["type"])
        if reader is None:
            raise BadShape(f"unknown type {body['type']!r}")
        return reader(body)

    def _of_markets(self) -> dict[str, Reader]:
        market = self._market
        return {
            "meta": lambda b: _main_dex(b, self._meta),
            "allPerpMetas": lambda _: [self._meta()],
            "metaAndAssetCtxs": lambda b: _main_dex(b, lambda: [self._meta(), market.contexts()]),
            "spotMeta": lambda _: market.spot_meta(),
            "spotMetaAndAssetCtxs": lambda _: [market.spot_meta(), market.spot_contexts()],
            "perpDexs": lambda _: [None],
            "allMids": lambda b: _main_dex(b, market.mids),
            "l2Book": self._book,
            "recentTrades": lambda b: market.trades(self._coin(b)),
            "candleSnapshot": self._candles,
            "fundingHistory": lambda b: market.funding_history(
                self._coin(b), _integer(b, "startTime"), _optional(b, "endTime")
            ),
            "predictedFundings": lambda _: market.predicted_fundings(),
            "marginTable": self._margin_table,
            "exchangeStatus": lambda _: {"time": self._core.now_ms, "specialStatuses": None},
        }

    def _of_accounts(self) -> dict[str, Reader]:
        user = self._user
        return {
            "clearinghouseState": lambda b: _main_dex(
                b, lambda: user.clearinghouse_state(_user(b))
            ),
            "spotClearinghouseState": lambda b: user.spot_state(_user(b)),
            "openOrders": lambda b: _main_dex(b, lambda: user.open_orders(_user(b))),
            "frontendOpenOrders": lambda b: _main_dex(
                b, lambda: user.frontend_open_orders(_user(b))
            ),
            "orderStatus": lambda b: user.order_status(_user(b), _order_key(b)),
            "historicalOrders": lambda b: user.historical_orders(_user(b)),
            "activeAssetData": lambda b: user.active_asset_data(_user(b), self._coin(b)),
            "userRole": lambda b: user.role(_user(b)),
            "extraAgents": lambda b: user.extra_agents(_user(b)),
            "userAbstraction": lambda b: user.abstraction(_user(b)),
            "maxBuilderFee": lambda b: user.max_builder_fee(
                _user(b), _string(b, "builder").lower()
            ),
            "subAccounts": lambda b: user.sub_accounts(_user(b)),
            "referral": lambda b: user.referral(_user(b)),
            "userFees": lambda b: user.fees(_user(b)),
            "userRateLimit": self._rate_limit,
            "webData2": self._web_data,
        }

    def _of_histories(self) -> dict[str, Reader]:
        history = self._history
        return {
            "userFills": lambda b: history.fills(
                _user(b), aggregate=b.get("aggregateByTime") is True
            ),
            "userFillsByTime": lambda b: history.fills_by_time(
                _user(b),
                _integer(b, "startTime"),
                _optional(b, "endTime"),
                aggregate=b.get("aggregateByTime") is True,
                newest_first=b.get("reversed") is True,
            ),
            "userFunding": lambda b: history.funding(_user(b), *_span(b)),
            "userNonFundingLedgerUpdates": lambda b: history.ledger(_user(b), *_span(b)),
            "twapHistory": lambda b: history.twaps(_user(b)),
            "userTwapSliceFills": lambda b: history.twap_fills(_user(b)),
            "userTwapSliceFillsByTime": lambda b: history.twap_fills(_user(b), *_span(b)),
            "portfolio": self._portfolio,
        }

    def _rate_limit(self, body: Body) -> Any:
        user = _user(body)
        volume = self._volume(user)
        return {
            "cumVlm": show(int(volume.scaleb(MONEY_DECIMALS)), MONEY_DECIMALS),
            "nRequestsUsed": self._budget.used(user),
            "nRequestsCap": self._budget.cap(volume),
            "nRequestsSurplus": 0,
        }

    def _portfolio(self, body: Body) -> Any:
        user = _user(body)
        value = self._user.clearinghouse_state(user)["marginSummary"]["accountValue"]
        return self._history.portfolio(user, int(Decimal(value).scaleb(MONEY_DECIMALS)))

    def _web_data(self, body: Body) -> Any:
        user = _user(body)
        market = self._market
        return {
            "clearinghouseState": self._user.clearinghouse_state(user),
            "leadingVaults": [],
            "totalVaultEquity": "0.0",
            "openOrders": self._user.frontend_open_orders(user),
            "agentAddress": None,
            "agentValidUntil": None,
            "cumLedger": "0.0",
            "meta": self._meta(),
            "assetCtxs": market.contexts(),
            "serverTime": self._core.now_ms,
            "isVault": False,
            "user": user,
            "twapStates": [],
            "spotState": self._user.spot_state(user),
            "spotAssetCtxs": market.spot_contexts(),
        }

    def _meta(self) -> dict[str, Any]:
        changed = self._faults.states("meta_change", self._core.now_ms)
        return patched(self._market.meta(), changed)

    def _book(self, body: Body) -> Any:
        figures, mantissa = _optional(body, "nSigFigs"), _optional(body, "mantissa")
        if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
            raise BadShape("nSigFigs is 2 to 5, mantissa 1, 2 or 5")
        if mantissa is not None and figures != 5:
            raise BadShape("mantissa goes with nSigFigs 5")
        book = self._market.book(_string(body, "coin"), figures, mantissa)
        if book is None and self._core.profile.unknown_coin_book:
            raise BadShape("unknown coin")
        return book

    def _candles(self, body: Body) -> Any:
        req = body.get("req")
        if not isinstance(req, Mapping) or req.get("interval") not in INTERVALS_MS:
            raise BadShape("req names a coin, an interval and times")
        return self._market.candles(
            self._coin(req), req["interval"], _integer(req, "startTime"), _optional(req, "endTime")
        )

    def _margin_table(self, body: Body) -> Any:
        wanted = _integer(body, "id")
        for number, table in self._market.meta()["marginTables"]:
            if number == wanted:
                return table
        tiers = [{"lowerBound": "0.0", "maxLeverage": wanted}]
        return {"description": "", "marginTiers": tiers}

    def _coin(self, body: Body) -> str:
        coin = _string(body, "coin")
        if coin not in self.coins:
            raise BadShape(f"unknown coin {coin!r}")
        return coin


def _constant(value: Any) -> Reader:
    return lambda _: value


def _main_dex(body: Body, read: Callable[[], Any]) -> Any:
    # This exchange has no builder-deployed markets: any other name is that of nothing.
    return read() if body.get("dex") in (None, "") else None


def _user(body: Body) -> str:
    user = body.get("user")
    if not is_address(user):
        raise BadShape("user is an address")
    return str(user).lower()


def _order_key(body: Body) -> int | str:
    key = body.get("oid")
    if isinstance(key, str) and _CLOID.fullmatch(key):
        return key
    return _integer(body, "oid")


def _span(body: Body) -> tuple[int, int | None]:
    return _integer(body, "startTime"), _optional(body, "endTime")


def _string(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise BadShape(f"{name} is a text")
    return value


def _integer(body: Body, name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadShape(f"{name} is a whole number")
    return value


def _optional(body: Body, name: str) -> int | None:
    return None if body.get(name) is None else _integer(body, name)


def stale(kind: str, answer: Any, until_ms: int) -> Any:
    """An answer as it was at an earlier instant, as far as orders and fills go."""
    if kind == "orderStatus" and answer.get("status") == "order":
        placed = answer["order"]["order"]["timestamp"]
        return {"status": "unknownOid"} if placed > until_ms else answer
    if isinstance(answer, list):
        return [row for row in answer if _known(row, until_ms)]
    return answer


def _known(row: Any, until_ms: int) -> bool:
    if not isinstance(row, Mapping):
        return True
    # Orders, fills and payments, then candles.
    stamp = row.get("statusTimestamp", row.get("timestamp", row.get("time", row.get("t"))))
    return not isinstance(stamp, int) or stamp <= until_ms
