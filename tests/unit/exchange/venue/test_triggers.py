"""Stops and targets: when they fire, what they fill, and which of them survive."""

from __future__ import annotations

import pytest

from genesis.exchange.venue.core import VenueProfile
from tests.unit.exchange.venue.venue_rig import ALICE, BOB, CAROL, Rig, limit, trigger


@pytest.fixture
def rig():
    rig = Rig()
    rig.deal(ALICE, BOB, "ETH", "3000", "2")
    for px in ("2990", "2950", "2900", "2700", "2600"):
        rig.resting(CAROL, "ETH", "B", px, "1")
    for px in ("3010", "3050", "3100"):
        rig.resting(CAROL, "ETH", "A", px, "1")
    rig.events()
    return rig


def test_a_stop_fires_on_the_mark_price_not_on_trades(rig):
    (answer,) = rig.orders(ALICE, trigger("ETH", "A", "2980", "2", "sl"))
    oid = answer["resting"]["oid"]
    (shown,) = rig.core.user_info.frontend_open_orders(ALICE)
    assert shown["isTrigger"]
    assert shown["triggerCondition"] == "Price below 2980.0"
    assert shown["orderType"] == "Stop Market"
    assert shown["tif"] is None
    # A trade below the level does not move the mark price of a pinned market.
    rig.order(BOB, "ETH", "A", "2990", "1", "Ioc")
    assert rig.status(ALICE, oid) == "open"
    rig.core.knobs.set_price("ETH", "2981")
    assert rig.status(ALICE, oid) == "open"
    rig.events()
    rig.core.knobs.set_price("ETH", "2980")
    assert rig.status(ALICE, oid) == "filled"
    assert rig.sizes(ALICE) == {}
    statuses = [e.data["status"] for e in rig.events("orderUpdate", ALICE)]
    assert statuses == ["triggered", "filled"]


@pytest.mark.parametrize(
    ("side", "kind", "level", "moved", "condition"),
    [
        ("A", "tp", "3050", "3050", "Price above 3050.0"),
        ("A", "sl", "2950", "2949", "Price below 2950.0"),
    ],
)
def test_each_kind_fires_on_its_side(rig, side, kind, level, moved, condition):
    (answer,) = rig.orders(ALICE, trigger("ETH", side, level, "1", kind))
    shown = rig.core.user_info.frontend_open_orders(ALICE)[0]
    assert shown["triggerCondition"] == condition
    rig.core.knobs.set_price("ETH", moved)
    assert rig.status(ALICE, answer["resting"]["oid"]) == "filled"


def test_short_positions_have_mirrored_triggers(rig):
    stop, target = rig.orders(
        BOB, trigger("ETH", "B", "3050", "2", "sl"), trigger("ETH", "B", "2950", "2", "tp")
    )
    shown = {o["oid"]: o["triggerCondition"] for o in rig.core.user_info.frontend_open_orders(BOB)}
    assert shown[stop["resting"]["oid"]] == "Price above 3050.0"
    assert shown[target["resting"]["oid"]] == "Price below 2950.0"
    rig.core.knobs.set_price("ETH", "3051")
    assert rig.status(BOB, stop["resting"]["oid"]) == "filled"
    # The position is gone, and so is what could only have closed it.
    assert rig.status(BOB, target["resting"]["oid"]) == "reduceOnlyCanceled"


def test_a_level_already_passed_is_refused(rig):
    for wire in (
        trigger("ETH", "A", "3001", "1", "sl"),
        trigger("ETH", "A", "2999", "1", "tp"),
        trigger("ETH", "A", "3000", "1", "sl"),
    ):
        assert rig.orders(ALICE, wire) == [{"error": "Invalid TP/SL price. asset=1"}]


def test_a_market_trigger_fills_within_ten_percent_of_the_mark(rig):
    (answer,) = rig.orders(ALICE, trigger("ETH", "A", "2980", "2", "sl"))
    for px in ("2990", "2950", "2900"):
        rig.order(BOB, "ETH", "A", px, "1", "Ioc")
    # 2600 is farther than a tenth below 2980 * 0.9 = 2682, 2700 is not.
    rig.core.knobs.set_price("ETH", "2980")
    assert rig.status(ALICE, answer["resting"]["oid"]) == "canceled"
    assert rig.sizes(ALICE) == {"ETH": 1}
    assert rig.core.user_history.fills(ALICE)[0]["px"] == "2700.0"


def test_a_market_trigger_without_liquidity(rig):
    rig.deal(ALICE, BOB, "LINK", "14", "10")
    (answer,) = rig.orders(ALICE, trigger("LINK", "A", "13", "10", "sl"))
    rig.core.knobs.set_price("LINK", "12.9")
    oid = answer["resting"]["oid"]
    assert rig.status(ALICE, oid) == "marketOrderNoLiquidityRejected"


def test_a_limit_trigger_rests_at_its_price(rig):
    wire = trigger("ETH", "A", "2980", "2", "sl", px="3005", market=False)
    (answer,) = rig.orders(ALICE, wire)
    oid = answer["resting"]["oid"]
    assert rig.core.user_info.frontend_open_orders(ALICE)[0]["orderType"] == "Stop Limit"
    rig.core.knobs.set_price("ETH", "2979")
    assert rig.status(ALICE, oid) == "open"
    assert ("3005.0", "2.0") in rig.book("ETH")[1]
    rig.order(BOB, "ETH", "B", "3005", "2", "Ioc")
    assert rig.status(ALICE, oid) == "filled"


