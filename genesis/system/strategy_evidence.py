"""The evidence on one strategy from gene to fill: every part from a source that is verified.

Digests of files and chains of events are checked before anything is read; what was changed is a
`Problem` of its part, and nothing of it is believed. What is not there yet says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import GenesisError, RefusedError
from genesis.system.strategy_evidence_parts import Problem, Section, guarded
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evolution.store import StoredStrategy
    from genesis.system.dossiers import Standing
    from genesis.system.strategy_evidence_operations import Operations

ORDER = (
    "strategy",
    "lineage",
    "study",
    "gates",
    "paper",
    "decisions",
    "approvals",
    "stages",
    "live",
    "expectation",
    "alerts",
)
"""Sections in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a strategy stands and what holds it back.

    Attributes
    ----------
    stage : str
        Of the deployment that came furthest; ``not deployed`` without one.
    holds : tuple of str
        What keeps it from the next stage, the first reason first; empty for nothing.
    line : str
        Both in one line.
    """

    stage: str
    holds: tuple[str, ...]
    line: str

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {"stage": self.stage, "holds": list(self.holds), "line": self.line}


@dataclass(frozen=True, slots=True)
class StrategyEvidence:
    """All there is on a strategy.

    Attributes
    ----------
    strategy, family : str
    made_ms : int
        When it was put together.
    verdict : Verdict
    sections : mapping of str to Section
        In the order of `ORDER`.
    """

    strategy: str
    family: str
    made_ms: int
    verdict: Verdict
    sections: Mapping[str, Section]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is not what was written, each once."""
        found = [one for section in self.sections.values() for one in section.problems]
        return tuple({(one.what, one.why): one for one in found}.values())

    @property
    def error(self) -> RefusedError | None:
        """The first problem as the refusal that a command ends with; None if there is none."""
        problems = self.problems
        if not problems:
            return None
        first, more = problems[0], len(problems) - 1
        others = f"; {more} more: " + "; ".join(one.what for one in problems[1:]) if more else ""
        return RefusedError(first.what, why=f"{first.why}{others}".lstrip("; "), fix=first.fix)

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "strategy": self.strategy,
            "family": self.family,
            "made_ms": self.made_ms,
            "verdict": self.verdict.to_plain(),
            "sections": {name: one.to_plain() for name, one in self.sections.items()},
        }


def gather(
    workspace: Workspace, record: StoredStrategy, standing: Standing | None, now_ms: int
) -> StrategyEvidence:
    """Put the evidence on a stored strategy together.

    Parameters
    ----------
    workspace : Workspace
    record : StoredStrategy
        Verified by its store.
    standing : Standing or None
        How it stands with the gates, see `genesis.system.dossiers.standing_of`.
    now_ms : int
        Now, for what expires.
    """
    from genesis.system import strategy_evidence_operations as operations
    from genesis.system import strategy_evidence_research as research
    from genesis.system.strategy_evidence_alerts import alerts_section
    from genesis.system.strategy_evidence_expectation import (
        NAME,
        TITLE,
        LiveEvidence,
        expectation_section,
    )
    from genesis.system.strategy_evidence_runs import live_section, paper_section, runs_of

    home, strategy = workspace.home, record.id
    log = operations.Operations(home)
    deployments = log.deployments(strategy)
    search = research.Search(home, record)
    gates, trials = research.gates_section(record, standing)
    runs = runs_of(home, strategy)
    evidence = LiveEvidence(workspace)
    fidelity, unread = _fidelity(home, strategy, log)
    paper = paper_section(runs, strategy, fidelity)
    found = [
        research.strategy_section(record),
        guarded("lineage", "Where it comes from", lambda: research.lineage_section(record, search)),
        research.study_section(record, search, trials),
        gates,
        _with(paper, unread),
        operations.decisions_section(log, strategy),
        operations.approvals_section(log, strategy, now_ms),
        operations.stages_section(log, strategy, home),
        live_section(runs, strategy, record.genome),
        guarded(NAME, TITLE, lambda: expectation_section(evidence, deployments)),
        alerts_section(home, log, strategy, runs),
    ]
    sections = {one.name: one for one in found}
    return StrategyEvidence(
        strategy=strategy,
        family=record.strategy.family,
        made_ms=now_ms,
        verdict=verdict_of(log, strategy, standing, sections, evidence),
        sections={name: sections[name] for name in ORDER},
    )


def _with(section: Section, problem: Problem | None) -> Section:
    if problem is None:
        return section
    problems = (*section.problems, problem)
    return Section(
        section.name, section.title, section.facts, section.sources, section.missing, problems
    )


