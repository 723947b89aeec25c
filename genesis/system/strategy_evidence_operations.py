"""What the log of operations and the outbox of alerts say of a strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from genesis.decision.deployments import Deployment, DeploymentBook, read_book
from genesis.decision.operations import FOLDER
from genesis.decision.rows import EVERYTHING
from genesis.decision.state import OperationsState
from genesis.domain.errors import GenesisError
from genesis.system.strategy_evidence_parts import Problem, Section, Source
from genesis.system.strategy_evidence_research import gate_rows
from genesis.system.strategy_evidence_runs import hash_at
from genesis.trading.events import Event
from genesis.trading.payloads import (
    ApprovalGranted,
    ApprovalUsed,
    DecisionMade,
    ReviewResolved,
)
from genesis.trading.store import EventReader
from genesis.trading.store.schema import FILE


class Operations:
    """The log of operations, read and judged once.

    Attributes
    ----------
    state : OperationsState
    book : DeploymentBook
    events : list of Event
        Empty where the log is missing or may not be believed.
    problem : Problem or None
    source : Source
    """

    def __init__(self, home: Path) -> None:
        self.state, self.book = OperationsState(), DeploymentBook()
        self.events: list[Event] = []
        self.problem: Problem | None = None
        self.source = self._source("", ())
        try:
            self.state, self.book = read_book(home)
            if (home / FOLDER / FILE).is_file():
                self._read(home)
        except GenesisError as error:
            self.state, self.book = OperationsState(), DeploymentBook()
            self.problem = Problem.of("operations", error)

    def _read(self, home: Path) -> None:
        with EventReader(home / FOLDER) as reader:
            head = reader.head
            self.events = list(reader.events(1, head.seq))
        self.source = self._source(head.hash.hex(), (1, head.seq))

    @staticmethod
    def _source(digest: str, events: tuple[int, ...]) -> Source:
        file, check = f"{FOLDER}/{FILE}", "genesis deployments list"
        return Source(
            "log of operations, every row chained and judged", file, digest, events, check
        )

    def deployments(self, strategy: str) -> list[Deployment]:
        """Deployments of a strategy, the one that came furthest first."""
        from genesis.decision.rows import RETIRED, STAGES

        found = [one for one in self.book.deployments.values() if one.strategy == strategy]

        def career(one: Deployment) -> tuple[int, int]:
            return -STAGES.index(one.stage) if one.stage != RETIRED else 1, -one.seq

        return sorted(found, key=career)

    def section(self, name: str, title: str, facts: Mapping[str, Any], missing: str) -> Section:
        """A section that rests on the log alone."""
        if self.problem is not None:
            return Section(name, title, problems=(self.problem,))
        return Section(
            name, title, facts, (self.source,) if facts else (), "" if facts else missing
        )


# ---- decisions ---------------------------------------------------------------------------------


def decisions_section(found: Operations, strategy: str) -> Section:
    """Decisions about a strategy: rules, confidence, review, who resolved it."""
    resolved = {e.data.decision: e for e in found.events if isinstance(e.data, ReviewResolved)}
    rows = [
        _decision(found.state, event, event.data, resolved.get(event.data.decision), strategy)
        for event in found.events
        if isinstance(event.data, DecisionMade) and _concerns(event.data, strategy)
    ]
    missing = (
        f"nothing was decided about it: genesis decide strategy_retirement --strategy {strategy}"
    )
    return found.section(
        "decisions", "Decisions about it", {"decisions": rows} if rows else {}, missing
    )


def _concerns(data: DecisionMade, strategy: str) -> bool:
    if strategy == data.strategy or {strategy, EVERYTHING} & set(data.holds):
        return True
    return any(strategy == reason.get("strategy") for reason in data.body.get("reasons", ()))


def _decision(
    state: OperationsState,
    event: Event,
    data: DecisionMade,
    resolved: Event | None,
    strategy: str,
) -> dict[str, Any]:
    row = state.decisions[data.decision]
    reasons = [one for one in data.body.get("reasons", ()) if one.get("strategy") in ("", strategy)]
    return {
        "decision": data.decision,
        "seq": event.seq,
        "ts_ms": event.ts_ms,
        "kind": data.kind,
        "action": data.action,
        "carried_out": data.acts,
        "confidence": data.confidence,
        "rules_hash": data.rules_hash,
        "reasons": [one["text"] for one in reasons],
        "review": data.review,
        "urgency": data.urgency,
        "deadline_ms": data.deadline_ms,
        "state": row.state,
        "resolved_by": row.who,
        "resolved_ms": row.resolved_ms,
        "resolved_seq": resolved.seq if resolved is not None else None,
        "resolution": row.reason,
        "check": f"genesis review show {data.decision}",
    }


# ---- approvals and stages ----------------------------------------------------------------------


def approvals_section(found: Operations, strategy: str, now_ms: int) -> Section:
    """Approvals of a strategy's steps: who, when, cap, and whether the one use is spent."""
    used = {e.data.approval: e.seq for e in found.events if isinstance(e.data, ApprovalUsed)}
    rows = []
    for event in found.events:
        data = event.data
        if not isinstance(data, ApprovalGranted) or data.strategy != strategy:
            continue
        state = "used" if data.approval in used else "open"
        if state == "open" and now_ms > data.expires_ms:
            state = "expired"
        rows.append(
            {
                "approval": data.approval,
                "seq": event.seq,
                "ts_ms": event.ts_ms,
                "who": data.who,
                "reason": data.reason,
                "form": data.form,
                "from_stage": data.from_stage,
                "to_stage": data.to_stage,
                "account": data.account,
                "target": data.target,
                "symbols": list(data.symbols),
                "max_usd": format(data.max_usd, "f"),
                "expires_ms": data.expires_ms,
                "state": state,
                "used_seq": used.get(data.approval),
                "dossier_hash": data.dossier_hash,
            }
        )
    missing = f"nobody approved a step: genesis approve {strategy} --stage canary"
    return found.section("approvals", "Approvals", {"approvals": rows} if rows else {}, missing)


