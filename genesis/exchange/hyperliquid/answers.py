"""What the exchange's answers to requests mean: a union of shapes, and texts that are reasons."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import msgspec

UNSENT = "unreachable"
_REASONS = (
    ("Price must be divisible by tick size", "tick"),
    ("Order must have minimum value", "min_notional"),
    ("Insufficient margin", "margin"),
    ("Insufficient spot balance", "margin"),
    ("Reduce only order would increase position", "reduce_only"),
    ("Post only order would have immediately matched", "post_only"),
    ("Order could not immediately match", "no_match"),
    ("Invalid TP/SL price", "trigger_price"),
    ("No liquidity available for market order", "no_match"),
    ("Order price cannot be more than", "price_band"),
    ("Price too far from oracle", "price_band"),
    ("Order price too far from oracle", "price_band"),
    ("Order has invalid size", "invalid_size"),
    ("Order has zero size", "invalid_size"),
    ("Order has invalid price", "invalid_price"),
    ("Order was never placed, already canceled, or filled", "not_open"),
    ("Cannot modify canceled or filled order", "not_open"),
    ("User or API Wallet", "signer"),
    ("Must deposit before performing actions", "no_deposit"),
    ("Invalid nonce", "nonce"),
    ("Action already expired", "expired"),
    ("Unable to recover signer", "signature"),
    ("Too many cumulative requests", "address_budget"),
    ("Cannot switch leverage type", "leverage"),
    ("Builder fee has not been approved", "builder_fee"),
    ("Only post-only orders allowed", "post_only_period"),
    ("Too many open orders", "open_orders"),
    ("Cannot set scheduled cancel time until enough volume traded", "volume"),
    ("Too many scheduled cancels", "too_many_fires"),
)


class Verdict(StrEnum):
    """What is certain after a request."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Reply(msgspec.Struct, frozen=True):
    """What became of a request to act.

    Attributes
    ----------
    verdict : Verdict
        REFUSED only where nothing can have happened.
    body : object
        Decoded answer of DONE.
    reason, text : str
        Of the other two.
    """

    verdict: Verdict
    body: Any = None
    reason: str = ""
    text: str = ""


class OneStatus(msgspec.Struct, frozen=True):
    """Answer about one order of a request.

    Attributes
    ----------
    kind : str
        ``resting``, ``filled``, ``error``, ``success``, ``waiting`` (a child of a group, which
        has no number yet), ``unreadable``.
    """

    kind: str
    oid: str = ""
    filled: Decimal = Decimal(0)
    average: Decimal = Decimal(0)
    reason: str = ""
    text: str = ""


def reason_of(text: str) -> str:
    """Our word for a refusal; live texts end with the asset, so that only beginnings count."""
    for beginning, word in _REASONS:
        if text.startswith(beginning):
            return word
    return "refused"


def read_reply(status: int, body: bytes) -> Reply:
    """Judge an HTTP answer to an action.

    A gateway's 429 and 422 come before the exchange itself saw the request. Any other answer
    that is no JSON of the known shape may have been lost on its way back.
    """
    if status == 429:
        return Reply(Verdict.REFUSED, reason="rate_limited", text="too many requests (429)")
    if status == 422:
        return Reply(Verdict.REFUSED, reason="malformed", text=_short(body))
    if status != 200:
        return Reply(Verdict.UNKNOWN, reason="http", text=f"status {status}: {_short(body)}")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Reply(Verdict.UNKNOWN, reason="unreadable", text=f"no JSON: {_short(body)}")
    if isinstance(answer, dict) and answer.get("status") == "ok":
        return Reply(Verdict.DONE, body=answer.get("response"))
    if isinstance(answer, dict) and answer.get("status") == "err":
        return _refused(str(answer.get("response")))
    return Reply(Verdict.UNKNOWN, reason="unreadable", text=f"unknown shape: {_short(body)}")


def _refused(text: str) -> Reply:
    reason = reason_of(text)
    if reason == "nonce":
        # Each nonce is used once here: that it was seen may mean that the network doubled the
        # request, and that the first copy was taken.
        return Reply(Verdict.UNKNOWN, reason=reason, text=text)
    return Reply(Verdict.REFUSED, reason=reason, text=text)


def statuses(body: Any, count: int = 1) -> list[OneStatus]:
    """Answers per order; one that stands for all is repeated."""
    try:
        data = body["data"]
        rows = data["statuses"] if "statuses" in data else [data["status"]]
        found = [_one(row) for row in rows]
    except (KeyError, TypeError, IndexError):
        found = []
    if len(found) == 1 and count > 1 and found[0].kind == "error":
        return found * count
    missing = OneStatus("unreadable", text=_short(repr(body).encode()))
    return found + [missing] * (count - len(found))


def _one(row: Any) -> OneStatus:
    if isinstance(row, str):
        if row == "success":
            return OneStatus("success")
        if row in ("waitingForFill", "waitingForTrigger"):
            return OneStatus("waiting", text=row)
        return OneStatus("unreadable", text=row)
    if not isinstance(row, dict):
        return OneStatus("unreadable", text=repr(row))
    if "error" in row:
        text = str(row["error"])
        return OneStatus("error", reason=reason_of(text), text=text)
    try:
        if "resting" in row:
            return OneStatus("resting", oid=str(int(row["resting"]["oid"])))
        if "filled" in row:
            filled = row["filled"]
            return OneStatus(
                "filled",
                oid=str(int(filled["oid"])),
                filled=Decimal(filled["totalSz"]),
                average=Decimal(filled["avgPx"]),
            )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        pass
    return OneStatus("unreadable", text=repr(row))


def _short(body: bytes) -> str:
    return body[:200].decode(errors="replace")
