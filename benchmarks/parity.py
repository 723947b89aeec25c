"""A paper run is its backtest, fill for fill: evolved strategies on real hours, and four mutants.

    python benchmarks/parity.py [--strategies 50] [--home FOLDER]

Breeds strategies on five perpetuals (real hourly candles where they lie beside the repository,
else a synthetic market), takes 50 of what the search evaluated so that every situation in which
paper and backtest could part occurs at least a hundred times, and runs them for a year of hours
through `PaperTradingEngine` in the mode `backtest-validation`. Every fill must be equal in bar,
side, size and price to 1e-9 and the profit at every bar to 1e-6. Four mutants of the exchange
(stop filled at the close, fee on one side, stop off by a bar, funding after the open) must differ.

These markets trade round the clock: an open is the close before it to a few basis points, and no
stop of any candidate is jumped over in the whole year. Gaps come from a second run of a dozen
strategies on the same candles with holes cut into them, as an outage leaves them.
With --home the study is kept and used again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.canonical import content_hash
from genesis.domain.errors import StrategyError
from genesis.evolution.run import Run
from genesis.exchange.paper.desk import Desk
from genesis.exchange.paper.gateway import PaperGateway
from genesis.market import dataset as datasets
from genesis.market.panel import Panel
from genesis.market.store import BarStore
from genesis.paper.books import Grid, paper_symbols
from genesis.paper.engine import PaperTradingEngine, trading_build
from genesis.paper.parity import ParityReport, compare_fills
from genesis.paper.settings import PaperMode, PaperSettings
from genesis.paper.situations import GAP_THROUGH_STOP, SITUATIONS, count_situations
from genesis.risk.limits import HardLimits
from genesis.strategy.genome import from_plain
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy
from genesis.trading.events import Event
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.gateway import OrderKind, OrderRequest
from genesis.trading.payloads import BarOpened, FundingDue
from genesis.trading.store import EventReader

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SYMBOLS = ("MATICUSDT", "DOGEUSDT", "NEARUSDT", "THETAUSDT", "XRPUSDT")
SEARCHED = "2020-11-01..2022-12-31"
TRADED = "2021-01-01..2021-12-31"
LEAST = 100
CANDIDATES = 900
HOLED = 12
"""Strategies of the run on candles with holes."""


def tell(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def genesis(home: Path, *words: str) -> None:
    """Run a command of the product."""
    command = [sys.executable, "-m", "genesis", "--home", str(home), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def funding_rule() -> str:
    """What stands in for the funding of symbols that have no series of their own."""
    return "proxy:XRPUSDT" if DATA.is_dir() else "constant:0.0001"


def breed(home: Path) -> tuple[Run, str]:
    """A study's run and the dataset to trade."""
    real = DATA.is_dir()
    venue = "binance_perp" if real else "synth"
    symbols = SYMBOLS if real else tuple(f"SYN{n}" for n in range(1, 6))
    traded = f"{venue}:{','.join(symbols)}:1h" + (f":{TRADED}" if real else "")
    if not (home / "runs" / "parity").is_dir():
        tell("importing candles and breeding strategies")
        if real:
            genesis(home, "data", "import", str(DATA))
        else:
            genesis(home, "data", "synth", "--assets", "5", "--bars", "8760", "--interval", "1h")
        config: dict[str, Any] = {
            "schema": 1,
            "name": "parity",
            "dataset": {"venue": venue, "symbols": list(symbols), "interval": "1h"},
            "evolution": {
                "population_size": 240,
                "generations": 6,
                "islands": 2,
                "seed": 20260,
                "ml_island": {"enabled": False},
            },
            "executor": {"kind": "processes", "workers": 2},
            "tracking": {"enabled": False},
        }
        if real:
            config["dataset"]["from"], config["dataset"]["to"] = SEARCHED.split("..")
        config["dataset"]["funding"] = funding_rule()
        path = home / "parity.yaml"
        path.write_text(yaml.safe_dump(config))
        genesis(home, "evolve", str(path), "--run", "parity", "--json")
    return Run(home / "runs" / "parity"), traded