def stages_section(found: Operations, strategy: str, home: Path) -> Section:
    """Every step of its deployments, what it rests on, and whether that is still here."""
    title = "Stages"
    problems: list[Problem] = []
    told = []
    for one in found.deployments(strategy):
        steps = []
        for step in one.history:
            logs = [_log(home, ref.run, ref.events, ref.head) for ref in step.grounds.runs]
            bad = [log for log in logs if log["state"] != "as judged"]
            problems += [_lost(log, step.seq, one.id) for log in bad]
            steps.append(
                {
                    "seq": step.seq,
                    "ts_ms": step.ts_ms,
                    "move": step.move,
                    "from_stage": step.from_stage,
                    "to_stage": step.to_stage,
                    "capital": format(step.capital, "f"),
                    "who": step.who,
                    "reason": step.reason,
                    "approval": step.approval,
                    "gates": gate_rows(_judged(step.grounds.results), {}),
                    "logs": logs,
                }
            )
        told.append(
            {
                "deployment": one.id,
                "account": one.account,
                "target": one.target.value,
                "symbols": list(one.symbols),
                "stage": one.stage,
                "mark": one.mark,
                "capital": format(one.capital, "f"),
                "cap": format(one.cap, "f"),
                "since_ms": one.since_ms,
                "dossier_hash": one.dossier_hash,
                "steps": steps,
            }
        )
    missing = f"it is not deployed: genesis promote {strategy} --to paper"
    section = found.section("stages", title, {"deployments": told} if told else {}, missing)
    if not problems:
        return section
    return Section("stages", title, section.facts, section.sources, "", tuple(problems))


def _judged(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Verdicts of promotion; those of the dossier are told with the dossier."""
    return [one for one in results if one["stage"] in ("G4", "G5", "G6")]


def _log(home: Path, run: str, events: int, head: str) -> dict[str, Any]:
    """A log that a step rests on: it must still have the hash that it was judged with."""
    now = hash_at(home, run, events)
    state = "gone" if now is None else "as judged" if now == head else "changed"
    return {
        "run": run,
        "events": events,
        "head": head,
        "state": state,
        "check": f"genesis events verify {run}",
    }


def _lost(log: Mapping[str, Any], seq: int, deployment: str) -> Problem:
    what = "is gone" if log["state"] == "gone" else "is not the one that was judged"
    return Problem(
        "stages",
        f"the log of {log['run']}, on which step {seq} of {deployment} rests, {what}",
        f"event {log['events']} of it had the hash {log['head'][:12]}",
        f"restore the folder trading/{log['run']} from a copy",
    )
