"""Who may act for whom: agents, roles, user-signed actions, sub-accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.utils.signing import sign_agent

from tests.integration.venue.rig import GTC, Rig, now_ms, resting

OK = {"status": "ok", "response": {"type": "default"}}


def agent_of(venue: Rig, trader: Exchange, name: str | None) -> Exchange:
    answer, key = trader.approve_agent(name)
    assert answer == OK, answer
    return venue.exchange(Account.from_key(key), account_address=trader.wallet.address)


def bid(trader: Exchange) -> Any:
    return trader.order("BTC", True, 0.001, 50_000, GTC)


def is_unknown(answer: Any, trader: Exchange) -> bool:
    text = f"User or API Wallet {trader.wallet.address.lower()} does not exist."
    return bool(answer == {"status": "err", "response": text})


def test_check_07_agents_act_for_their_master(venue: Rig) -> None:
    trader = venue.trader()
    user = trader.wallet.address
    named, unnamed = agent_of(venue, trader, "bot"), agent_of(venue, trader, None)
    oids = {resting(bid(named)), resting(bid(unnamed))}
    assert {row["oid"] for row in venue.info.open_orders(user)} == oids
    assert venue.info.open_orders(named.wallet.address) == []
    for agent in (named, unnamed):
        refused = agent.usd_class_transfer(1.0, False)
        who = agent.wallet.address.lower()
        text = f"Must deposit before performing actions. User: {who}"
        assert refused == {"status": "err", "response": text}
    assert trader.usd_class_transfer(1.0, False) == OK


def test_check_07_a_name_in_use_gets_the_new_key(venue: Rig) -> None:
    trader = venue.trader()
    first, second = agent_of(venue, trader, "bot"), agent_of(venue, trader, "bot")
    assert is_unknown(bid(first), first)
    resting(bid(second))
    one, two = agent_of(venue, trader, None), agent_of(venue, trader, None)
    assert is_unknown(bid(one), one)
    resting(bid(two))
    agent_of(venue, trader, "b")
    agent_of(venue, trader, "c")
    answer, _ = trader.approve_agent("d")
    assert answer["status"] == "err", "three names at most"


def test_check_07_the_zero_address_revokes(venue: Rig) -> None:
    trader = venue.trader()
    agent = agent_of(venue, trader, "bot")
    resting(bid(agent))
    action: dict[str, Any] = {
        "type": "approveAgent",
        "agentAddress": "0x" + "0" * 40,
        "agentName": "bot",
        "nonce": now_ms(),
    }
    signature = sign_agent(trader.wallet, action, False)
    body = {"action": action, "nonce": action["nonce"], "signature": signature}
    assert venue.post("/exchange", body).json() == OK
    assert is_unknown(bid(agent), agent)
    assert venue.info.extra_agents(trader.wallet.address) == []


def test_check_07_an_agent_ends_with_its_term(venue: Rig) -> None:
    trader = venue.trader()
    until = now_ms() + 60_000
    agent = agent_of(venue, trader, f"bot valid_until {until}")
    assert venue.info.extra_agents(trader.wallet.address)[0]["validUntil"] == until
    resting(bid(agent))
    venue.control("time", {"advance_ms": 61_000})
    assert is_unknown(bid(agent), agent)


def test_check_08_roles_and_agents_as_anyone_may_ask(venue: Rig) -> None:
    trader = venue.trader()
    user = trader.wallet.address
    agent, hidden = agent_of(venue, trader, "bot"), agent_of(venue, trader, None)
    for each in (agent, hidden):
        role = venue.info.user_role(each.wallet.address)
        assert role == {"role": "agent", "data": {"user": user.lower()}}
    assert venue.info.user_role(user) == {"role": "user"}
    assert venue.info.user_role(Account.create().address) == {"role": "missing"}
    (row,) = venue.info.extra_agents(user)
    assert (row["name"], row["address"]) == ("bot", agent.wallet.address.lower())
    resting(bid(agent))
    state = venue.info.user_state(agent.wallet.address)
    assert Decimal(state["marginSummary"]["accountValue"]) == 0
    assert state["assetPositions"] == []
    assert venue.info.open_orders(agent.wallet.address) == []


def test_actions_of_nobody_are_refused(venue: Rig) -> None:
    nobody = venue.exchange(Account.create())
    assert is_unknown(bid(nobody), nobody)
    refused = nobody.usd_transfer(1.0, "0x" + "1" * 40)
    assert refused["response"].startswith("Must deposit before performing actions. User: 0x")


def test_user_signed_actions_of_the_sdk(venue: Rig) -> None:
    trader = venue.trader()
    user, friend = trader.wallet.address, venue.wallet("10").address
    assert trader.usd_class_transfer(100.0, False) == OK
    (balance,) = venue.info.spot_user_state(user)["balances"]
    assert Decimal(balance["total"]) == 100
    assert trader.usd_transfer(50.0, friend) == OK
    state = venue.info.user_state(friend)
    assert Decimal(state["marginSummary"]["accountValue"]) == 60
    assert trader.spot_transfer(20.0, friend, "USDC:0x0000000000000000000000006d1e7cde")["status"]
    assert trader.approve_builder_fee(friend, "0.01%") == OK
    assert trader.withdraw_from_bridge(10.0, user)["status"] == "ok"
    kinds = {row["delta"]["type"] for row in venue.info.user_non_funding_ledger_updates(user, 0)}
    assert {"deposit", "withdraw", "accountClassTransfer"} <= kinds
    body = {"type": "userAbstraction", "user": user}
    assert venue.post("/info", body).json() == "default"


def test_a_sub_account_trades_for_its_master(venue: Rig) -> None:
    trader = venue.trader()
    answer = trader.create_sub_account("desk")
    assert answer["status"] == "ok", answer
    (child,) = venue.info.query_sub_accounts(trader.wallet.address)
    address = child["subAccountUser"]
    assert trader.sub_account_transfer(address, True, 5_000_000_000)["status"] == "ok"
    assert venue.info.user_role(address)["role"] == "subAccount"
    desk = venue.exchange(trader.wallet, vault_address=address)
    oid = resting(bid(desk))
    assert [row["oid"] for row in venue.info.open_orders(address)] == [oid]
    assert venue.info.open_orders(trader.wallet.address) == []
    stranger = venue.exchange(venue.wallet(), vault_address=address)
    assert bid(stranger)["status"] == "err"


def test_what_this_exchange_does_not_have_is_said_and_costs_a_nonce(venue: Rig) -> None:
    trader = venue.trader()
    answer = trader.use_big_blocks(True)
    assert answer["status"] == "err"
    assert "means nothing on this local venue" in answer["response"]
