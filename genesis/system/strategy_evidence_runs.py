"""Paper and live runs of a strategy, each from its log, whose whole chain is verified first."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from genesis.domain.errors import GenesisError, RefusedError, StorageError
from genesis.system.strategy_evidence_fills import fill_plain, name_fills
from genesis.system.strategy_evidence_log import TYPES, PositionFacts, TradedLog, fold_log
from genesis.system.strategy_evidence_parts import Problem, Section, Source
from genesis.trading.ledger_tables import money
from genesis.trading.run_folders import FOLDER, list_runs
from genesis.trading.store import EventReader, verify
from genesis.trading.store.chain import HASH
from genesis.trading.store.selection import Selection

FEW = 5
"""Fills of a paper run that are told one by one, the latest."""


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """A run that traded a strategy.

    Attributes
    ----------
    name : str
    log : TradedLog or None
        None where it may not be believed.
    source : Source
    problems : tuple of Problem
    live : bool
        Its orders are those of a deployment beyond paper.
    """

    name: str
    log: TradedLog | None
    source: Source
    problems: tuple[Problem, ...]
    live: bool


def runs_of(home: Path, strategy: str) -> list[EvidenceRun]:
    """Runs that traded a strategy, in order of their first event.

    A log that was changed is told as a problem, and so is one that cannot be read at all if the
    settings beside it name the strategy.
    """
    from genesis.paper.logged import started_of
    from genesis.system.promotion_runs import LIVE_MODE

    found: list[tuple[int, EvidenceRun]] = []
    for folder in list_runs(home):
        try:
            started, added = started_of(folder)
        except (RefusedError, StorageError) as error:
            if strategy in _settings_text(folder):
                found.append((0, _unreadable(folder, error)))
            continue
        if started is None or not any(one.strategy_id == strategy for one in added):
            continue
        run = _read(folder, strategy, live=started.mode == LIVE_MODE)
        found.append((run.log.first_ms if run.log is not None else 0, run))
    return [run for _, run in sorted(found, key=lambda pair: (pair[0], pair[1].name))]


def _settings_text(folder: Path) -> str:
    """Settings beside a log, only to see whether a log that cannot be read is about a strategy."""
    try:
        return (folder / "run.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _unreadable(folder: Path, error: GenesisError) -> EvidenceRun:
    problem = Problem.of("paper", error)
    return EvidenceRun(folder.name, None, _source(folder, ""), (problem,), live=False)


def _source(folder: Path, digest: str, events: tuple[int, ...] = ()) -> Source:
    return Source(
        f"log of {folder.name}, every event chained",
        f"{FOLDER}/{folder.name}/events.db",
        digest,
        events,
        f"genesis events verify {folder.name}",
    )


def _read(folder: Path, strategy: str, *, live: bool) -> EvidenceRun:
    part = "live" if live else "paper"
    damage = verify(folder).damage
    if damage is not None:
        problem = Problem(
            part,
            f"the log of {folder.name} is not what was written",
            f"event {damage.seq}: {damage.text}",
            f"restore its folder from a copy; genesis events verify {folder.name} tells more",
        )
        return EvidenceRun(folder.name, None, _source(folder, ""), (problem,), live)
    with EventReader(folder) as reader:
        head = reader.head
        log = fold_log(reader.events(1, head.seq, types=TYPES), strategy)
        rows = [
            row
            for account in sorted(log.accounts)
            for row in reader.rows("fills", "account = ? AND seq <= ?", (account, head.seq))
        ]
    wrong = name_fills(log, rows)
    problems: tuple[Problem, ...] = ()
    if wrong:
        why = "the table can be edited without a trace in the chain; the events were not"
        fix = "restore its folder from a copy"
        problems = (Problem(part, f"{folder.name}: {wrong}", why, fix),)
    source = _source(folder, head.hash.hex(), (1, head.seq))
    return EvidenceRun(folder.name, log, source, problems, live)


def hash_at(home: Path, run: str, seq: int) -> str | None:
    """Hash of an event of a run's log, None where there is no such log or event."""
    folder = home / FOLDER / run
    if folder not in list_runs(home):
        return None
    with EventReader(folder) as reader:
        if not 1 <= seq <= reader.head.seq:
            return None
        if seq <= reader.archived_seq:
            rows = reader.segments.rows(reader.segments.holding(seq), Selection())
            return next(row[HASH].hex() for row in rows if row[0] == seq)
        page = reader.page(seq, seq, Selection(), newest_first=False)
        return page.rows[0][HASH].hex() if page.rows else None


# ---- sections ----------------------------------------------------------------------------------


def live_section(runs: Sequence[EvidenceRun], strategy: str, genome: str) -> Section:
    """Orders, fills, costs, stops and risk impact of the live runs."""
    return _section(
        "live",
        "Live orders and fills",
        [run for run in runs if run.live],
        lambda log: _live_facts(log, strategy, genome),
        "no order of it reached an exchange: genesis live run trades what is promoted to canary",
    )