def bracket(rig, *parent, tif="Gtc", size="2"):
    return rig.orders(
        BOB,
        limit("SOL", *parent, size, tif),
        trigger("SOL", "A", "160", size, "tp"),
        trigger("SOL", "A", "140", size, "sl"),
        grouping="normalTpsl",
    )


def children(rig):
    rows = rig.core.user_info.historical_orders(BOB)
    return {row["order"]["orderType"]: row["status"] for row in rows if row["order"]["isTrigger"]}


def test_children_wait_for_the_fill_and_the_price_moves_one_of_them(rig):
    parent, target, stop = bracket(rig, "B", "150")
    assert (target, stop) == ("waitingForFill", "waitingForFill")
    shown = rig.core.user_info.frontend_open_orders(BOB)
    whole = next(o for o in shown if not o["isTrigger"])
    assert len(whole["children"]) == 2
    # Not before the parent is filled.
    rig.core.knobs.set_price("SOL", "139")
    assert children(rig) == {"Take Profit Market": "open", "Stop Market": "open"}
    rig.core.knobs.set_price("SOL", "150")
    rig.order(CAROL, "SOL", "A", "150", "2", "Ioc")
    assert rig.status(BOB, parent["resting"]["oid"]) == "filled"
    rig.resting(CAROL, "SOL", "B", "159.9", "2")
    rig.core.knobs.set_price("SOL", "160")
    assert children(rig) == {
        "Take Profit Market": "filled",
        "Stop Market": "siblingFilledCanceled",
    }
    assert "SOL" not in rig.sizes(BOB)


def test_children_of_a_parent_that_fills_at_once_are_armed(rig):
    rig.resting(CAROL, "SOL", "A", "150", "2")
    parent, target, stop = bracket(rig, "B", "150")
    assert parent["filled"]["totalSz"] == "2.0"
    assert (target, stop) == ("waitingForTrigger", "waitingForTrigger")
    rig.resting(CAROL, "SOL", "B", "139", "2")
    rig.core.knobs.set_price("SOL", "140")
    assert children(rig) == {
        "Take Profit Market": "siblingFilledCanceled",
        "Stop Market": "filled",
    }


def test_children_end_with_a_parent_that_is_cancelled(rig):
    parent, *_ = bracket(rig, "B", "149")
    rig.cancel(BOB, "SOL", parent["resting"]["oid"])
    assert children(rig) == {"Take Profit Market": "canceled", "Stop Market": "canceled"}


def test_a_refused_parent_has_no_children(rig):
    statuses = bracket(rig, "B", "149.555")
    assert all("error" in status for status in statuses)
    assert children(rig) == {}


@pytest.mark.parametrize("survive", [False, True])
def test_children_of_a_partly_filled_parent_are_a_matter_of_profile(survive):
    profile = VenueProfile(step_ms=0, agents=False, children_survive_partial_parent=survive)
    rig = Rig(profile)
    rig.resting(CAROL, "SOL", "A", "150", "1")
    bracket(rig, "B", "150", tif="Ioc")
    if not survive:
        assert children(rig) == {"Take Profit Market": "canceled", "Stop Market": "canceled"}
        return
    sizes = [o["sz"] for o in rig.core.user_info.frontend_open_orders(BOB)]
    assert sizes == ["1.0", "1.0"]


def test_children_move_to_the_successor_of_a_modified_parent(rig):
    parent, *_ = bracket(rig, "B", "149")
    old = parent["resting"]["oid"]
    rig.act(BOB, {"type": "modify", "oid": old, "order": limit("SOL", "B", "150", "2")})
    assert children(rig) == {"Take Profit Market": "open", "Stop Market": "open"}
    rig.order(CAROL, "SOL", "A", "150", "2", "Ioc")
    rig.resting(CAROL, "SOL", "B", "139", "2")
    rig.core.knobs.set_price("SOL", "139")
    assert children(rig)["Stop Market"] == "filled"


def test_triggers_of_the_whole_position_follow_it_and_die_with_it(rig):
    statuses = rig.orders(
        ALICE,
        trigger("ETH", "A", "3200", "0", "tp"),
        trigger("ETH", "A", "2800", "0", "sl"),
        grouping="positionTpsl",
    )
    oids = [status["resting"]["oid"] for status in statuses]
    shown = rig.core.user_info.frontend_open_orders(ALICE)
    assert {o["sz"] for o in shown} == {"2.0"}
    assert all(o["isPositionTpsl"] and o["reduceOnly"] for o in shown)
    rig.order(ALICE, "ETH", "B", "3050", "2", "Ioc")
    assert {o["sz"] for o in rig.core.user_info.frontend_open_orders(ALICE)} == {"4.0"}
    rig.order(ALICE, "ETH", "A", "2950", "2", "Ioc")
    assert {o["sz"] for o in rig.core.user_info.frontend_open_orders(ALICE)} == {"2.0"}
    rig.order(ALICE, "ETH", "A", "2600", "2", "Ioc")
    assert rig.sizes(ALICE) == {}
    assert {rig.status(ALICE, oid) for oid in oids} == {"reduceOnlyCanceled"}


def test_triggers_of_a_position_need_one(rig):
    (status,) = rig.orders(CAROL, trigger("SOL", "A", "160", "0", "tp"), grouping="positionTpsl")
    assert status["error"].startswith("Reduce only order would increase position.")
