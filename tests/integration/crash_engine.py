"""A paper engine as a process of its own that dies at a crash point; run by the kill tests.

Arguments: folder, seed, bars, crash point or ``-``, passes before the crash. At the end it tells
what its exchange has and the ledger lacks, or the other way round.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from benchmarks.crash.market import INSTRUMENTS, Scenario, feed_of, strategies
from benchmarks.crash.trader import Executioner
from genesis.paper import engine as engine_module
from genesis.paper.engine import PaperTradingEngine
from genesis.paper.settings import PaperMode, PaperSettings
from genesis.strategy.text import dump_strategy
from genesis.trading.session import TradingSession
from genesis.trading.store import EventReader


def main() -> None:
    folder, seed, bars = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    probe = Executioner(sys.argv[4], int(sys.argv[5]))
    engine_module.TradingSession = partial(TradingSession, probe=probe)  # type: ignore[misc]
    plain = tuple(dump_strategy(strategy) for strategy, _ in strategies())
    settings = PaperSettings(PaperMode.BACKTEST_VALIDATION, plain, {})
    feed = feed_of(Scenario(seed, bars))
    engine = PaperTradingEngine(folder, settings, feed, INSTRUMENTS, build="crash")
    outcome = engine.run()
    ledger, complaints = engine.core.desk.ledger, []
    fills: Counter[object] = Counter()
    paid: Counter[object] = Counter()
    for account in ledger.accounts:
        state = engine.exchange.account_state(account, 0)
        fills.update((account, fill.fill_id) for fill in state.fills)
        paid.update((account, one.symbol, one.ts_ms) for one in state.funding)
        here = {held.symbol: str(held.size) for held in ledger.positions(account)}
        there = {position.symbol: str(position.size) for position in state.positions}
        if here != there:
            complaints.append(f"positions of {account}: {here} here, {there} there")
    with EventReader(folder) as reader:
        booked = Counter((r["account"], r["venue_fill_id"]) for r in reader.rows("fills"))
        rows = reader.rows("postings", "kind = 'funding'")
        posted = Counter((r["account"], r["symbol"], r["ts_ms"]) for r in rows)
    complaints += [] if booked == fills else [f"fills: {fills - booked}, {booked - fills}"]
    complaints += [] if posted == paid else [f"funding: {paid - posted}, {posted - paid}"]
    told = {"fills": len(fills), "payments": len(paid), "complaints": complaints}
    print(json.dumps(told | {"finished": outcome.finished, "recovered": outcome.recovered}))


if __name__ == "__main__":
    main()
