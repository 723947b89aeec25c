"""Workspaces with studies in them that nobody had to breed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genesis.evolution.candidate import Score
from genesis.evolution.files import write_json
from genesis.evolution.register import TrialRegister
from genesis.evolution.registration import STUDY, study_registration
from genesis.evolution.seals import SealRegistry
from genesis.evolution.trial_count import TrialCount, count_trials
from genesis.evolution.trials import Trial, TrialLedger
from genesis.strategy.language import Market, ema
from genesis.strategy.strategy import PolicyParams, Rules, Strategy

BTC, SPAN = ["BTC"], (0, 1_000)


def facts_of(run_id: str, *, created_ms: int = 1, **changes: Any) -> dict[str, Any]:
    facts = {
        "schema": 1,
        "run_id": run_id,
        "status": "finished",
        "study_hash": f"study-of-{run_id}",
        "dataset_hash": "d" * 64,
        "dataset": "v:BTCUSDT:1h",
        "created_ms": created_ms,
        "searched_ms": [0, 1_000],
        "bases": ["BTC"],
        "searched_hash": "",
    }
    return facts | changes


def trial(
    genome: str, phenotype: str, role: str = "search", status: str = "valid",
    study: str = "s", data: str = "d",
) -> Trial:  # fmt: skip
    score = Score(status, "", (1.0,) if status == "valid" else (), 0.0, 3, phenotype, {})
    return Trial(
        study=study, data=data, generation=0, island="i", role=role, genome=genome,
        plain={}, origin="random", parents=(), score=score.to_plain(),
    )  # fmt: skip


class Home:
    """A workspace in which studies are written without breeding anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, run_id: str, **changes: Any) -> dict[str, Any]:
        """What a study leaves before its first generation."""
        facts = facts_of(run_id, **changes)
        TrialRegister(self.path).add(study_registration(STUDY, run_id, facts))
        seals = SealRegistry(self.path / "seals.json")
        start, end = facts["searched_ms"]
        seals.register(run_id, facts["dataset"], facts["bases"], (start, end), (end, end + 100))
        write_json(self.run(run_id) / "study.json", facts)
        return facts

    def study(self, run_id: str, phenotypes: str, **changes: Any) -> dict[str, Any]:
        """A study with one trial for each letter, the letter being its behaviour."""
        facts = self.begin(run_id, **changes)
        self.generation(facts, phenotypes)
        return facts

    def generation(self, facts: dict[str, Any], phenotypes: str, at: int | None = None) -> None:
        """More trials, or those from a row on again, registered as a study does."""
        run_id = facts["run_id"]
        ledger = TrialLedger(self.run(run_id) / "trials.jsonl")
        first = ledger.size if at is None else at
        ledger.append(
            trial(
                f"{run_id}-{first + n}", p,
                study=facts["study_hash"], data=facts["dataset_hash"],
            )
            for n, p in enumerate(phenotypes)
        )  # fmt: skip
        TrialRegister(self.path).record(run_id, facts, ledger)

    def run(self, run_id: str) -> Path:
        return self.path / "runs" / run_id

    def count(self, bases: list[str] = BTC, span: tuple[int, int] = SPAN) -> TrialCount:
        return count_trials(self.path, bases, span)

    def numbers(self, bases: list[str] = BTC, span: tuple[int, int] = SPAN) -> tuple[int, int]:
        count = self.count(bases, span)
        return count.total, count.unique


def strategy(n: int) -> Strategy:
    close = Market().close
    return Strategy(Rules(long=close > ema(close, n)), PolicyParams(), "custom")