def paper_section(
    runs: Sequence[EvidenceRun], strategy: str, fidelity: Mapping[str, Any]
) -> Section:
    """Paper runs, what they traded, and how they agree with the backtest (G4).

    Parameters
    ----------
    runs : sequence of EvidenceRun
    strategy : str
    fidelity : mapping
        ``gates`` as `gate_rows` gives them and where they come from, ``feedback`` of each run.
    """
    section = _section(
        "paper",
        "Paper runs and fidelity, G4",
        [run for run in runs if not run.live],
        lambda log: _summary(log) | {"last_fills": _fills(log)[-FEW:]},
        f"it was not traded on paper yet: genesis paper run {strategy}",
    )
    return Section(
        section.name,
        section.title,
        {**section.facts, **fidelity} if section.facts or fidelity.get("gates") else {},
        section.sources,
        section.missing,
        section.problems,
    )


def _section(
    name: str,
    title: str,
    runs: Sequence[EvidenceRun],
    facts_of: Callable[[TradedLog], Mapping[str, Any]],
    missing: str,
) -> Section:
    told = [{"run": run.name, **facts_of(run.log)} for run in runs if run.log is not None]
    return Section(
        name,
        title,
        {"runs": told} if told else {},
        tuple(run.source for run in runs if run.log is not None),
        missing if not runs else "",
        tuple(problem for run in runs for problem in run.problems),
    )


def _summary(log: TradedLog) -> dict[str, Any]:
    assert log.started is not None
    market = log.started.settings.get("market", {})
    trades = log.trades
    gross = sum((one.pnl for one in trades), Decimal(0))
    fees = sum((one.fill.fee for one in log.fills), Decimal(0))
    return {
        "mode": log.started.mode,
        "build": log.started.build,
        "market": dict(market) if isinstance(market, Mapping) else {},
        "symbols": [one.symbol for one in log.added],
        "accounts": sorted(log.accounts),
        "capital": float(sum(one.capital for one in log.added)),
        "first_ms": log.first_ms,
        "last_ms": log.last_ms,
        "finished": log.finished,
        "signals": len(log.signals),
        "orders": len(log.orders),
        "order_states": dict(Counter(one.state for one in log.orders.values())),
        "fills": len(log.fills),
        "trades": len(trades),
        "pnl": money(gross),
        "fees": money(fees),
        "funding": money(log.funding),
        "net": money(gross - fees - log.funding),
        "slippage_bp": _mean(_fills(log), "slippage_bp"),
        "intent_slippage_bp": _mean(_fills(log), "intent_slippage_bp"),
        "risk": _risk(log),
    }


def _live_facts(log: TradedLog, strategy: str, genome: str) -> dict[str, Any]:
    fills = _fills(log)
    return _summary(log) | {
        "stops": _stops(log),
        "passed_up": [
            {"stage": stage, "reason": reason, "count": count}
            for (stage, reason), count in log.passed_up.most_common()
        ],
        "order_list": [one.to_plain() for one in log.orders.values()],
        "fill_list": fills,
        "last_fill": fills[-1] | {"strategy": strategy, "genome": genome} if fills else None,
    }


def _fills(log: TradedLog) -> list[dict[str, Any]]:
    return [fill_plain(one, log) for one in log.fills]


def _mean(fills: Iterable[Mapping[str, Any]], name: str) -> float | None:
    values = [one[name] for one in fills if one[name] is not None]
    return statistics.fmean(values) if values else None


def _stops(log: TradedLog) -> dict[str, Any]:
    """How soon each position had a stop at the exchange.

    ``late`` are positions whose stop came later than the run allows and that were not closed by
    then either.
    """
    within = max((int(one.options.get("stop_within_ms", 0)) for one in log.added), default=0)
    delays = [one.stop_ms - one.opened_ms for one in log.positions.values() if one.stop_ms]
    late = [one for one in log.positions.values() if within and _late(one, within, log.last_ms)]
    return {
        "within_ms": within,
        "positions": len(log.positions),
        "with_stop": len(delays),
        "longest_ms": max(delays, default=None),
        "late": [{"plan_id": one.plan, "seq": one.seq} for one in late],
    }


def _late(one: PositionFacts, within: int, last_ms: int) -> bool:
    ends = [at for at in (one.stop_ms, one.closed_ms) if at is not None]
    return min(ends, default=last_ms) - one.opened_ms > within


def _risk(log: TradedLog) -> dict[str, Any]:
    """What the risk manager changed: orders refused by rule, and orders made smaller."""
    approved = [one for _, one in log.risks if one.approved]
    cut = [one for one in approved if one.asked and abs(one.size) < abs(one.asked)]
    shares = [float(1 - one.size / one.asked) for one in cut]
    refused = Counter(one.rule for _, one in log.risks if not one.approved)
    observed = [one for one in approved if one.asked and abs(one.would) < abs(one.size)]
    return {
        "assessed": len(log.risks),
        "refused": dict(refused.most_common()),
        "refused_total": sum(refused.values()),
        "made_smaller": len(cut),
        "mean_cut": statistics.fmean(shares) if shares else None,
        "would_cut": len(observed),
    }
