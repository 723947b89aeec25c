"""Bodies that nobody would send on purpose: always an answer, never an error of the server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.core import VenueCore, VenueMeta
from genesis.exchange.venue.gate import Gate, Reply
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.venue import Venue
from genesis.system.clock import SystemClock
from tests.integration.venue.rig import AMPLE

NOW = 1_795_600_000_000
WALLET = Account.from_key("0x" + "7" * 64)


def gate() -> Gate:
    clock = VenueClock(SystemClock(), NOW)
    core = VenueCore(VenueMeta.default(), seed=1, profile=STILL, now_ms=NOW)
    core.fund(WALLET.address.lower(), "1000000")
    return Gate(Venue(core, clock, limits=AMPLE))


GATE = gate()
NONCES = iter(range(NOW, NOW + 10**6))


def answer(path: str, raw: bytes) -> Reply:
    reply = asyncio.run(GATE.answer(path, raw, "127.0.0.1"))
    assert isinstance(reply, Reply)
    return reply


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["BTC", "0", "60000", "0.01", "-1", "1e5", "NaN", "1h", WALLET.address])
)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["type", "user", "coin", "oid", "req", "orders", "a", "b", "p", "s", "r", "t", "limit",
             "tif", "trigger", "grouping", "cancels", "o", "action", "nonce", "signature"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip
TYPES = st.sampled_from(
    ["order", "cancel", "cancelByCloid", "modify", "batchModify", "scheduleCancel", "twapOrder",
     "updateLeverage", "updateIsolatedMargin", "approveAgent", "usdSend", "sendAsset", "noop",
     "createSubAccount", "subAccountTransfer", "setReferrer", "twapCancel", "agentSetAbstraction"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda body: json.dumps(body).encode()))
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    for path in ("info", "exchange"):
        assert answer(path, raw).status in (200, 422)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(GATE._venue.info._readers)), JSON, JSON, JSON)
def test_any_arguments_of_any_read_get_an_answer(kind: str, one: Any, two: Any, req: Any) -> None:
    users = {"user": WALLET.address, "coin": "BTC", "startTime": 0, "oid": 1, "req": req}
    for body in ({"type": kind, "user": one, "coin": two, "req": req}, {"type": kind, **users}):
        assert answer("info", json.dumps(body).encode()).status in (200, 422)


@settings(max_examples=200, deadline=None)
@given(TYPES, st.dictionaries(st.text(max_size=9), JSON, max_size=4), st.data())
def test_any_signed_action_gets_an_answer(kind: str, more: dict[str, Any], data: Any) -> None:
    action = dict(VALID.get(kind, {}), type=kind)
    for key in list(action):
        if key != "type" and data.draw(st.booleans()):
            action[key] = data.draw(JSON)
    action |= {key: value for key, value in more.items() if key != "type"}
    nonce = next(NONCES)
    try:
        signature = sign_l1_action(WALLET, action, None, nonce, None, False)
    except (OverflowError, UnicodeEncodeError):
        return
    raw = json.dumps({"action": action, "nonce": nonce, "signature": signature}).encode()
    assert answer("exchange", raw).status in (200, 422)
    assert GATE._venue.core.balance() == 0


ROW = {"a": 0, "b": True, "p": "60000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}}
VALID: dict[str, dict[str, Any]] = {
    "order": {"orders": [ROW], "grouping": "na"},
    "cancel": {"cancels": [{"a": 0, "o": 1}]},
    "cancelByCloid": {"cancels": [{"asset": 0, "cloid": "0x" + "0" * 32}]},
    "modify": {"oid": 1, "order": ROW},
    "batchModify": {"modifies": [{"oid": 1, "order": ROW}]},
    "updateLeverage": {"asset": 0, "isCross": True, "leverage": 5},
    "updateIsolatedMargin": {"asset": 0, "isBuy": True, "ntli": 1_000_000},
    "twapOrder": {"twap": {"a": 0, "b": True, "s": "0.1", "r": False, "m": 5, "t": False}},
    "twapCancel": {"a": 0, "t": 1},
    "createSubAccount": {"name": "x"},
    "subAccountTransfer": {"subAccountUser": "0x" + "1" * 40, "isDeposit": True, "usd": 1},
    "setReferrer": {"code": "X"},
    "approveAgent": {"agentAddress": "0x" + "2" * 40, "nonce": 1, "signatureChainId": "0x1"},
    "usdSend": {"destination": "0x" + "2" * 40, "amount": "1", "time": 1},
}
DECIMALS = st.sampled_from(
    ["0", "-1", "0.01", "0.123456789", "60000", "59999.5", "60000.01", "99999999999", "1.50",
     "0.00000001", "3000", "00.1", "12345678901234567890"]
)  # fmt: skip
KINDS = st.sampled_from(["Gtc", "Ioc", "Alo", "FrontendMarket"]).map(
    lambda tif: {"limit": {"tif": tif}}
) | st.builds(
    lambda market, px, tpsl: {"trigger": {"isMarket": market, "triggerPx": px, "tpsl": tpsl}},
    st.booleans(),
    DECIMALS,
    st.sampled_from(["tp", "sl"]),
)
ROWS = st.fixed_dictionaries(
    {
        "a": st.sampled_from([0, 1, 3, 8, 19, 20, 10_000, 10_002, 110_000]),
        "b": st.booleans(),
        "p": DECIMALS,
        "s": DECIMALS,
        "r": st.booleans(),
        "t": KINDS,
    },
    optional={"c": st.sampled_from(["0x" + "a" * 32, "0x" + "B" * 32])},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=4), st.sampled_from(["na", "normalTpsl", "positionTpsl"]))
def test_any_well_shaped_batch_is_judged_and_money_stays(
    rows: list[dict[str, Any]], grouping: str
) -> None:
    action = {"type": "order", "orders": rows, "grouping": grouping}
    nonce = next(NONCES)
    signature = sign_l1_action(WALLET, action, None, nonce, None, False)
    body = {"action": action, "nonce": nonce, "signature": signature}
    reply = answer("exchange", json.dumps(body).encode())
    assert reply.status in (200, 422)
    if reply.status == 200:
        told = json.loads(reply.body)
        assert told["status"] in ("ok", "err")
    assert GATE._venue.core.balance() == 0
