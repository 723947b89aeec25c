"""Alerts of a strategy's live runs, breakers, halts and kills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from genesis.decision.rows import EVERYTHING
from genesis.monitoring.alerts.outbox import FOLDER as ALERTS
from genesis.system.strategy_evidence_operations import Operations
from genesis.system.strategy_evidence_parts import Problem, Section, Source
from genesis.system.strategy_evidence_runs import EvidenceRun
from genesis.trading.kill_latch import KillLatch
from genesis.trading.payloads import (
    AlertAcknowledged,
    AlertAnswered,
    AlertEntered,
    KillLatched,
    Rearmed,
)
from genesis.trading.store import EventReader, verify
from genesis.trading.store.schema import FILE

SHOWN_ALERTS: Final = 50


def alerts_section(
    home: Path, found: Operations, strategy: str, runs: Sequence[EvidenceRun]
) -> Section:
    """Alerts of its live runs and what became of them, breakers, halts, kills."""
    title = "Alerts and kills"
    accounts = {one.account for one in found.deployments(strategy)}
    live = [run for run in runs if run.live and run.log is not None]
    outbox, source, problem = _outbox(home)
    alerts = [one for run in live for one in _alerts(run, strategy, outbox)]
    facts: dict[str, Any] = {
        "alerts": alerts[-SHOWN_ALERTS:],
        "alerts_total": len(alerts),
        "by_title": dict(
            Counter(f"{one['level']}: {one['title']}" for one in alerts).most_common()
        ),
        "breakers": dict(
            Counter(b.breaker for r in live if r.log for _, _, b in r.log.breakers).most_common()
        ),
        "halts": [
            {"run": run.name, "seq": seq, "ts_ms": ts, "scope": halt.scope, "reason": halt.reason}
            for run in live
            if run.log
            for seq, ts, halt in run.log.halts
        ],
        "kills": _kills(found, accounts),
        "latch": KillLatch(home).closed(),
    }
    problems = [one for one in (problem, found.problem) if one is not None]
    anything = any(facts[name] for name in ("alerts", "breakers", "halts", "kills", "latch"))
    sources = [run.source for run in live]
    sources += [one for one in (source, found.source if found.events else None) if one is not None]
    return Section(
        "alerts",
        title,
        facts if anything else {},
        tuple(dict.fromkeys(sources)) if anything else (),
        "" if anything or problems else "nothing was raised about its live orders, nothing killed",
        tuple(problems),
    )


def _alerts(
    run: EvidenceRun, strategy: str, outbox: Mapping[tuple[str, int], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    assert run.log is not None
    rows = []
    for seq, ts_ms, alert in run.log.alerts:
        words = f"{alert.title} {alert.text}"
        mine = any(name in words for name in (strategy, *run.log.accounts))
        if not mine and any(other in words for other in run.log.others):
            continue  # it is about another strategy of the same run
        rows.append(
            {
                "run": run.name,
                "seq": seq,
                "ts_ms": ts_ms,
                "level": alert.level,
                "title": alert.title,
                "text": alert.text,
                **outbox.get((run.name, seq), {"alert_id": "", "told": "", "acknowledged_by": ""}),
            }
        )
    return rows


def _outbox(
    home: Path,
) -> tuple[dict[tuple[str, int], dict[str, Any]], Source | None, Problem | None]:
    """What became of alerts by run and event: delivered, and who knows of it."""
    folder = home / ALERTS
    if not (folder / FILE).is_file():
        return {}, None, None
    damage = verify(folder).damage
    if damage is not None:
        what, why = (
            "the outbox of alerts is not what was written",
            f"event {damage.seq}: {damage.text}",
        )
        return {}, None, Problem("alerts", what, why, f"restore the folder {ALERTS} from a copy")
    found: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, int], dict[str, Any]] = {}
    with EventReader(folder) as reader:
        head = reader.head
        for event in reader.events(1, head.seq):
            data = event.data
            if isinstance(data, AlertEntered):
                told = "waiting" if data.told else "kept back"
                row = {"alert_id": data.alert_id, "told": told, "acknowledged_by": ""}
                found[data.alert_id] = places[data.source, data.source_seq] = row
            elif isinstance(data, AlertAnswered) and data.state == "delivered":
                found[data.alert_id]["told"] = "delivered"
            elif isinstance(data, AlertAcknowledged):
                found[data.alert_id]["acknowledged_by"] = data.who
    source = Source(
        "outbox of alerts, every row chained",
        f"{ALERTS}/{FILE}",
        head.hash.hex(),
        (1, head.seq),
        "genesis alerts list",
    )
    return places, source, None


def _kills(found: Operations, accounts: set[str]) -> list[dict[str, Any]]:
    """Kills and their end that touched one of its accounts."""
    rows = []
    for event in found.events:
        data = event.data
        if not isinstance(data, KillLatched | Rearmed) or data.scope not in {*accounts, EVERYTHING}:
            continue
        rows.append(
            {
                "seq": event.seq,
                "ts_ms": event.ts_ms,
                "what": "killed" if isinstance(data, KillLatched) else "rearmed",
                "scope": data.scope,
                "source": data.source if isinstance(data, KillLatched) else "",
                "who": data.who,
                "reason": data.reason,
            }
        )
    return rows
