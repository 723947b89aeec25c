"""How long a decision takes: 20 strategies, all six types, healthy and all in breach.

    python benchmarks/decision.py
    python benchmarks/decision.py --decisions 2000

A decision here is what the engine does with facts that are there: rules, confidence, review, and
nothing else. What follows is timed beside it: its form for the log, and the same decision taken
again from that. Every type is timed by itself and must keep the bound by itself; the worst case of
a retirement is 20 strategies that have been in breach of every rule for longer than is counted. A
decision is pure and is taken three times, the least counts: on a machine that is busy elsewhere a
try is stopped in its middle (``p99_of_every_try_ms`` says how often). Reference of the same run:
writing the facts as JSON, which is what asking another process would cost at least.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections.abc import Callable

import msgspec

from genesis.decision.context import (
    AccountFacts,
    DailySeries,
    DecisionContext,
    MarketFacts,
    StrategyFacts,
)
from genesis.decision.engine import AutomatedDecisionEngine, replay
from genesis.decision.rules import KINDS, load_rules
from genesis.domain.timeline import DAY_MS

BOUND_MS = 1.0
TRIES = 3
STRATEGIES, DAYS, LAST = 20, 365, 20_000


def series(rng: random.Random, *, losing: bool) -> DailySeries:
    """A year of one strategy."""
    equity, peak, closed, won = [0.0], 0.0, 0, 0
    falls, trades, wins = [], [], []
    for _ in range(DAYS):
        equity.append(equity[-1] + (-0.002 if losing else rng.gauss(0.001, 0.01)))
        peak = max(peak, equity[-1])
        closed += 2
        won += 0 if losing else rng.random() < 0.5
        falls.append(peak - equity[-1])
        trades.append(closed)
        wins.append(won)
    first = LAST - DAYS + 1
    return DailySeries(first, first, tuple(equity[1:]), tuple(falls), tuple(trades), tuple(wins))


def contexts(count: int, *, losing: bool) -> list[DecisionContext]:
    """Facts of different books."""
    rng = random.Random(count)
    made = []
    for _ in range(count):
        strategies = {
            f"strat_{n:012x}": StrategyFacts(
                series(rng, losing=losing), rng.gauss(1, 1), 30, rng.gauss(1, 1), rng.random() / 5
            )
            for n in range(STRATEGIES)
        }
        loss = -0.06 if losing else rng.gauss(0.0, 0.02)
        made.append(
            DecisionContext(
                as_of_ms=(LAST + 1) * DAY_MS,
                data_ms=(LAST + 1) * DAY_MS,
                market=MarketFacts(rng.random() / 10, rng.random(), rng.random() * 2, 50.0),
                account=AccountFacts(
                    capital=20_000.0,
                    strategies=STRATEGIES,
                    average_sharpe=rng.gauss(1, 1),
                    daily_return=loss,
                    weekly_return=loss,
                    drawdown=abs(loss),
                ),
                strategies=strategies,
            )
        )
    return made


def least(call: Callable[[], object], tries: list[float]) -> float:
    """Milliseconds of the shortest of three tries; all of them go to ``tries``."""
    found = [timed(call) for _ in range(TRIES)]
    tries += found
    return min(found)


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1e6


def quantile(times: list[float], level: float) -> float:
    """Nearest rank."""
    ordered = sorted(times)
    return ordered[min(int(level * len(ordered)), len(ordered) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=3_000, help="Of each type and state.")
    given = parser.parse_args()
    engine = AutomatedDecisionEngine(load_rules())
    _ = engine.rules.hash
    own: dict[str, list[float]] = {}
    stored: list[float] = []
    again: list[float] = []
    reference: list[float] = []
    tries: list[float] = []
    same = True
    encode = msgspec.json.Encoder().encode
    books = {losing: contexts(12, losing=losing) for losing in (False, True)}
    gc.collect()
    gc.freeze()  # the facts of all books are no garbage of a decision
    for losing, facts in books.items():
        for kind in KINDS:
            strategy = next(iter(facts[0].strategies)) if kind == "new_strategy_approval" else ""
            times = own.setdefault(f"{kind}{'_in_breach' if losing else ''}", [])
            for n in range(given.decisions):
                context = facts[n % len(facts)]
                times.append(
                    least(lambda: engine.decide(kind, context, strategy=strategy), tries)  # noqa: B023
                )
                if n % 10 == 0:
                    decision = engine.decide(kind, context, strategy=strategy)
                    assert not decision.error
                    stored.append(least(decision.plain, []))
                    reference.append(least(lambda: encode(context), []))  # noqa: B023
                if n % 100 == 0:
                    body = decision.plain()
                    again.append(least(lambda: replay(body), []))  # noqa: B023
                    same &= replay(body) == decision
    every = [one for times in own.values() for one in times]
    p50, p99 = quantile(every, 0.5), quantile(every, 0.99)
    worst = {name: quantile(times, 0.99) for name, times in own.items()}
    for name, value in sorted(worst.items(), key=lambda item: -item[1]):
        print(f"{name:45} p50 {quantile(own[name], 0.5):.4f}  p99 {value:.4f} ms", file=sys.stderr)
    result = {
        "name": "decision",
        "value": round(p99, 4),
        "unit": "ms, 99th percentile of a decision",
        "reference": round(quantile(reference, 0.99), 4),
        "ratio": round(p99 / quantile(reference, 0.99), 3),
        "p50_ms": round(p50, 4),
        "p99_of_every_try_ms": round(quantile(tries, 0.99), 4),
        "p99_ms_of_the_slowest_type": round(max(worst.values()), 4),
        "stored_form_p99_ms": round(quantile(stored, 0.99), 4),
        "replay_p99_ms": round(quantile(again, 0.99), 4),
        "decisions": len(every),
        "checks": {
            "p99_under_1_ms": p99 < BOUND_MS,
            "every_type_under_1_ms": max(worst.values()) < BOUND_MS,
            "replays_the_same": same,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