def _fidelity(home: Any, strategy: str, log: Operations) -> tuple[dict[str, Any], Problem | None]:
    """G4 as it was judged for the latest step to the canary, and what each run said of itself."""
    from genesis.evolution.feedback import read_feedback
    from genesis.system.strategy_evidence_research import gate_rows

    facts: dict[str, Any] = {"gates": [], "judged": None, "feedback": None}
    steps = [
        (one, step)
        for one in log.deployments(strategy)
        for step in one.history
        if any(result["stage"] == "G4" for result in step.grounds.results)
    ]
    if steps:
        deployment, step = max(steps, key=lambda pair: pair[1].seq)
        results = [one for one in step.grounds.results if one["stage"] == "G4"]
        facts["gates"] = gate_rows(results, {})
        facts["judged"] = {
            "seq": step.seq,
            "ts_ms": step.ts_ms,
            "deployment": deployment.id,
            "runs": [ref.run for ref in step.grounds.runs],
        }
    try:
        history = read_feedback(home, strategy)
    except GenesisError as error:
        return facts, Problem.of("paper", error)
    if history.rows:
        facts["feedback"] = history.to_plain()
    return facts, None


# ---- the verdict -------------------------------------------------------------------------------


def verdict_of(
    log: Operations,
    strategy: str,
    standing: Standing | None,
    sections: Mapping[str, Section],
    evidence: Any,
) -> Verdict:
    """Where a strategy stands, and what holds it back."""
    damaged = [problem.what for one in sections.values() for problem in one.problems]
    if log.problem is not None:
        what = log.problem.what
        return Verdict("unknown", (what,), f"nobody can say where it stands: {what}")
    found = log.deployments(strategy)
    if not found:
        holds = (*damaged, *_judgement(standing, sections["gates"]))
        return Verdict("not deployed", holds, _line("not deployed", holds, "paper"))
    one, *others = found
    stage = f"{one.stage} {one.mark}".strip()
    where = f"{stage} on {one.target.value} with {one.capital:f} of {one.cap:f} USD"
    if others:
        where += f" ({len(others)} more: {', '.join(o.stage for o in others)})"
    held, to = _promotion(one, log, strategy, evidence)
    holds = (*damaged, *held)
    return Verdict(one.stage, holds, _line(where, holds, to))


def _line(where: str, holds: tuple[str, ...], to: str) -> str:
    if not holds:
        return f"{where}: nothing holds it back from {to}" if to else where
    more = f" (and {len(holds) - 1} more)" if len(holds) > 1 else ""
    return f"{where}: {holds[0]}{more}"


def _judgement(standing: Standing | None, gates: Section) -> tuple[str, ...]:
    if standing is None:
        return ("it was not judged by the gates yet",)
    if standing.problem:
        return ()  # told as a problem
    shortfalls = tuple(gates.facts.get("shortfalls", ()))
    return shortfalls or (() if gates.facts.get("passed") else standing.stopped_by)


def _promotion(
    one: Any, log: Operations, strategy: str, evidence: Any
) -> tuple[tuple[str, ...], str]:
    """What holds a deployment back from its next stage, and that stage."""
    from genesis.decision.grounds import DOSSIER, unmet
    from genesis.decision.ports import Measured
    from genesis.decision.rows import RETIRED
    from genesis.decision.stages import TABLE, Move

    if one.stage == RETIRED:
        return (f"retired: {one.history[-1].reason}",), ""
    held = []
    kill, hold = log.state.kill_of(one.account), log.state.hold_of(strategy)
    if kill is not None:
        held.append(f"killed by {kill.who}: {kill.reason}")
    if hold is not None:
        held.append(f"the review of {hold.decision} ({hold.kind}) is open")
    onward = [(b, s) for (a, b), s in TABLE.items() if a == one.stage and s.move is Move.PROMOTE]
    if not onward:
        return tuple(held), ""
    to, step = onward[0]
    try:
        if step.gate == DOSSIER:
            measured = Measured(evidence.standing(strategy, one.target).results)
        else:
            measured = evidence.measure(one, step.gate)
            held += [measured.absent] if measured.absent else []
        missed = unmet(measured.results, step.gate)
        held += [*missed, measured.aside] if missed and measured.aside else missed
    except GenesisError as error:
        held.append(error.what)
    if step.approval and not held:
        held.append(f"{to} needs an approval, the gates are passed")
    return tuple(held), to
