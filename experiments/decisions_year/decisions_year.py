"""A year of paper trading with 20 strategies, decided day by day, and judged by what came after.

    python experiments/decisions_year/decisions_year.py --home WORKSPACE \
        --dataset VENUE:SYM,SYM:4h --before 2023-06-01..2024-06-01 --year 2024-06-01..2025-06-01

Twenty strategies are drawn from random genomes: the ten best of the year before, and the first ten
others that trade. They trade the year on the event loop, on paper with slippage and latency. Then
every day all six types of decisions are taken on what was known at its end, and judged on the 30
days that follow. Emergencies are also asked for each strategy as if it were an account of its own,
since one of twenty seldom shows in the whole, and once more scaled to a greatest fall of 40 %. The
checks of safety are computed here once more, from the equity alone.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.decision.calibration import Calibration, Judged, disjoint, fit, table, wilson_share
from genesis.decision.engine import replay
from genesis.decision.history import BookHistory
from genesis.decision.judging import Past, decide_daily, judge
from genesis.decision.rules import KINDS, load_rules
from genesis.domain.errors import StrategyError
from genesis.domain.timeline import DAY_MS
from genesis.market import dataset as datasets
from genesis.market.store import BarStore
from genesis.strategy.genome import random_genome, repair
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy
from genesis.system.decision_facts import history_of
from genesis.system.workspace import Workspace
from genesis.trading.events import EventType
from genesis.trading.payloads import RiskAssessed, TradeClosed, TradeIntent
from genesis.trading.run_folders import FOLDER
from genesis.trading.store import EventReader

RULES = load_rules()
DRAWN, LEAST_TRADES, COUNT, CAPITAL = 200, 30, 20, 1_000.0
STRESS = 0.40
"""Greatest fall that equity is scaled to: as traded, hardly anything meets the conditions of an
emergency."""
EMERGENCY, APPROVAL, RETIREMENT = (
    "emergency_shutdown",
    "new_strategy_approval",
    "strategy_retirement",
)


def main() -> int:
    """Run it; 0 if no safety error was found and every decision replays."""
    options = _options()
    workspace = Workspace(options.home.absolute()).open()
    run = f"year-{options.name}"
    folder = workspace.home / FOLDER / run
    if not (folder / "result.json").is_file():
        chosen = choose(workspace, f"{options.dataset}:{options.before}", options.seed)
        trade(workspace, chosen, f"{options.dataset}:{options.year}", run, options.seed)
    sharpes = json.loads((workspace.home / "chosen.json").read_text())
    history = _with_sharpes(history_of(workspace, folder), sharpes)
    began = time.perf_counter()
    past = list(decide_daily(history, RULES, lasting=True))
    spent = time.perf_counter() - began
    alone = [_one(history, name) for name in history.strategies]
    alone += [_one(history, name, STRESS) for name in history.strategies]
    single = [(one, list(decide_daily(one, RULES, kinds=[EMERGENCY]))) for one in alone]
    every = list(decide_daily(history, RULES))  # what is judged: nothing leaves the book
    judged = judge(every, history, RULES)
    print(f"{len(past):,} decisions in {spent:.1f} s, contexts included")
    show_shares(past, judged)
    show_calibration(judged)
    show_calibrated_shares(past, history, fit(judged))
    show_risk_impact(folder)
    errors = safety_errors(past, history) + safety_errors(every, history)
    for one, decisions in single:
        errors += safety_errors(decisions, one)
    replayed = sum(replay(one.decision.plain()) == one.decision for one in every)
    stops = sum(p.decision.action == "shutdown" for _, many in single for p in many)
    print(f"\nreplayed the same   {replayed:,} of {len(every):,}")
    ended = {n for p in past for n in p.decision.value.get("retire", ())}
    let_in = {
        p.decision.strategy for p in past if p.decision.acts and p.decision.value.get("approve")
    }
    print(f"strategies retired in the year   {len(ended)}, approved {len(let_in)} of {COUNT}")
    days = sum(len(many) for _, many in single)
    print(f"shutdowns of single strategies, as traded and scaled   {stops:,} of {days:,} days")
    print(f"safety errors   {len(errors)}")
    for error in errors[:10]:
        print(f"  {error}")
    return 0 if not errors and replayed == len(every) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--name", default="paper")
    parser.add_argument("--dataset", required=True, help="venue:SYM,SYM:interval")
    parser.add_argument("--before", required=True, help="from..to of the year of the choice")
    parser.add_argument("--year", required=True, help="from..to of the year that is traded")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


# ---- the year --------------------------------------------------------------------------------


def choose(workspace: Workspace, dataset: str, seed: int) -> list[Strategy]:
    """Ten best of the year before among random genomes, and ten others."""
    spec = datasets.parse(dataset, funding="none")
    panel = datasets.load(BarStore(workspace.data), spec)
    registry, rng = SeedRegistry(), random.Random(seed)  # noqa: S311
    names = registry.names(ml=False)
    found: dict[str, tuple[float, Strategy]] = {}
    for place in range(DRAWN):
        genome = random_genome(registry.get(names[place % len(names)]), rng)
        strategy = registry.express(repair(genome, registry))
        try:
            result = backtest_strategy(panel, strategy, EvaluationSetup())
        except StrategyError:
            continue
        if len(result.trades) >= LEAST_TRADES:
            found[strategy.id] = (result.metrics["daily_sharpe"], strategy)
    best = sorted(found, key=lambda name: -found[name][0])[: COUNT // 2]
    others = [name for name in found if name not in best][: COUNT - len(best)]
    chosen = [*best, *others]
    sharpes = {name: found[name][0] for name in chosen}
    (workspace.home / "chosen.json").write_text(json.dumps(sharpes))
    return [found[name][1] for name in chosen]


def trade(
    workspace: Workspace, chosen: Sequence[Strategy], dataset: str, run: str, seed: int
) -> None:
    """Let them trade the year on paper."""
    files = []
    for strategy in chosen:
        path = workspace.home / f"{strategy.id}.json"
        path.write_text(json.dumps(dump_strategy(strategy)))
        files.append(str(path))
    command = [str(Path(sys.executable).with_name("genesis")), "--home", str(workspace.home)]
    command += ["paper", "run", *files, "--mode", "replay", "--dataset", dataset]
    command += ["--funding", "none", "--run", run, "--seed", str(seed), "--json"]
    command += ["--capital", str(CAPITAL)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _with_sharpes(history: BookHistory, sharpes: dict[str, float]) -> BookHistory:
    strategies = {
        name: replace(one, backtest_sharpe=sharpes[name])
        for name, one in history.strategies.items()
    }
    return BookHistory(history.source, history.ends_ms, history.closes, history.volumes, strategies)


def _one(history: BookHistory, name: str, fall: float | None = None) -> BookHistory:
    """A strategy as an account of its own, scaled to a greatest fall."""
    own = history.strategies[name]
    if fall is not None:
        marks = np.concatenate(([0.0], own.equity))
        deepest = float(np.max(np.maximum.accumulate(marks) - marks))
        own = replace(own, equity=own.equity * (fall / deepest))
    return BookHistory(
        f"{history.source}/{name}", history.ends_ms, history.closes, history.volumes, {name: own}
    )


# ---- tables ----------------------------------------------------------------------------------


def show_shares(past: Sequence[Past], judged: Sequence[Judged]) -> None:
    """Who had to look, and what the following days overturned, by type."""
    print("\n| type | decisions | automatic | flagged | seen afterwards | waits | automatic share "
          "| judged | overturned | 95 % | 95 %, disjoint days |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for kind in (*KINDS, ""):
        reviews = Counter(p.decision.review for p in past if kind in ("", p.decision.kind))
        rows = [one for one in judged if kind in ("", one.kind)]
        count = sum(reviews.values())
        own = reviews["none"] + reviews["flagged"] + reviews["after"]
        print(f"| {kind or 'all'} | {count} | {reviews['none']} | {reviews['flagged']} |"
              f" {reviews['after']} | {reviews['before']} | {own / count:.1%} |"
              f" {len(rows)} | {_overturned(rows)} |")  # fmt: skip


def _overturned(rows: Sequence[Judged]) -> str:
    if not rows:
        return "- | - | -"
    share = sum(one.overturned for one in rows) / len(rows)
    low, high = wilson_share(share, len(rows))
    apart = sum(disjoint([one for one in rows if one.kind == kind]) for kind in KINDS)
    wide = wilson_share(share, apart)
    return f"{share:.1%} | {low:.1%} to {high:.1%} | {wide[0]:.1%} to {wide[1]:.1%} (n = {apart})"


def middle_day(judged: Sequence[Judged]) -> int:
    """First day of the second half of what was judged."""
    days = sorted({one.day for one in judged})
    return days[len(days) // 2]


def show_calibration(judged: Sequence[Judged]) -> None:
    """Confidence against frequency; and fitted to the first half, on the second half."""
    print("\n| type | by the rules | decisions | not overturned | 95 % | 95 %, disjoint days "
          "| calibrated |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for one in table([row for row in judged if row.kind == kind]):
            print(f"| {kind} | {one.confidence:.2f} | {one.count} | {one.frequency:.3f} |"
                  f" {one.low:.3f} to {one.high:.3f} | {one.low_apart:.3f} to"
                  f" {one.high_apart:.3f} (n = {one.apart}) | {one.calibrated:.3f} |")  # fmt: skip
    middle = middle_day(judged)
    # The last decisions of the first half were judged on days of the second: they are left out.
    first = [one for one in judged if one.day < middle - 30]
    second = [one for one in judged if one.day >= middle]
    fitted = fit(first)
    print("\n| second half of the year | error of the rules' confidence | of the calibrated one |")
    print("|---|---|---|")
    for kind in sorted(fitted.types):
        rows = [one for one in second if one.kind == kind]
        before, after = _brier(rows, None), _brier(rows, fitted)
        print(f"| {kind} | {before:.3f} | {after:.3f} |")


def show_calibrated_shares(past: Sequence[Past], history: BookHistory, fitted: Calibration) -> None:
    """What a calibration to this very year would have carried out."""
    other = list(decide_daily(history, RULES, calibration=fitted, lasting=True))
    print("\n| type | carried out, by the rules | carried out, calibrated to the same year |")
    print("|---|---|---|")
    for kind in (*KINDS, ""):
        shares = [
            np.mean([p.decision.acts for p in found if kind in ("", p.decision.kind)])
            for found in (past, other)
        ]
        print(f"| {kind or 'all'} | {shares[0]:.1%} | {shares[1]:.1%} |")


def _brier(rows: Sequence[Judged], calibration: Calibration | None) -> float:
    """Mean squared difference of confidence and outcome (Brier 1950)."""
    total = 0.0
    for one in rows:
        sure = (
            one.confidence if calibration is None else calibration.apply(one.kind, one.confidence)
        )
        total += (sure - (not one.overturned)) ** 2
    return total / len(rows) if rows else float("nan")


def show_risk_impact(folder: Path) -> None:
    """What the risk manager would have made of the orders; on paper here it only observes.

    Trades are scaled by what it would have left of their entries: size is all that it changes.
    """
    share: dict[str, float] = {}
    plan_share: dict[str, float] = {}
    levels: Counter[str] = Counter()
    as_traded, as_sized, losses, losses_sized = 0.0, 0.0, 0.0, 0.0
    wanted = (EventType.RISK_ASSESSED, EventType.TRADE_INTENT, EventType.TRADE_CLOSED)
    with EventReader(folder) as reader:
        for event in reader.events(types=wanted):
            data = event.data
            if isinstance(data, RiskAssessed) and data.approved and data.asked:
                share[data.risk_id] = float(abs(data.would) / abs(data.asked))
                levels[data.level] += 1
            elif isinstance(data, TradeIntent) and data.scope == "NEW":
                known = [share[name] for name in data.causality.risk_ids if name in share]
                if known:
                    plan_share[data.causality.plan_id] = known[-1]
            elif isinstance(data, TradeClosed) and data.plan_id in plan_share:
                net = float(data.pnl - data.fees - data.funding)
                as_traded += net
                as_sized += net * plan_share[data.plan_id]
                losses += min(net, 0.0)
                losses_sized += min(net, 0.0) * plan_share[data.plan_id]
    if not share:
        print("\nrisk impact   not there: no order of this run was assessed by a risk manager")
        return
    sizes = list(share.values())
    refused, whole = sum(one == 0.0 for one in sizes), sum(one >= 1.0 for one in sizes)
    print("\n| risk impact | value |\n|---|---|")
    print(f"| entries assessed | {len(sizes)} |")
    print(f"| would have been refused | {refused} ({refused / len(sizes):.1%}) |")
    print(f"| would have been smaller | {len(sizes) - refused - whole} |")
    print(f"| mean share of the size left | {np.mean(sizes):.1%} |")
    print(f"| levels | {', '.join(f'{n} {levels[n]}' for n in sorted(levels))} |")
    print(f"| net result of trades as traded, as sized | {as_traded:.0f}, {as_sized:.0f} |")
    print(f"| sum of losing trades as traded, as sized | {losses:.0f}, {losses_sized:.0f} |")


# ---- safety ----------------------------------------------------------------------------------


def safety_errors(past: Sequence[Past], history: BookHistory) -> list[str]:
    """What must never happen, looked for in the equity itself."""
    whole = sum(one.capital for one in history.strategies.values())
    account = sum(one.equity * one.capital / whole for one in history.strategies.values())
    account = np.concatenate(([0.0], account))
    ends = np.concatenate(([history.ends_ms[0] - 1], history.ends_ms))
    errors = _spared(past, history)
    for one in past:
        decision, instant = one.decision, (one.day + 1) * DAY_MS
        if decision.error:
            errors.append(f"{one.day} {decision.kind}: {decision.error}")
        elif decision.kind == EMERGENCY:
            now = account[ends <= instant]
            day = now[-1] - now[max(int(np.sum(ends <= instant - DAY_MS)) - 1, 0)]
            week = now[-1] - now[max(int(np.sum(ends <= instant - 7 * DAY_MS)) - 1, 0)]
            fall = float(np.max(now) - now[-1])
            met = day <= -0.05 or week <= -0.15 or fall >= 0.20
            if met and not (decision.action == "shutdown" and decision.acts):
                errors.append(f"{one.day} {history.source}: no shutdown at {day} {week} {fall}")
        elif decision.kind == APPROVAL and decision.action == "approve" and decision.acts:
            facts = one.context.strategies[decision.strategy]
            fails = (
                facts.backtest_sharpe is None or facts.backtest_sharpe < 1.0,
                facts.paper_days is None or facts.paper_days < 3,
                facts.paper_sharpe is None or facts.paper_sharpe < 0.8,
                facts.paper_drawdown is None or facts.paper_drawdown > 0.12,
            )
            if any(fails):
                errors.append(f"{one.day} {decision.strategy} approved although {fails}")
        elif decision.missing and decision.acts and decision.action in ("loosen", "normal"):
            errors.append(f"{one.day} {decision.kind} adds risk on unknown facts")
    return errors


class _Strategy:
    """Equity of a strategy at the ends of days, and its fall from the highest bar so far."""

    def __init__(self, history: BookHistory, name: str) -> None:
        equity, ends = history.strategies[name].equity, history.ends_ms
        self.first = history.first_day
        days = range(self.first, history.last_day + 1)
        self.gain, self.fall = [0.0], [0.0]
        for day in days:
            seen = equity[ends <= (day + 1) * DAY_MS]
            self.gain.append(float(seen[-1]))
            self.fall.append(float(max(seen.max(), 0.0) - seen[-1]))

    def must_end(self, day: int) -> bool:
        """Three days deep in drawdown, or seven days with a loss over 30."""
        place = day - self.first + 1
        old = place - 6 >= RULES.file.data.min_days
        recent = range(place - 6, place + 1)
        losing = old and all(self.gain[n] < self.gain[max(n - 30, 0)] for n in recent)
        return losing or (place >= 3 and all(self.fall[n] > 0.15 for n in recent[-3:]))


def _spared(past: Sequence[Past], history: BookHistory) -> list[str]:
    """Strategies that had to end and were kept without anybody being asked."""
    errors = []
    own = {name: _Strategy(history, name) for name in history.strategies}
    for one in past:
        if one.decision.kind != RETIREMENT:
            continue
        told = (*one.decision.value["retire"], *one.decision.holds)
        errors += [
            f"{one.day} {name} was kept"
            for name, strategy in own.items()
            if name in one.context.strategies and strategy.must_end(one.day) and name not in told
        ]
    return errors


if __name__ == "__main__":
    sys.exit(main())
