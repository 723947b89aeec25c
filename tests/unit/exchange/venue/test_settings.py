"""Leverage, isolated margin, the dead man's switch, TWAPs, transfers, API wallets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.domain.timeline import DAY_MS
from tests.unit.exchange.venue.venue_rig import ALICE, BOB, CAROL, Rig

WALLET = "0x" + "1" * 40
OK = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture
def rig():
    return Rig()


def lever(rig, user, asset, leverage, cross=True):
    action = {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": leverage}
    return rig.act(user, action)


def test_leverage_has_bounds_and_no_mode_change_with_a_position(rig):
    assert lever(rig, ALICE, 1, 25) == OK
    for bad in (0, 26, -1):
        assert lever(rig, ALICE, 1, bad)["status"] == "err"
    assert lever(rig, ALICE, 19, 3)["response"] == "Cross margin is not allowed for this asset."
    rig.deal(ALICE, BOB, "ETH", "3000", "100")
    flip = lever(rig, ALICE, 1, 10, cross=False)
    text = "Cannot switch leverage type with open position."
    assert flip == {"status": "err", "response": text}
    # Within the mode it may go up and, with margin, down.
    assert lever(rig, ALICE, 1, 10) == OK
    assert rig.position(ALICE, "ETH")["leverage"] == {"type": "cross", "value": 10}
    assert lever(rig, ALICE, 1, 2)["status"] == "err"


def test_isolated_margin_is_set_aside_added_to_and_returned(rig):
    lever(rig, ALICE, 1, 10, cross=False)
    rig.deal(ALICE, BOB, "ETH", "3000", "10")
    position = rig.position(ALICE, "ETH")
    assert position["leverage"] == {"type": "isolated", "value": 10, "rawUsd": "-27000.0"}
    assert position["marginUsed"] == "3000.0"
    before = Decimal(position["liquidationPx"])
    add = {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": 1_000_000_000}
    assert rig.act(ALICE, add) == OK
    position = rig.position(ALICE, "ETH")
    assert position["marginUsed"] == "4000.0"
    assert Decimal(position["liquidationPx"]) < before
    assert rig.act(ALICE, {**add, "ntli": -1_000_000_001})["status"] == "err"
    assert rig.act(ALICE, {**add, "ntli": -1_000_000_000}) == OK
    assert rig.act(ALICE, {**add, "ntli": 10**12})["status"] == "err"
    value = rig.value(ALICE)
    rig.resting(BOB, "ETH", "B", "3000", "10")
    fee = Decimal("30000") * Decimal("0.00045")
    assert rig.order(ALICE, "ETH", "A", "3000", "10", "Ioc")["filled"]
    assert rig.value(ALICE) == value - fee
    assert rig.core.balance() == 0


def test_the_dead_mans_switch_needs_volume_time_and_moderation(rig):
    def arm(ms):
        return rig.act(ALICE, {"type": "scheduleCancel", "time": rig.now + ms})

    refused = arm(10_000)["response"]
    assert refused.startswith(
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $"
    )
    rig.core.knobs.set_volume(ALICE, 1_000_000)
    assert arm(4_999)["status"] == "err"
    oid = rig.resting(ALICE, "ETH", "B", "2900", "1")
    assert arm(5_000) == OK
    assert rig.act(ALICE, {"type": "scheduleCancel"}) == OK
    rig.wait(6_000)
    assert rig.status(ALICE, oid) == "open"
    for fired in range(10):
        oid = rig.resting(ALICE, "ETH", "B", "2900", "1")
        assert arm(5_000) == OK
        arm(5_500)
        rig.wait(5_499)
        assert rig.status(ALICE, oid) == "open", fired
        rig.wait(1)
        assert rig.status(ALICE, oid) == "scheduledCancel"
    assert arm(5_000)["status"] == "err"
    rig.wait(DAY_MS)
    assert arm(5_000) == OK


def twap(rig, user=ALICE, **change):
    body = {"a": 1, "b": True, "s": "6", "r": False, "m": 5, "t": False} | change
    answer = rig.act(user, {"type": "twapOrder", "twap": body})
    assert answer["response"]["type"] == "twapOrder"
    return answer["response"]["data"]["status"]


def test_a_twap_trades_a_slice_every_thirty_seconds(rig):
    rig.resting(BOB, "ETH", "A", "3000", "20")
    number = twap(rig)["running"]["twapId"]
    rig.wait(29_999)
    assert rig.sizes(ALICE) == {}
    rig.wait(1)
    assert rig.sizes(ALICE) == {"ETH": Decimal("0.6")}
    rig.wait(270_000)
    assert rig.sizes(ALICE) == {"ETH": 6}
    (row,) = rig.core.user_history.twaps(ALICE)
    assert row["status"] == {"status": "finished"}
    assert row["state"]["executedNtl"] == "18000.0"
    fills = rig.core.user_history.twap_fills(ALICE)
    assert [f["twapId"] for f in fills] == [number] * 10
    assert rig.core.user_history.fills(ALICE)[0]["twapId"] == number


def test_a_twap_catches_up_with_at_most_three_slices(rig):
    twap(rig)
    rig.wait(150_000)
    assert rig.sizes(ALICE) == {}
    rig.resting(BOB, "ETH", "A", "3000", "20")
    rig.wait(30_000)
    assert rig.sizes(ALICE) == {"ETH": Decimal("1.8")}


def test_a_twap_is_refused_and_cancelled_with_the_documented_texts(rig):
    assert twap(rig, m=1) == {"error": "Invalid TWAP duration: 1 min(s)"}
    assert "TWAP order value too small" in twap(rig, s="0.01")["error"]
    assert "Reduce only" in twap(rig, r=True)["error"]
    number = twap(rig)["running"]["twapId"]
    cancel = {"type": "twapCancel", "a": 1, "t": number}
    assert rig.act(ALICE, cancel)["response"]["data"] == {"status": "success"}
    again = rig.act(ALICE, cancel)["response"]["data"]["status"]
    assert again == {"error": "TWAP was never placed, already canceled, or filled."}


def test_money_moves_between_classes_accounts_and_out(rig):
    move = {"type": "usdClassTransfer", "amount": "1000", "toPerp": False, "nonce": 1}
    assert rig.act(ALICE, move) == OK
    assert rig.core.user_info.spot_state(ALICE)["balances"][0]["total"] == "1000.0"
    assert rig.act(ALICE, {**move, "toPerp": True, "amount": "1000.1"})["status"] == "err"
    send = {"type": "usdSend", "destination": BOB.upper().replace("X", "x"), "amount": "500"}
    assert rig.act(ALICE, send) == OK
    assert rig.value(BOB) == 100_500
    spot = {"type": "spotSend", "destination": CAROL, "token": "USDC:0x6d1e", "amount": "250.5"}
    assert rig.act(ALICE, spot) == OK
    assert rig.core.user_info.spot_state(CAROL)["balances"][0]["total"] == "250.5"
    out = {"type": "withdraw3", "destination": ALICE, "amount": "100"}
    assert rig.act(ALICE, out) == OK
    assert rig.value(ALICE) == 100_000 - 1_000 - 500 - 100
    rows = rig.core.user_history.ledger(ALICE, 0)
    assert [row["delta"]["type"] for row in rows] == [
        "deposit",
        "accountClassTransfer",
        "internalTransfer",
        "spotTransfer",
        "withdraw",
    ]
    assert rig.core.balance() == 0


def test_what_positions_need_cannot_leave(rig):
    rig.deal(ALICE, BOB, "ETH", "3000", "300")
    free = rig.core.user_info.clearinghouse_state(ALICE)["withdrawable"]
    # A tenth of the positions' value stays, although 20x would need less.
    assert Decimal(free) == rig.value(ALICE) - 90_000
    over = str(Decimal(free) + Decimal("0.000001"))
    assert (
        rig.act(ALICE, {"type": "usdSend", "destination": BOB, "amount": over})["status"] == "err"
    )
    assert rig.act(ALICE, {"type": "usdSend", "destination": BOB, "amount": free}) == OK


def test_sub_accounts_are_acted_for_by_their_master(rig):
    answer = rig.act(ALICE, {"type": "createSubAccount", "name": "carry"})
    child = answer["response"]["data"]
    assert rig.core.user_info.role(child) == {"role": "subAccount", "data": {"master": ALICE}}
    pay = {
        "type": "subAccountTransfer",
        "subAccountUser": child,
        "isDeposit": True,
        "usd": 5 * 10**9,
    }
    assert rig.act(ALICE, pay) == OK
    rig.resting(BOB, "ETH", "A", "3000", "1")
    buy = {
        "type": "order",
        "grouping": "na",
        "orders": [
            {"a": 1, "b": True, "p": "3000", "s": "1", "r": False, "t": {"limit": {"tif": "Ioc"}}}
        ],
    }
    assert rig.act(ALICE, buy, vault=child)["status"] == "ok"
    assert rig.sizes(child) == {"ETH": 1}
    assert rig.sizes(ALICE) == {}
    stranger = rig.act(BOB, buy, vault=child)
    assert stranger == {"status": "err", "response": f"Vault not registered: {child}"}
    (row,) = rig.core.user_info.sub_accounts(ALICE)
    assert row["subAccountUser"] == child


def approve(rig, address, name=None):
    action = {"type": "approveAgent", "agentAddress": address, "nonce": 1}
    return rig.act(ALICE, action | ({"agentName": name} if name else {}))


def test_api_wallets_are_named_replaced_revoked_and_expire(rig):
    core = rig.core
    assert core.owner(WALLET, rig.now) is None
    assert approve(rig, WALLET) == OK
    assert core.owner(WALLET, rig.now) == ALICE
    assert core.user_info.role(WALLET) == {"role": "agent", "data": {"user": ALICE}}
    assert core.user_info.extra_agents(ALICE) == []
    second = "0x" + "2" * 40
    assert approve(rig, second) == OK
    assert core.owner(WALLET, rig.now) is None
    names = ["one", "two", "three"]
    for place, name in enumerate(names):
        assert approve(rig, "0x" + str(3 + place) * 40, name) == OK
    assert approve(rig, "0x" + "8" * 40, "four")["response"] == "Too many extra agents."
    assert approve(rig, "0x" + "8" * 40, "two") == OK
    assert [row["name"] for row in core.user_info.extra_agents(ALICE)] == ["one", "three", "two"]
    assert core.owner("0x" + "4" * 40, rig.now) is None
    assert approve(rig, "0x" + "0" * 40, "one") == OK
    assert [row["name"] for row in core.user_info.extra_agents(ALICE)] == ["three", "two"]
    until = rig.now + 1000
    assert approve(rig, "0x" + "7" * 40, f"brief valid_until {until}") == OK
    assert core.owner("0x" + "7" * 40, rig.now) == ALICE
    assert core.owner("0x" + "7" * 40, until) is None
    # The state of an agent's own address is empty.
    assert core.user_info.clearinghouse_state(second)["assetPositions"] == []
    assert core.knobs.prune_agent(second)
    assert core.owner(second, until) is None


def test_a_unified_account_has_one_balance_and_tells_it_with_its_spot_balances(rig):
    move = {"type": "usdClassTransfer", "amount": "60000", "toPerp": False, "nonce": 1}
    assert rig.act(ALICE, move) == OK

    def switch(mode):
        action = {"type": "userSetAbstraction", "user": ALICE, "abstraction": mode, "nonce": 1}
        assert rig.act(ALICE, action) == OK

    # 40,000 dollars would not carry this; 100,000 do.
    too_large = rig.order(ALICE, "ETH", "B", "3000", "300")
    assert too_large["error"].startswith("Insufficient margin")
    switch("u")
    assert rig.act(ALICE, move)["status"] == "err"
    rig.deal(ALICE, BOB, "ETH", "3000", "300")
    state = rig.core.user_info.clearinghouse_state(ALICE)
    assert state["marginSummary"]["accountValue"] == state["withdrawable"] == "0.0"
    assert rig.sizes(ALICE) == {"ETH": 300}
    (usdc,) = rig.core.user_info.spot_state(ALICE)["balances"]
    assert (usdc["total"], usdc["hold"]) == ("99595.0", "45000.0")
    rig.core.knobs.set_price("ETH", "3010")
    (usdc,) = rig.core.user_info.spot_state(ALICE)["balances"]
    assert usdc["total"] == "99595.0"
    assert rig.position(ALICE, "ETH")["unrealizedPnl"] == "3000.0"
    rig.resting(BOB, "ETH", "B", "3010", "300")
    rig.order(ALICE, "ETH", "A", "3010", "300", "Ioc")
    total = Decimal("99595") + 3000 - Decimal("406.35")
    assert Decimal(rig.core.user_info.spot_state(ALICE)["balances"][0]["total"]) == total
    switch("i")
    (usdc,) = rig.core.user_info.spot_state(ALICE)["balances"]
    assert Decimal(usdc["total"]) + rig.value(ALICE) == total
    assert rig.core.balance() == 0


def test_a_unified_account_is_liquidated_with_its_spot_dollars(rig):
    rig.core.fund(BOB, "10000000")
    move = {"type": "usdClassTransfer", "amount": "60000", "toPerp": False, "nonce": 1}
    rig.act(ALICE, move)
    rig.act(ALICE, {"type": "userSetAbstraction", "abstraction": "unifiedAccount"})
    rig.deal(ALICE, BOB, "ETH", "3000", "300")
    level = Decimal(rig.position(ALICE, "ETH")["liquidationPx"])
    assert 2700 < level < 2735
    rig.core.knobs.set_price("ETH", "2736")
    assert rig.sizes(ALICE) == {"ETH": 300}
    rig.core.knobs.set_price("ETH", "2680")
    assert rig.sizes(ALICE) == {}
    assert rig.core.user_info.spot_state(ALICE)["balances"] == []
    assert rig.core.balance() == 0


def test_other_settings(rig):
    assert rig.act(ALICE, {"type": "setReferrer", "code": "GENESIS"}) == OK
    assert rig.act(ALICE, {"type": "setReferrer", "code": "X"})["status"] == "err"
    assert rig.core.user_info.referral(ALICE)["referredBy"]["code"] == "GENESIS"
    set_mode = {"type": "userSetAbstraction", "user": ALICE, "abstraction": "u", "nonce": 1}
    assert rig.act(ALICE, set_mode) == OK
    assert rig.core.user_info.abstraction(ALICE) == "unifiedAccount"
    assert rig.core.user_info.abstraction(BOB) == "default"
    assert rig.core.user_info.role("0x" + "5" * 40) == {"role": "missing"}
