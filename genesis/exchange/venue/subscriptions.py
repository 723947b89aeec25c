"""What a websocket client may subscribe to: the forms, their keys, and the words of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from genesis.exchange.venue.candles import INTERVALS_MS

_USER = ("user",)
_COIN = ("coin",)
FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "allMids": ((), ("dex",)),
    "l2Book": (_COIN, ("nSigFigs", "mantissa")),
    "bbo": (_COIN, ()),
    "trades": (_COIN, ()),
    "candle": (("coin", "interval"), ()),
    "activeAssetCtx": (_COIN, ()),
    "activeAssetData": (("user", "coin"), ()),
    "orderUpdates": (_USER, ()),
    "userEvents": (_USER, ()),
    "userFills": (_USER, ("aggregateByTime",)),
    "userFundings": (_USER, ()),
    "userNonFundingLedgerUpdates": (_USER, ()),
    "userHistoricalOrders": (_USER, ()),
    "userTwapSliceFills": (_USER, ()),
    "userTwapHistory": (_USER, ()),
    "notification": (_USER, ()),
    "webData2": (_USER, ()),
    "webData3": (_USER, ()),
    "clearinghouseState": (_USER, ("dex",)),
    "openOrders": (_USER, ("dex",)),
    "spotState": (_USER, ()),
}
"""Fields that each type needs, and fields that it may have."""


class Subscription(NamedTuple):
    """A subscription without what does not tell two apart."""

    type: str
    coin: str = ""
    user: str = ""
    interval: str = ""
    extra: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str) -> Any:
        """Value of an optional field, None where it was not given."""
        return dict(self.extra).get(name)


def parse(body: Any, coins: Mapping[str, Any]) -> Subscription | None:
    """Read a subscription; None where the exchange would not understand it.

    Parameters
    ----------
    body : Any
        What the client sent.
    coins : mapping
        Whose keys are the coins that exist.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("type"), str):
        return None
    kind = body["type"]
    if kind not in FORMS:
        return None
    needed, optional = FORMS[kind]
    given = {name: body.get(name) for name in needed}
    if not all(isinstance(value, str) for value in given.values()):
        return None
    if "user" in given and not is_address(given["user"]):
        return None
    if "coin" in given and given["coin"] not in coins:
        return None
    if "interval" in given and given["interval"] not in INTERVALS_MS:
        return None
    extra = tuple((n, body[n]) for n in optional if body.get(n) not in (None, "", False))
    return Subscription(
        kind,
        str(given.get("coin", "")),
        str(given.get("user", "")).lower(),
        str(given.get("interval", "")),
        extra,
    )


def is_address(text: Any) -> bool:
    """Whether a value is an address of 20 bytes in hexadecimal."""
    if not isinstance(text, str) or len(text) != 42 or not text.startswith("0x"):
        return False
    return all(digit in "0123456789abcdefABCDEF" for digit in text[2:])


def echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """The subscription as the exchange repeats it: every field of its form, null where absent."""
    given = dict(body)
    if given.get("type") == "l2Book":
        given.setdefault("nSigFigs", None)
        given.setdefault("mantissa", None)
    return given


def spelled(body: Any) -> str:
    """The subscription inside an error text."""
    return msgspec.json.encode(body).decode()
