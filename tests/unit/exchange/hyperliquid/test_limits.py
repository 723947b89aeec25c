"""Budgets, timeouts and the breaker, on a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from genesis.exchange.hyperliquid.breaker import Breaker
from genesis.exchange.hyperliquid.latency import Latency
from genesis.exchange.hyperliquid.limits import AddressBudget, Priority, WeightBudget
from genesis.exchange.hyperliquid.waits import within
from tests.unit.exchange.hyperliquid.hands import HandWaits


def test_no_minute_ever_holds_more_than_the_limit_and_cancels_never_wait() -> None:
    async def run() -> None:
        waits = HandWaits()
        budget = WeightBudget(waits, 1_200, 100, 200)
        rng = random.Random(3)
        spent: list[tuple[float, int]] = []
        late: list[float] = []

        async def ask(weight: int, priority: Priority) -> None:
            began = waits.monotonic()
            await budget.spend(weight, priority)
            if priority is Priority.CANCEL:
                late.append(waits.monotonic() - began)
            # It arrives some time after it was sent, and is answered some time after that.
            await waits.sleep(rng.choice((0.0, 0.0, 0.5, 9.0)))
            spent.append((waits.monotonic(), weight))
            await waits.sleep(rng.choice((0.0, 0.5, 3.0)))
            budget.landed(weight)

        tasks = []
        for second in range(240):
            for _ in range(6):
                tasks.append(asyncio.create_task(ask(rng.choice((2, 20)), Priority.READ)))
            tasks.append(asyncio.create_task(ask(1, Priority.ORDER)))
            if second % 2 == 0:
                tasks.append(asyncio.create_task(ask(1, Priority.CANCEL)))
            await waits.pass_(1.0)
        for task in tasks:
            task.cancel()
        for ends, _ in spent:
            window = sum(weight for when, weight in spent if ends - 60.0 < when <= ends)
            assert window <= 1_200
        assert len(late) == 120
        assert max(late) == 0.0
        assert budget.most > 800

    asyncio.run(run())


def test_a_slow_request_counts_until_a_minute_after_its_answer() -> None:
    """The exchange counts it when it arrives: half a minute after it was sent, say."""

    async def run() -> None:
        waits = HandWaits()
        budget = WeightBudget(waits, 1_200, 100, 200)
        await budget.spend(1_100, Priority.ORDER)
        following = asyncio.create_task(budget.spend(1, Priority.ORDER))
        await waits.pass_(61.0)
        assert not following.done(), "it is still under way"
        budget.landed(1_100)
        await waits.pass_(59.0)
        assert not following.done()
        await budget.spend(100, Priority.CANCEL)
        await waits.pass_(1.1)
        assert following.done()

    asyncio.run(run())


def test_after_a_429_reads_and_orders_pause_and_cancels_do_not() -> None:
    async def run() -> None:
        waits = HandWaits()
        budget = WeightBudget(waits)
        budget.refused(10.0)
        await budget.spend(1, Priority.CANCEL)
        order = asyncio.create_task(budget.spend(1, Priority.ORDER))
        await waits.pass_(9.9)
        assert not order.done()
        await waits.pass_(0.2)
        assert order.done()

    asyncio.run(run())


def test_the_address_budget_counts_requests_and_dollars() -> None:
    budget = AddressBudget(reserve=10)
    assert budget.may_add()  # nobody was asked yet
    budget.heard(used=85, cap=100)
    assert budget.left == 15
    for _ in range(5):
        assert budget.may_add()
        budget.spend()
    assert not budget.may_add()
    budget.traded(Decimal("3.7"))
    assert budget.may_add()
    budget.heard(used=0, cap=100)
    budget.exhausted()
    assert budget.left == 0


def test_the_timeout_follows_the_latency() -> None:
    latency = Latency(0.05, 8.0)
    assert latency.timeout_s == 8.0
    for _ in range(100):
        latency.answered(0.1)
    assert 0.1 <= latency.timeout_s < 0.2
    for _ in range(3):
        latency.timed_out()
    assert latency.timeout_s >= 0.8
    latency.answered(0.1)
    assert latency.timeout_s < 0.2
    for _ in range(50):
        latency.answered(2.0)
    assert 2.0 <= latency.timeout_s <= 8.0


def test_the_breaker_opens_after_failures_in_a_row_and_closes_at_the_first_answer() -> None:
    told: list[tuple[bool, str]] = []
    breaker = Breaker(3, 2.0, 15.0, lambda opened, why: told.append((opened, why)))
    for _ in range(5):
        breaker.failure("timeout")
        breaker.failure("timeout")
        breaker.success()
    assert not breaker.open
    for _ in range(3):
        breaker.failure("timeout")
    assert breaker.open
    assert "timeout" in breaker.why
    waits = []
    for _ in range(5):
        waits.append(breaker.probe_wait_s)
        breaker.failure("still", probe=True)
        breaker.failure("a cancel that was tried all the same")
    assert waits == [2.0, 4.0, 8.0, 15.0, 15.0]
    breaker.success()
    assert not breaker.open
    assert [opened for opened, _ in told] == [True, False]


def test_work_within_a_time() -> None:
    async def run() -> None:
        waits = HandWaits()

        async def slow() -> str:
            await waits.sleep(5.0)
            return "done"

        in_time = asyncio.create_task(within(waits, 6.0, slow()))
        late = asyncio.create_task(within(waits, 4.0, slow()))
        await waits.pass_(5.5)
        assert await in_time == "done"
        with pytest.raises(TimeoutError):
            await late

    asyncio.run(run())
