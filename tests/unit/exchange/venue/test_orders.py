"""What an order does when it arrives: rest, fill, be refused, be changed, be cancelled."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.exchange.venue.core import MalformedAction, VenueCore, VenueProfile
from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.orders import STATUSES
from genesis.exchange.venue.profile import STILL
from tests.unit.exchange.venue.venue_rig import (
    ALICE,
    ASSETS,
    BOB,
    CAROL,
    CLOID,
    META,
    Rig,
    limit,
    trigger,
)

NEVER = "Order was never placed, already canceled, or filled."


@pytest.fixture
def rig():
    return Rig()


def test_a_resting_order_is_the_same_in_every_view(rig):
    cloid = CLOID.format(1)
    answer = rig.order(ALICE, "ETH", "B", "2900", "0.5", cloid=cloid)
    oid = answer["resting"]["oid"]
    assert answer == {"resting": {"oid": oid, "cloid": cloid}}
    (plain,) = rig.core.user_info.open_orders(ALICE)
    (detail,) = rig.core.user_info.frontend_open_orders(ALICE)
    assert plain == {
        "coin": "ETH",
        "side": "B",
        "limitPx": "2900.0",
        "sz": "0.5",
        "oid": oid,
        "timestamp": rig.now,
        "origSz": "0.5",
        "cloid": cloid,
    }
    assert plain.items() <= detail.items()
    assert detail["tif"] == "Gtc"
    assert detail["orderType"] == "Limit"
    assert rig.book("ETH") == [[("2900.0", "0.5")], []]
    (update,) = rig.events("orderUpdate", ALICE)
    assert update.data == {"order": plain, "status": "open", "statusTimestamp": rig.now}


def test_price_then_time_and_the_average_price_of_a_crossing_order(rig):
    first = rig.resting(ALICE, "ETH", "A", "3001", "1")
    second = rig.resting(BOB, "ETH", "A", "3001", "1")
    better = rig.resting(BOB, "ETH", "A", "3000", "1")
    answer = rig.order(CAROL, "ETH", "B", "3002", "2.5")["filled"]
    assert answer["totalSz"] == "2.5"
    assert Decimal(answer["avgPx"]) == (3000 + 3001 + Decimal("1500.5")) / Decimal("2.5")
    assert rig.status(BOB, better) == rig.status(ALICE, first) == "filled"
    assert rig.status(BOB, second) == "open"
    assert rig.book("ETH") == [[], [("3001.0", "0.5")]]


@pytest.mark.parametrize("answer", ["filled", "resting"])
def test_the_rest_of_a_crossing_order_rests(answer):
    rig = Rig(VenueProfile(step_ms=0, agents=False, partial_gtc_status=answer))
    rig.resting(ALICE, "ETH", "A", "3000", "1")
    (status,) = rig.orders(BOB, limit("ETH", "B", "3000", "3"))
    assert list(status) == [answer]
    assert rig.book("ETH") == [[("3000.0", "2.0")], []]


def test_immediate_or_cancel(rig):
    none = rig.order(ALICE, "ETH", "B", "3000", "1", "Ioc")
    text = "Order could not immediately match against any resting orders. asset=1"
    assert none == {"error": text}
    rig.resting(BOB, "ETH", "A", "3000", "0.4")
    part = rig.order(ALICE, "ETH", "B", "3000", "1", "Ioc")["filled"]
    assert part["totalSz"] == "0.4"
    assert rig.status(ALICE, part["oid"]) == "canceled"
    assert rig.book("ETH") == [[], []]


def test_post_only_tells_the_best_bid_and_offer(rig):
    rig.resting(BOB, "ETH", "B", "2999.5", "1")
    rig.resting(BOB, "ETH", "A", "3000", "1")
    answer = rig.order(ALICE, "ETH", "B", "3000", "1", "Alo")
    text = "Post only order would have immediately matched, bbo was 2999.5@3000. asset=1"
    assert answer == {"error": text}
    assert "resting" in rig.order(ALICE, "ETH", "B", "2999.9", "1", "Alo")


def test_refusals_with_their_texts(rig):
    def text(*args, **kwargs):
        return rig.order(ALICE, *args, **kwargs)["error"]

    assert text("ETH", "B", "2900.55", "1") == "Price must be divisible by tick size. asset=1"
    assert text("ETH", "B", "2900", "0.003") == "Order must have minimum value of $10. asset=1"
    assert text("ETH", "B", "100", "1") == (
        "Order price cannot be more than 95% away from the reference price asset=1"
    )
    assert text("ETH", "B", "3000", "1000") == "Insufficient margin to place order. asset=1"
    assert text("ETH", "B", "2900", "0.12345") == "Order has invalid size."
    assert text("ETH", "B", "2900", "0") == "Order has zero size."
    assert text("PURR/USDC", "B", "0.15", "10") == (
        "Order must have minimum value of 10 USDC. asset=10000"
    )
    assert text("PURR/USDC", "B", "0.15", "100") == "Insufficient spot balance asset=10000"
    assert text("ETH", "A", "3000", "1", reduce=True) == (
        "Reduce only order would increase position. asset=1"
    )
    assert text("ETH", "B", "3000", "1", "FrontendMarket") == (
        "No liquidity available for market order. asset=1"
    )


def test_a_batch_has_a_status_per_order_unless_the_payload_is_impossible(rig):
    good, bad = limit("ETH", "B", "2900", "1"), limit("ETH", "B", "2900.55", "1")
    statuses = rig.orders(ALICE, good, bad, good)
    assert ["resting" in s for s in statuses] == [True, False, True]
    assert rig.orders(ALICE, good, limit("ETH", "B", "2900", "0"), good) == [
        {"error": "Order has zero size."}
    ]
    assert len(rig.core.user_info.open_orders(ALICE)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"a": "1"},
        {"b": 1},
        {"p": 2900},
        {"s": "-1"},
        {"s": "1e3"},
        {"t": {"limit": {"tif": "Fok"}}},
        {"t": {}},
        {"c": "0x12"},
        {"r": None},
    ],
)
def test_a_malformed_order_changes_nothing(rig, change):
    before = rig.core.state_hash()
    with pytest.raises(MalformedAction):
        rig.orders(ALICE, limit("ETH", "B", "2900", "1"), limit("ETH", "B", "2900", "1") | change)
    assert rig.core.state_hash() == before


def test_reduce_only_is_cut_and_older_ones_give_way(rig):
    rig.deal(ALICE, BOB, "ETH", "3000", "5")
    first = rig.resting(ALICE, "ETH", "A", "3100", "3", reduce=True)
    assert rig.core.user_info.open_orders(ALICE)[0]["sz"] == "3.0"
    second = rig.resting(ALICE, "ETH", "A", "3101", "9", reduce=True)
    (left,) = rig.core.user_info.open_orders(ALICE)
    assert left["oid"] == second
    assert left["sz"] == left["origSz"] == "5.0"
    assert rig.status(ALICE, first) == "reduceOnlyCanceled"
    wrong = rig.order(ALICE, "ETH", "B", "2900", "1", reduce=True)
    assert wrong["error"].startswith("Reduce only order would increase position.")
    # A smaller position cuts it, none ends it.
    rig.resting(BOB, "ETH", "B", "2999", "2")
    rig.order(ALICE, "ETH", "A", "2999", "2", "Ioc")
    (cut,) = rig.core.user_info.open_orders(ALICE)
    assert cut["sz"] == cut["origSz"] == "3.0"
    rig.resting(BOB, "ETH", "B", "2999", "3")
    rig.order(ALICE, "ETH", "A", "2999", "3", "Ioc")
    assert rig.status(ALICE, second) == "reduceOnlyCanceled"


def test_a_small_reduce_only_close_is_a_matter_of_profile():
    for small in (True, False):
        rig = Rig(VenueProfile(step_ms=0, agents=False, small_reduce_only=small))
        rig.deal(ALICE, BOB, "ETH", "3000", "1")
        rig.resting(BOB, "ETH", "B", "3000", "1")
        answer = rig.order(ALICE, "ETH", "A", "3000", "0.001", "Ioc", reduce=True)
        assert ("filled" in answer) == small


def test_cancel_by_number_and_client_id_once(rig):
    cloid = CLOID.format(2)
    oid = rig.resting(ALICE, "ETH", "B", "2900", "1")
    rig.order(ALICE, "ETH", "B", "2901", "1", cloid=cloid)
    batch = {
        "type": "cancel",
        "cancels": [{"a": 1, "o": oid}, {"a": 1, "o": 5}, {"a": 0, "o": oid}],
    }
    statuses = rig.act(ALICE, batch)["response"]["data"]["statuses"]
    assert statuses == [
        "success",
        {"error": f"{NEVER} asset=1"},
        {"error": f"{NEVER} asset=0"},
    ]
    assert rig.cancel(ALICE, "ETH", oid) == {"error": f"{NEVER} asset=1"}
    by_cloid = {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": cloid}]}
    expected = {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}}
    assert rig.act(ALICE, by_cloid) == expected
    again = rig.act(ALICE, by_cloid)["response"]["data"]["statuses"]
    assert again == [{"error": f"{NEVER} asset=1"}]
    assert rig.status(ALICE, cloid) == "canceled"
    # Nobody cancels another's order.
    other = rig.resting(BOB, "ETH", "B", "2900", "1")
    assert rig.cancel(ALICE, "ETH", other) == {"error": f"{NEVER} asset=1"}


def test_modify_makes_a_new_number_and_keeps_the_client_id(rig):
    cloid = CLOID.format(3)
    old = rig.order(ALICE, "ETH", "B", "2900", "1", cloid=cloid)["resting"]["oid"]
    rig.events()
    action = {
        "type": "batchModify",
        "modifies": [
            {"oid": old, "order": limit("ETH", "B", "2950", "2")},
            {"oid": 77, "order": limit("ETH", "B", "2950", "2")},
        ],
    }
    answer = rig.act(ALICE, action)["response"]
    assert answer["type"] == "order"
    done, dead = answer["data"]["statuses"]
    new = done["resting"]["oid"]
    assert new != old
    assert done["resting"]["cloid"] == cloid
    assert dead == {"error": "Cannot modify canceled or filled order asset=1"}
    assert rig.status(ALICE, old) == "canceled"
    assert rig.status(ALICE, cloid) == "open"
    seen = [(e.data["order"]["oid"], e.data["status"]) for e in rig.events("orderUpdate", ALICE)]
    assert seen == [(old, "canceled"), (new, "open")]
    by_cloid = {"type": "modify", "oid": cloid, "order": limit("ETH", "B", "2960", "2")}
    assert rig.act(ALICE, by_cloid) == {"status": "ok", "response": {"type": "default"}}
    assert rig.book("ETH")[0] == [("2960.0", "2.0")]
    # An impossible successor leaves the old order alive.
    bad = {"type": "modify", "oid": cloid, "order": limit("ETH", "B", "2960.55", "2")}
    assert rig.act(ALICE, bad)["status"] == "err"
    assert rig.book("ETH")[0] == [("2960.0", "2.0")]


def test_modify_loses_the_place_in_the_queue(rig):
    first = rig.resting(ALICE, "ETH", "A", "3000", "1")
    second = rig.resting(BOB, "ETH", "A", "3000", "1")
    change = {"type": "modify", "oid": first, "order": limit("ETH", "A", "3000", "1")}
    rig.act(ALICE, change)
    rig.order(CAROL, "ETH", "B", "3000", "1", "Ioc")
    assert rig.status(BOB, second) == "filled"


def test_a_self_trade_cancels_the_maker(rig):
    own = rig.resting(ALICE, "ETH", "A", "3000", "1")
    other = rig.resting(BOB, "ETH", "A", "3000", "1")
    answer = rig.order(ALICE, "ETH", "B", "3000", "2")
    assert answer["filled"]["totalSz"] == "1.0"
    assert rig.status(ALICE, own) == "selfTradeCanceled"
    assert rig.status(BOB, other) == "filled"
    kinds = [e.data for e in rig.events("nonUserCancel", ALICE)]
    assert kinds == [[{"coin": "ETH", "oid": own}]]


def test_a_maker_without_margin_is_cancelled_when_it_would_fill():
    rig = Rig(usd="1000")
    # Each alone is affordable at 20x, both are not.
    rig.resting(ALICE, "ETH", "B", "3000", "5")
    second = rig.resting(ALICE, "ETH", "B", "2999.9", "5")
    rig.core.fund(BOB, "100000")
    rig.order(BOB, "ETH", "A", "2999", "10", "Ioc")
    assert rig.sizes(ALICE) == {"ETH": 5}
    assert rig.status(ALICE, second) == "marginCanceled"


def test_what_a_fill_far_from_the_mark_would_lose_must_be_there_too():
    rig = Rig(usd="1000")
    rig.core.fund(BOB, "100000")
    rig.resting(BOB, "ETH", "A", "3150", "10")
    # 6 ETH need 900 dollars of margin at the mark, and cost as much again at once.
    answer = rig.order(ALICE, "ETH", "B", "3150", "6", "Ioc")
    assert answer["error"].startswith("Insufficient margin to place order.")
    assert "filled" in rig.order(ALICE, "ETH", "B", "3150", "3", "Ioc")
    assert rig.value(ALICE) > 500


def test_a_second_living_client_id_is_a_matter_of_profile():
    for mode, accepted in (("accept", True), ("reject", False)):
        rig = Rig(VenueProfile(step_ms=0, agents=False, duplicate_cloid=mode))
        cloid = CLOID.format(4)
        first = rig.order(ALICE, "ETH", "B", "2900", "1", cloid=cloid)["resting"]["oid"]
        answer = rig.order(ALICE, "ETH", "B", "2901", "1", cloid=cloid)
        assert ("resting" in answer) == accepted
        found = rig.core.user_info.order_status(ALICE, cloid)["order"]["order"]["oid"]
        assert (found == first) != accepted


def test_builder_fees_need_approval_and_are_part_of_the_fee(rig):
    builder = "0x" + "d" * 40
    rig.resting(BOB, "ETH", "A", "3000", "2")
    wire = limit("ETH", "B", "3000", "1", "Ioc")
    action = {
        "type": "order",
        "orders": [wire],
        "grouping": "na",
        "builder": {"b": builder, "f": 10},
    }
    refused = {"status": "err", "response": "Builder fee has not been approved"}
    assert rig.act(ALICE, action) == refused
    approve = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": builder, "nonce": 1}
    assert rig.act(ALICE, approve)["status"] == "ok"
    assert rig.core.user_info.max_builder_fee(ALICE, builder) == 10
    assert rig.act(ALICE, action)["status"] == "ok"
    fill = rig.core.user_history.fills(ALICE)[0]
    assert fill["builderFee"] == "0.3"
    assert Decimal(fill["fee"]) == Decimal("0.3") + Decimal("1.35")
    assert rig.core.balance() == 0


def test_every_status_is_found_by_number_and_client_id(rig):
    for place, status in enumerate(STATUSES[2:]):
        cloid = CLOID.format(10 + place)
        oid = rig.order(ALICE, "ETH", "B", "2900", "1", cloid=cloid)["resting"]["oid"]
        rig.core.knobs.end_order(ALICE, oid, status)
        assert rig.status(ALICE, oid) == rig.status(ALICE, cloid) == status
    assert rig.status(ALICE, 1) == rig.status(ALICE, CLOID.format(99)) == "unknownOid"
    assert rig.status(BOB, oid) == "unknownOid"


def test_statuses_that_arise_by_themselves(rig):
    def last():
        return rig.core.user_info.historical_orders(ALICE)[0]["status"]

    seen = {}
    rig.order(ALICE, "ETH", "B", "2900.55", "1")
    seen["tickRejected"] = last()
    rig.order(ALICE, "ETH", "B", "2900", "0.001")
    seen["minTradeNtlRejected"] = last()
    rig.order(ALICE, "ETH", "B", "100", "1")
    seen["oracleRejected"] = last()
    rig.order(ALICE, "ETH", "B", "3000", "1000")
    seen["perpMarginRejected"] = last()
    rig.order(ALICE, "ETH", "B", "3000", "1", reduce=True)
    seen["reduceOnlyRejected"] = last()
    rig.order(ALICE, "ETH", "B", "3000", "1", "Ioc")
    seen["iocCancelRejected"] = last()
    rig.order(ALICE, "ETH", "B", "3000", "1", "FrontendMarket")
    seen["marketOrderNoLiquidityRejected"] = last()
    rig.orders(ALICE, trigger("ETH", "A", "3100", "1", "sl", reduce=False))
    seen["badTriggerPxRejected"] = last()
    rig.order(ALICE, "PURR/USDC", "B", "0.15", "100")
    seen["insufficientSpotBalanceRejected"] = last()
    rig.resting(BOB, "ETH", "A", "3000", "1")
    rig.order(ALICE, "ETH", "B", "3000", "1", "Alo")
    seen["badAloPxRejected"] = last()
    rig.core.knobs.set_interest_cap("ETH", "2")
    rig.order(ALICE, "ETH", "B", "2990", "3")
    seen["openInterestIncreaseRejected"] = last()
    rig.order(ALICE, "ETH", "B", "3000", "1", "Ioc")
    rig.core.knobs.set_interest_cap("ETH", "1")
    rig.order(ALICE, "ETH", "B", "2990", "1")
    seen["positionIncreaseAtOpenInterestCapRejected"] = last()
    rig.order(ALICE, "ETH", "A", "3010", "3")
    seen["positionFlipAtOpenInterestCapRejected"] = last()
    rig.core.knobs.set_interest_cap("ETH", "0")
    oid = rig.resting(ALICE, "ETH", "A", "3010", "1")
    rig.core.knobs.delist("ETH")
    seen["delistedCanceled"] = rig.status(ALICE, oid)
    assert {name: name for name in seen} == seen
    assert rig.core.balance() == 0


def test_a_resting_order_gives_way_to_a_cap_that_came_later(rig):
    rig.deal(ALICE, BOB, "ETH", "3000", "1")
    oid = rig.resting(CAROL, "ETH", "A", "3001", "1")
    rig.core.knobs.set_interest_cap("ETH", "1")
    # Alice closes nothing by it: both sides would be new.
    rig.order(BOB, "ETH", "B", "3001", "1", "Ioc")
    assert rig.status(CAROL, oid) == "openInterestCapCanceled"


def test_too_many_orders_and_too_large_a_position():
    rig = Rig(VenueProfile(step_ms=0, agents=False, open_orders=3, max_position=30_000))
    for _ in range(3):
        rig.resting(ALICE, "ETH", "B", "2900", "1")
    assert rig.order(ALICE, "ETH", "B", "2900", "1")["error"].startswith("Too many open orders")
    assert rig.order(BOB, "ETH", "B", "2900", "11")["error"].startswith("Order would exceed")


@pytest.mark.parametrize("coin", ["BTC", "ETH", "BNB", "SOL", "ARB", "kPEPE", "PURR/USDC", "@1"])
def test_the_price_grid_is_that_of_an_independent_rule(coin):
    core = VenueCore(VenueMeta.default(), seed=1, profile=STILL, now_ms=0)
    core.fund(ALICE, "100000000")
    core.fund_spot(ALICE, "USDC", "100000000")
    spec = next(s for s in META.instruments() if s.coin == coin)
    most = (8 if spec.spot else 6) - spec.sz_decimals
    start = Decimal(spec.start_price)
    size = str((Decimal(20) / start).quantize(Decimal(1).scaleb(-spec.sz_decimals)) + 1)
    texts = set()
    for digits in range(1, 8):
        for tail in range(1, 8):
            scale = start.adjusted() - digits + 1
            texts.add(format(start + Decimal(tail).scaleb(scale), "f"))
    legal = 0
    for text in sorted(texts):
        px = Decimal(text)
        if abs(px - start) > start * Decimal("0.9"):
            continue
        exponent = -px.normalize().as_tuple().exponent
        figures = len(px.normalize().as_tuple().digits)
        allowed = px == px.to_integral() or (figures <= 5 and exponent <= most)
        wire = limit(coin, "B", text, size)
        answer = core.submit(ALICE, {"type": "order", "orders": [wire], "grouping": "na"}, 0)
        status = answer["response"]["data"]["statuses"][0]
        refused = status.get("error", "").startswith("Price must be divisible")
        assert refused != allowed, (text, status)
        legal += allowed
    assert legal > 10


def test_spot_orders_hold_balances_and_move_tokens(rig):
    rig.core.fund_spot(ALICE, "USDC", "1000")
    rig.core.fund_spot(BOB, "HYPE", "50")
    rig.resting(BOB, "@1", "A", "30", "10")
    (held,) = rig.core.user_info.spot_state(BOB)["balances"]
    assert (held["coin"], held["total"], held["hold"]) == ("HYPE", "50.0", "10.0")
    assert "filled" in rig.order(ALICE, "@1", "B", "30", "10", "Ioc")
    usdc, hype = rig.core.user_info.spot_state(ALICE)["balances"]
    assert (usdc["total"], hype["total"], hype["entryNtl"]) == ("700.0", "9.993", "300.0")
    fill = rig.core.user_history.fills(ALICE)[0]
    assert (fill["dir"], fill["feeToken"], fill["fee"]) == ("Buy", "HYPE", "0.007")
    assert rig.core.user_history.fills(BOB)[0]["feeToken"] == "USDC"
    assert rig.core.balance() == 0
    assert ASSETS["@1"] == 10_001


def test_an_unknown_user_must_deposit_first(rig):
    nobody = "0x" + "9" * 40
    answer = rig.act(nobody, {"type": "noop"})
    text = f"Must deposit before performing actions. User: {nobody}"
    assert answer == {"status": "err", "response": text}