def evolved(run: Run) -> list[Strategy]:
    """Distinct strategies that the search evaluated, in the order of the ledger, spread evenly."""
    registry = SeedRegistry()
    found: dict[str, Strategy] = {}
    for line in (run.folder / "trials.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["role"] != "search" or not row.get("valid", True):
            continue
        strategy = registry.express(from_plain(row["plain"]))
        found.setdefault(strategy.id, strategy)
    every = list(found.values())
    step = max(len(every) // CANDIDATES, 1)
    return every[::step]


def choose(
    panel: Panel, candidates: list[Strategy], count: int, setup: EvaluationSetup
) -> list[tuple[Strategy, PortfolioBacktest]]:
    """Strategies whose backtests together hold every situation often enough, greedily."""
    tested: list[tuple[Strategy, PortfolioBacktest, np.ndarray]] = []
    for at, strategy in enumerate(candidates):
        try:
            backtest = backtest_strategy(panel, strategy, setup)
        except StrategyError:
            continue
        numbers = count_situations(backtest, panel)
        tested.append((strategy, backtest, np.array([numbers[name] for name in SITUATIONS])))
        if at % 50 == 49:
            tell(f"  backtested {at + 1} of {len(candidates)}")
    chosen: list[tuple[Strategy, PortfolioBacktest]] = []
    missing = np.full(len(SITUATIONS), float(LEAST))
    while tested and len(chosen) < count:
        gains = [float(np.sum(np.minimum(n, missing) / LEAST)) for *_, n in tested]
        best = int(np.argmax(gains)) if max(gains) > 0.0 else len(tested) // 2
        strategy, backtest, numbers = tested.pop(best)
        missing = np.maximum(missing - numbers, 0.0)
        chosen.append((strategy, backtest))
    return chosen


def trade(
    folder: Path,
    panel: Panel,
    chosen: list[tuple[Strategy, PortfolioBacktest]],
    setup: EvaluationSetup,
) -> tuple[ParityReport, int, float]:
    """Run them through the engine; report, number of events, seconds."""
    settings = PaperSettings(
        mode=PaperMode.BACKTEST_VALIDATION,
        strategies=tuple(dump_strategy(strategy) for strategy, _ in chosen),
        market={"dataset": panel.name},
        costs=dict(setup.costs.plain()),
        limits=HardLimits().plain(),
        capital=setup.capital,
        leverage=setup.leverage,
    )
    feed = PanelFeed(panel)
    engine = PaperTradingEngine(
        folder, settings, feed, feed.instruments, build=trading_build(), synchronous="NORMAL"
    )
    began = time.perf_counter()

    def told(phases: int) -> None:
        if phases % 5_000 == 0:
            tell(f"  {phases:,} of {feed.total:,} steps, {time.perf_counter() - began:.0f} s")

    outcome = engine.run(told=told)
    seconds = time.perf_counter() - began
    known = {s.symbol: _known(s.close, s.valid) for s in panel.symbols}
    grid = Grid(panel.ts_ms, panel.interval_ms, known)
    report = ParityReport()
    with EventReader(folder) as reader:
        for strategy, backtest in chosen:
            paper = paper_symbols(reader, strategy.id, feed.symbols, grid)
            report += compare_fills(paper, backtest, panel=panel)
    return report, outcome.events, seconds


def _known(close: np.ndarray, valid: np.ndarray) -> np.ndarray:
    place = np.maximum.accumulate(np.where(valid, np.arange(close.size), -1))
    return np.where(place >= 0, close[np.maximum(place, 0)], np.nan)


def holed(panel: Panel) -> Panel:
    """The panel with about one bar in nine missing, in runs of up to six."""
    rng = np.random.default_rng(20260)
    members = []
    for series in panel.symbols:
        keep = series.valid.copy()
        for start in np.flatnonzero(rng.random(panel.bars) < 0.03):
            keep[start : start + 1 + rng.integers(6)] = False
        places = np.flatnonzero(keep)
        cut = {
            name: np.where(keep, getattr(series, name), np.nan)
            for name in ("open", "high", "low", "close", "volume")
        }
        first, last = int(places[0]), int(places[-1])
        members.append(replace(series, valid=keep, first=first, last=last, **cut))
    return replace(
        panel,
        name=f"{panel.name} with holes",
        symbols=tuple(members),
        dataset_hash=content_hash([panel.dataset_hash, "holes"]),
    )


@contextmanager
def patched(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Replace an attribute while a mutant lives."""
    before = getattr(owner, name)
    setattr(owner, name, wrap(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def stop_at_close(panel: Panel) -> Any:
    """Stops that are reached inside a bar fill at its close."""
    at = {int(ts): bar for bar, ts in enumerate(panel.ts_ms.tolist())}
    closes = {s.symbol: s.close for s in panel.symbols}

    def wrap(take: Any) -> Any:
        def mutant(self: Any, book: Any, order: Any, market: Any, price: float, **how: Any) -> None:
            if order.kind is OrderKind.STOP and self.before_ms:
                price = float(closes[book.symbol][at[market.open_ms]])
            take(self, book, order, market, price, **how)

        return mutant

    return patched(Desk, "take", wrap)


def fee_on_one_side(_: Panel) -> Any:
    """Orders that leave a position are free."""

    def wrap(fill: Any) -> Any:
        def mutant(self: Any, book: Any, order: Any, *values: Any, **how: Any) -> None:
            costs = self.costs
            if order.request.reduce_only:
                self.costs = replace(costs, taker=0.0, maker=0.0)
            try:
                fill(self, book, order, *values, **how)
            finally:
                self.costs = costs

        return mutant

    return patched(Desk, "_fill", wrap)


def stop_off_by_a_bar(_: Panel) -> Any:
    """Stops begin to rest one bar after their position."""
    waiting: list[OrderRequest] = []

    def wrap_submit(submit: Any) -> Any:
        def mutant(self: Any, order: OrderRequest) -> None:
            if order.kind is OrderKind.STOP:
                waiting.append(replace_expiry(order))
            else:
                submit(self, order)

        return mutant

    def wrap_market(on_market: Any) -> Any:
        def mutant(self: Any, event: Event) -> None:
            on_market(self, event)
            if isinstance(event.data, BarOpened):
                due = [order for order in waiting if order.symbol == event.data.symbol]
                for order in due:
                    waiting.remove(order)
                    submit(self, order)

        return mutant

    submit = PaperGateway.submit

    @contextmanager
    def both() -> Iterator[None]:
        with (
            patched(PaperGateway, "submit", wrap_submit),
            patched(PaperGateway, "on_market", wrap_market),
        ):
            yield

    return both()


def replace_expiry(order: OrderRequest) -> OrderRequest:
    """The same order without an expiry: a mutant holds it back for a bar."""
    import msgspec

    return msgspec.structs.replace(order, expires_ms=0)


def funding_after_open(_: Panel) -> Any:
    """Funding is charged on the position after the open's fills."""
    waiting: list[Event] = []

    def wrap(on_market: Any) -> Any:
        def mutant(self: Any, event: Event) -> None:
            if isinstance(event.data, FundingDue):
                waiting.append(event)
                return
            on_market(self, event)
            if isinstance(event.data, BarOpened):
                for held in [e for e in waiting if e.data.symbol == event.data.symbol]:
                    waiting.remove(held)
                    on_market(self, held)

        return mutant

    return patched(PaperGateway, "on_market", wrap)


MUTANTS = {
    "stop at close": stop_at_close,
    "fee on one side": fee_on_one_side,
    "stop off by a bar": stop_off_by_a_bar,
    "funding after the open": funding_after_open,
}


def main() -> int:
    """Measure, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strategies", type=int, default=50)
    parser.add_argument("--home", type=Path, help="Workspace to keep.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or Path(scratch) / "home"
        home.mkdir(parents=True, exist_ok=True)
        run, traded = breed(home)
        spec = datasets.parse(traded, funding=funding_rule())
        panel = datasets.load(BarStore(home / "data"), spec)
        setup = EvaluationSetup()
        candidates = evolved(run)
        tell(f"choosing {options.strategies} of {len(candidates)} evolved strategies")
        chosen = choose(panel, candidates, options.strategies, setup)
        tell(f"trading {len(chosen)} strategies on {panel.name}, {panel.bars:,} bars")
        report, events, seconds = trade(Path(scratch) / "parity", panel, chosen, setup)
        tell(f"equal: {report.equal}; {json.dumps(report.to_plain()['situations'])}")
        gaps = holed(panel)
        gapped = choose(gaps, [strategy for strategy, _ in chosen], HOLED, setup)
        second, _, _ = trade(Path(scratch) / "holes", gaps, gapped, setup)
        tell(f"with holes: equal {second.equal}; gaps {second.situations[GAP_THROUGH_STOP]}")
        report += second
        for one in report.to_plain()["first"][:10]:
            tell(f"  {json.dumps(one)}")
        caught = {}
        few = chosen[: min(4, len(chosen))]
        for name, mutant in MUTANTS.items():
            with mutant(panel):
                found, _, _ = trade(Path(scratch) / name.replace(" ", "-"), panel, few, setup)
            caught[f"mutant fails: {name}"] = not found.equal
            tell(f"mutant {name}: equal {found.equal}")
    checks = {
        "every fill and every mark equal": report.equal,
        f"{options.strategies} strategies": len(chosen) == options.strategies,
        **{f"{name} >= {LEAST}": report.situations[name] >= LEAST for name in SITUATIONS},
        **caught,
    }
    evaluations = len(chosen) * len(panel.symbols) * panel.bars
    result = {
        "name": "parity",
        "value": report.equal_fills,
        "unit": "fills equal to the backtest's",
        "reference": report.fills,
        "ratio": report.equal_fills / report.fills if report.fills else 0.0,
        "figures": {
            "fills": report.fills,
            "marks": report.marks,
            "price_error": report.price_error,
            "pnl_error": report.pnl_error,
            "situations": dict(report.situations),
            "events": events,
            "seconds": round(seconds, 1),
            "decisions_per_s": round(evaluations / seconds),
            "real_candles": DATA.is_dir(),
        },
        "checks": checks,
    }
    print(json.dumps(result))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
