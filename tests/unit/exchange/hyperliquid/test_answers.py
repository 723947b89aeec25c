"""What the exchange's answers mean; recorded ones where they are at hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.exchange.hyperliquid.answers import (
    OneStatus,
    Verdict,
    read_reply,
    reason_of,
    statuses,
)

RECORDED = Path(__file__).parents[5] / "shared" / "data" / "hyperliquid" / "rest" / "go_sdk"


def body(*rows: Any) -> dict[str, Any]:
    return {"type": "order", "data": {"statuses": list(rows)}}


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"resting": {"oid": 7}}, "resting", ""),
        ({"resting": {"oid": 7, "cloid": "0x1"}}, "resting", ""),
        ({"filled": {"totalSz": "0.5", "avgPx": "9.5", "oid": 7}}, "filled", ""),
        ("success", "success", ""),
        ("waitingForFill", "waiting", ""),
        ("waitingForTrigger", "waiting", ""),
        ({"error": "Reduce only order would increase position. asset=5"}, "error", "reduce_only"),
        ({"error": "something new"}, "error", "refused"),
        ("somethingNew", "unreadable", ""),
        ({"resting": {}}, "unreadable", ""),
        ({"filled": {"totalSz": "x", "avgPx": "1", "oid": 7}}, "unreadable", ""),
        (None, "unreadable", ""),
        (17, "unreadable", ""),
    ],
)
def test_the_union_of_statuses(row: Any, kind: str, reason: str) -> None:
    (one,) = statuses(body(row))
    assert (one.kind, one.reason) == (kind, reason)


def test_numbers_of_a_fill() -> None:
    (one,) = statuses(body({"filled": {"totalSz": "0.5", "avgPx": "9.5", "oid": 7}}))
    assert one == OneStatus("filled", "7", Decimal("0.5"), Decimal("9.5"))


def test_one_error_stands_for_a_whole_batch_and_what_is_missing_is_unreadable() -> None:
    error = {"error": "Order has zero size."}
    assert [one.reason for one in statuses(body(error), 3)] == ["invalid_size"] * 3
    kinds = [one.kind for one in statuses(body({"resting": {"oid": 1}}), 2)]
    assert kinds == ["resting", "unreadable"]
    for nonsense in (None, [], {"data": None}, {"data": {}}, "default"):
        assert [one.kind for one in statuses(nonsense, 2)] == ["unreadable"] * 2


def test_a_twap_answers_with_a_single_status() -> None:
    (one,) = statuses({"type": "twapOrder", "data": {"status": {"error": "Order has zero size."}}})
    assert one.reason == "invalid_size"


@pytest.mark.parametrize(
    ("status", "raw", "verdict", "reason"),
    [
        (200, b'{"status":"ok","response":{"type":"default"}}', Verdict.DONE, ""),
        (200, b'{"status":"err","response":"Action already expired"}', Verdict.REFUSED, "expired"),
        (
            200,
            b'{"status":"err","response":"User or API Wallet 0x1 does not exist."}',
            Verdict.REFUSED,
            "signer",
        ),
        # A nonce is used once here: that it was seen means that somebody doubled the request.
        (
            200,
            b'{"status":"err","response":"Invalid nonce: duplicate nonce 5"}',
            Verdict.UNKNOWN,
            "nonce",
        ),
        (429, b"null", Verdict.REFUSED, "rate_limited"),
        (422, b"Failed to deserialize", Verdict.REFUSED, "malformed"),
        (502, b"bad gateway", Verdict.UNKNOWN, "http"),
        (404, b"", Verdict.UNKNOWN, "http"),
        (200, b"<html>", Verdict.UNKNOWN, "unreadable"),
        (200, b"[]", Verdict.UNKNOWN, "unreadable"),
        (200, b'{"status":"pending"}', Verdict.UNKNOWN, "unreadable"),
        (200, b"\xff\xfe", Verdict.UNKNOWN, "unreadable"),
    ],
)
def test_only_what_is_certain_is_a_refusal(
    status: int, raw: bytes, verdict: Verdict, reason: str
) -> None:
    reply = read_reply(status, raw)
    assert (reply.verdict, reply.reason) == (verdict, reason)


def test_texts_are_matched_by_their_beginning() -> None:
    assert reason_of("Price must be divisible by tick size. asset=173") == "tick"
    assert reason_of("Order must have minimum value of $10. asset=173") == "min_notional"
    assert reason_of("price must be") == "refused"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recorded answers are not here")
def test_recorded_answers_are_understood() -> None:
    seen = {}
    for path in sorted(RECORDED.glob("*.json")):
        if not path.name.startswith(("Orders_", "Cancel")):
            continue
        for call in json.loads(path.read_text()):
            reply = read_reply(call["status"], json.dumps(call["response"]).encode())
            kinds = [one.kind for one in statuses(reply.body)] if reply.body else [reply.reason]
            seen.setdefault(path.stem, []).extend(kinds)
    assert seen["Orders_Above10"] == ["resting"]
    assert seen["Orders_Below10"] == ["error"]
    assert seen["Orders_InvalidAuth"] == ["signer"]
    assert seen["Cancel_DoubleCancel"][-1] == "error"
    assert not any("unreadable" in kinds for kinds in seen.values())
