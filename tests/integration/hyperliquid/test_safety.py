"""Keys, accounts, breaker and budgets on the local venue (checks 41, 48, 49)."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.settings import AccountBinding, ForeignPolicy
from genesis.exchange.hyperliquid.waits import RealWaits
from genesis.exchange.venue.core import VenueProfile
from genesis.exchange.venue.limits import LimitProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, Side, Tif
from genesis.trading.payloads import (
    AlertRaised,
    ConnectionChanged,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
)
from tests.integration.hyperliquid.live_rig import (
    ACCOUNT,
    AMPLE,
    COIN,
    MASTER,
    LiveRig,
    live_rig,
    of,
    order,
    until,
)

QUIET = VenueProfile(step_ms=0)


# ---- 41 ----------------------------------------------------------------------------------------


def test_check_41_nonces_of_eight_threads_are_unique_and_rise_across_a_restart(
    tmp_path: Path,
) -> None:
    threads, each = 8, 200
    with live_rig(tmp_path, profile=QUIET) as rig:
        events: list[Event] = []
        gateway = rig.gateway(events.append, weight_limit=10**7)
        nonces: list[int] = []
        given = gateway.parts.nonces.next

        def noted() -> int:
            nonces.append(given())
            return nonces[-1]

        gateway.parts.nonces.next = noted  # type: ignore[method-assign]

        def work() -> None:
            for _ in range(each):
                gateway.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "50", tif=Tif.IOC))

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert gateway.settle(120.0)
        assert len(nonces) == len(set(nonces)) == threads * each
        assert nonces == sorted(nonces)
        assert len(of(events, OrderCanceled)) == threads * each
        assert of(events, OrderUnknown) == of(events, OrderRejected) == []
        gateway.close()
        again = rig.gateway(events.append)
        assert again.parts.nonces.next() > max(nonces)


def test_a_second_process_is_refused_while_the_first_one_runs(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.gateway(lambda _: None)
        with pytest.raises(RefusedError, match="another process trades"):
            rig.gateway(lambda _: None)


# ---- 48 ----------------------------------------------------------------------------------------


def test_check_48_a_revoked_agent_halts_within_one_action(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        events: list[Event] = []
        gateway = rig.gateway(events.append)
        rig.call(lambda: rig.venue.core.knobs.prune_agent(rig.key.address))
        refused = order(Side.BUY, "0.5")
        gateway.submit(refused)
        assert gateway.settle()
        (rejected,) = of(events, OrderRejected)
        assert rejected.reason == "signer"
        (halt,) = of(events, ConnectionChanged)
        assert (halt.source, halt.connected) == ("hyperliquid:signer", False)
        sent = gateway.parts.transport.sent
        gateway.submit(order(Side.BUY, "0.5"))
        gateway.cancel(ACCOUNT, COIN, refused.client_id)
        assert gateway.settle()
        assert gateway.parts.transport.sent == sent == 1  # not one more
        assert len(of(events, OrderRejected)) == 3


# ---- 49 ----------------------------------------------------------------------------------------


def test_check_49_the_money_of_a_unified_account_is_its_spot_balance(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        gateway = rig.gateway(lambda _: None)
        plain = gateway.funds(ACCOUNT)
        assert (plain.mode, plain.equity) == ("default", Decimal(1_000_000))
        transfer = {"type": "usdClassTransfer", "amount": "400000", "toPerp": False}
        rig.submit(MASTER, transfer | {"nonce": 1, "hyperliquidChain": "Testnet"})
        assert gateway.funds(ACCOUNT).equity == Decimal(600_000)
        rig.submit(MASTER, {"type": "userSetAbstraction", "abstraction": "unifiedAccount"})
        unified = gateway.funds(ACCOUNT)
        # One balance: what lay in either is told with the spot balances.
        assert (unified.mode, unified.equity) == ("unifiedAccount", Decimal(1_000_000))


def _bound(rig: LiveRig, address: str, key: AgentKey | None = None) -> HyperliquidGateway:
    settings = rig.settings(accounts=(AccountBinding(ACCOUNT, address),))
    gateway = HyperliquidGateway(settings, key or rig.key, RealWaits(rig.venue.clock))
    rig.gateways.append(gateway)
    return gateway


def test_check_49_an_agents_address_as_account_is_refused(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        with pytest.raises(RefusedError, match="master key"):
            _bound(rig, rig.key.address)
        other = AgentKey("0x" + "77" * 32)
        approve = {"type": "approveAgent", "agentAddress": other.address, "agentName": "second"}
        rig.submit(MASTER, approve | {"hyperliquidChain": "Testnet", "nonce": 2})
        with pytest.raises(RefusedError, match="that of an agent"):
            _bound(rig, other.address).connect(lambda _: None)


def test_a_master_key_a_strangers_key_and_a_strangers_account_are_refused(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        key = AgentKey("0x" + "77" * 32)
        with pytest.raises(RefusedError, match="not registered"):
            _bound(rig, MASTER, key).connect(lambda _: None)
        rig.act("fund", key.address, "1000")
        with pytest.raises(RefusedError, match="key of a user"):
            _bound(rig, MASTER, key).connect(lambda _: None)
        with pytest.raises(RefusedError, match="does not act for"):
            _bound(rig, key.address).connect(lambda _: None)


def test_orders_of_strangers_follow_the_policy(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        kind = {"limit": {"tif": "Gtc"}}
        row = {"a": 5, "b": True, "p": "90", "s": "0.5", "r": False, "t": kind}
        rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})
        with pytest.raises(RefusedError, match="1 orders rest"):
            rig.gateway(lambda _: None)
        kept = rig.gateway(lambda _: None, foreign=ForeignPolicy.KEEP)
        assert len(kept.reports[ACCOUNT].foreign) == 1
        assert len(kept.account_state(ACCOUNT, 0).orders) == 1
        kept.close()
        cleared = rig.gateway(lambda _: None, foreign=ForeignPolicy.CANCEL)
        assert cleared.reports[ACCOUNT].canceled == 1
        assert cleared.account_state(ACCOUNT, 0).orders == ()


def test_leverage_is_checked_and_set(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        wanted: dict[str, Any] = {"leverage": {COIN: 3}}
        with pytest.raises(RefusedError, match="is traded"):
            rig.gateway(lambda _: None, **wanted)
        setter = rig.gateway(lambda _: None, set_leverage=True, **wanted)
        assert setter.reports[ACCOUNT].leverage == {COIN: 3}
        setter.close()
        found = rig.info("activeAssetData", coin=COIN)["leverage"]
        assert (found["type"], found["value"]) == ("isolated", 3)
        rig.gateway(lambda _: None, **wanted)


# ---- breaker and budgets -----------------------------------------------------------------------


def test_the_breaker_opens_after_three_failures_and_recovers_by_itself(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        events: list[Event] = []
        gateway = rig.gateway(events.append, breaker_first_s=0.2, read_attempts=1)
        rig.fault("server_error", where={"path": "exchange"})
        for _ in range(3):
            gateway.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "95"))
        until(lambda: gateway.parts.transport.breaker.opened == 1)
        assert gateway.settle()
        assert len(of(events, OrderUnknown)) == 3
        held = order(Side.BUY, "0.5", OrderKind.LIMIT, "96")
        sent = gateway.parts.transport.sent
        if gateway.parts.transport.breaker.open:
            gateway.submit(held)
            assert gateway.settle()
            (refused,) = of(events, OrderRejected)
            assert refused.reason == "breaker_open"
            assert gateway.parts.transport.sent == sent
        rig.heal()
        until(lambda: not gateway.parts.transport.breaker.open)
        assert gateway.settle()
        changes = [(c.source, c.connected) for c in of(events, ConnectionChanged)]
        assert changes == [("hyperliquid:orders", False), ("hyperliquid:orders", True)]
        assert rig.info("openOrders") == []  # what waited was not fired late
        gateway.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "97"))
        assert gateway.settle()
        assert len(of(events, OrderAccepted)) == 1


def test_exits_pass_an_open_breaker(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        events: list[Event] = []
        gateway = rig.gateway(events.append, breaker_first_s=30.0)
        gateway.submit(order(Side.BUY, "0.5"))
        assert gateway.settle()
        for number in range(3):
            gateway.parts.transport.breaker.failure(f"test {number}")
        gateway.submit(order(Side.SELL, "0.5", reduce_only=True))
        assert gateway.settle()
        assert rig.position() == 0


def test_the_address_budget_keeps_a_reserve_for_cancels(tmp_path: Path) -> None:
    tight = LimitProfile(**{**{f: getattr(AMPLE, f) for f in AMPLE.__slots__}, "address_start": 60})
    with live_rig(tmp_path, profile=QUIET, limits=tight) as rig:
        rig.price(100.0)
        events: list[Event] = []
        gateway = rig.gateway(events.append, address_reserve=10)
        placed = [order(Side.BUY, "0.2", OrderKind.LIMIT, "90") for _ in range(80)]
        for one in placed:
            gateway.submit(one)
        assert gateway.settle()
        accepted = [data.client_id for data in of(events, OrderAccepted)]
        refused = of(events, OrderRejected)
        assert {data.reason for data in refused} == {"address_budget"}
        assert len(accepted) == 50  # ten are left
        for client_id in accepted:
            gateway.cancel(ACCOUNT, COIN, client_id)
        assert gateway.settle()
        assert len(of(events, OrderCanceled)) == len(accepted)


def test_prices_and_sizes_off_the_grid_are_put_on_it_and_told_back_as_asked(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        events: list[Event] = []
        gateway = rig.gateway(events.append)
        gateway.submit(order(Side.BUY, "0.5000000000000001"))
        assert gateway.settle()
        stop = order(Side.SELL, "0.5", OrderKind.STOP, "94.98765432109876", reduce_only=True)
        gateway.submit(stop)
        assert gateway.settle()
        (row,) = rig.info("frontendOpenOrders")
        assert row["triggerPx"] == "94.987"  # away from the market: never too early
        for reader in (gateway, None):
            if reader is None:
                gateway.close()
                reader = rig.gateway(events.append)
            (open_,) = reader.account_state(ACCOUNT, 0).orders
            assert (open_.price, open_.size) == (stop.price, stop.size)
        assert {data.fill.size for data in of(events, OrderFilled)} == {Decimal("0.5")}


def test_no_secret_is_in_events_files_or_texts(tmp_path: Path) -> None:
    secret = "5e" * 31 + "01"
    with live_rig(tmp_path, profile=QUIET) as rig:
        events: list[Event] = []
        gateway = rig.gateway(events.append)
        gateway.submit(order(Side.BUY, "0.5"))
        rig.call(lambda: rig.venue.core.knobs.prune_agent(rig.key.address))
        gateway.submit(order(Side.BUY, "0.5"))
        assert gateway.settle()
        texts = [repr(events), repr(gateway), repr(gateway.__dict__), str(rig.key)]
        texts.append(Path("/proc/self/cmdline").read_bytes().decode(errors="replace"))
        for path in tmp_path.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                assert bytes.fromhex(secret) not in raw
                texts.append(raw.decode(errors="replace"))
        assert all(secret not in text.lower() for text in texts)
        assert json.dumps(secret) not in repr(gateway.settings)


def test_rules_that_changed_are_read_anew_after_the_first_refusal(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        events: list[Event] = []
        gateway = rig.gateway(events.append)
        rig.fault("meta_change", where={"coin": COIN}, sz_decimals=1)
        for _ in range(2):
            gateway.submit(order(Side.BUY, "0.55", OrderKind.LIMIT, "90"))
            assert gateway.settle()
        (refused,) = of(events, OrderRejected)
        assert refused.reason == "invalid_size"
        (row,) = rig.info("openOrders")
        assert row["sz"] == "0.5"
        assert any("changed its rules" in alert.title for alert in of(events, AlertRaised))


def test_a_clock_that_differs_from_the_exchange_halts_new_risk(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        events: list[Event] = []
        rig.fault("clock_skew", skew_ms=120_000)
        gateway = rig.gateway(events.append, rate_check_s=0.1)
        until(lambda: len(of(events, ConnectionChanged)) == 1)
        (skewed,) = of(events, ConnectionChanged)
        assert (skewed.source, skewed.connected) == ("hyperliquid:clock", False)
        assert "120000 ms" in skewed.why
        assert gateway.settle()
