"""What research knows of a strategy: its words and genes, its line, its study, its gates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import ConfigError, RefusedError, StorageError
from genesis.system.strategy_evidence_parts import Problem, Section, Source

if TYPE_CHECKING:
    from genesis.evolution.registration import Registration
    from genesis.evolution.store import StoredStrategy
    from genesis.evolution.trials import TrialLedger
    from genesis.system.dossiers import Standing

FEW_ANCESTORS = 80
"""Ancestors that are looked up in the ledger; as many as a study's page draws."""


# ---- the strategy ------------------------------------------------------------------------------


def strategy_section(record: StoredStrategy) -> Section:
    """The strategy in words, its rules, its genes.

    Its genome must have the key under which it stands in the ledger of its study.
    """
    from genesis.strategy.explain import sentence
    from genesis.strategy.genome import from_plain

    strategy = record.strategy
    plain = record.to_plain()
    genome = dict(strategy.genome) if strategy.genome is not None else {}
    facts = {
        "id": record.id,
        "family": strategy.family,
        "sentence": sentence(strategy),
        "rules": {name: node.text for name, node in strategy.rules.named()},
        "genome": record.genome,
        "genes": dict(genome.get("genes", {})),
        "filter": genome.get("filter"),
    }
    problems: tuple[Problem, ...] = ()
    if genome and record.genome:
        key = from_plain(genome).key
        if key != record.genome:
            what = f"the genes of {record.id} are not those of its genome"
            why = f"their key is {key[:12]}, the record names {record.genome[:12]}"
            problems = (Problem("strategy", what, why, "restore its file from a copy"),)
    source = Source(
        "record of the strategy, a digest over all of it",
        f"strategies/{record.id}.json",
        plain["digest"],
        check=f"genesis strategies explain {record.id}",
    )
    return Section("strategy", "What it does", facts, (source,), problems=problems)


# ---- the study that found it -------------------------------------------------------------------


class Search:
    """Ledger in which a strategy was found, verified against the register; lazily empty.

    Attributes
    ----------
    ledger : TrialLedger or None
        None where it is not here.
    folder : Path or None
    row : Registration or None
        What the register, a chain too, says of the study.
    problem : Problem or None
        Why it cannot be believed.
    """

    def __init__(self, home: Path, record: StoredStrategy) -> None:
        self.ledger: TrialLedger | None = None
        self.folder: Path | None = None
        self.row: Registration | None = None
        self.problem: Problem | None = None
        try:
            self._find(home, record)
        except (RefusedError, StorageError) as error:
            self.ledger = None
            self.problem = Problem.of("study", error)

    def _find(self, home: Path, record: StoredStrategy) -> None:
        from genesis.evolution.origins import holds_search
        from genesis.evolution.study_ledgers import study_folder, verified_ledger

        found = [(row, verified_ledger(home, row)) for row in _registered(home, record)]
        here = [(row, ledger) for row, ledger in found if ledger is not None]
        for row, ledger in here:
            if holds_search(ledger, record):
                self.ledger, self.folder = ledger, study_folder(home, row)
                self.row = row
                return
        if here:
            raise RefusedError(
                f"the trial ledger of {record.run_id} does not hold the search of {record.id}",
                why="its head or its genome is not on the ledger's chain",
                fix="restore the run's folder from a copy",
            )

    def rows_of(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        """First row of the ledger for each of these genomes."""
        found: dict[str, dict[str, Any]] = {}
        if self.ledger is None:
            return found
        for row in self.ledger.rows():
            if row["genome"] in keys:
                found.setdefault(str(row["genome"]), row)
        return found


def _registered(home: Path, record: StoredStrategy) -> list[Registration]:
    from genesis.evolution.registration import HUMAN
    from genesis.evolution.trial_count import open_register

    wanted = (record.run_id, record.study_hash)
    rows = open_register(home).rows()
    return [one for one in rows if one.kind != HUMAN and (one.run_id, one.study_hash) == wanted]


def lineage_section(record: StoredStrategy, search: Search) -> Section:
    """Parents, ancestors, generations."""
    title = "Where it comes from"
    if not record.genome:
        return Section("lineage", title, missing="no study bred it: it has no parents on record")
    ancestors = [dict(row) for row in record.lineage[:FEW_ANCESTORS]]
    keys = {record.genome, *(str(row["genome"]) for row in ancestors)}
    known = search.rows_of(keys)
    own = known.get(record.genome, {})
    rows = [_ancestor(row, known.get(str(row["genome"]), {})) for row in ancestors]
    generations = [row["generation"] for row in rows if row["generation"] is not None]
    facts = {
        "genome": record.genome,
        "family": record.strategy.family,
        "origin": own.get("origin"),
        "generation": own.get("generation"),
        "island": own.get("island"),
        "fitness": _first(own.get("objectives")),
        "parents": list(record.parents),
        "ancestors": rows,
        "ancestors_total": len(record.lineage),
        "families": sorted({record.strategy.family, *(row["family"] for row in rows)}),
        "first_generation": min(generations, default=None),
        "cell": record.cell,
    }
    sources = [
        Source(
            "ancestors, by the key of their genome",
            f"strategies/{record.id}.json",
            check=f"genesis strategies show {record.id} --json",
        )
    ]
    if search.ledger is not None:
        sources.append(_ledger_source("generation and fitness of each", search, record))
    return Section("lineage", title, facts, tuple(sources))


def _ancestor(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "genome": row["genome"],
        "family": row["family"],
        "origin": row["origin"],
        "parents": list(row["parents"]),
        "generation": found.get("generation", row.get("generation")),
        "fitness": _first(found.get("objectives")),
    }


def _first(values: Any) -> float | None:
    return float(values[0]) if values else None


def study_section(record: StoredStrategy, search: Search, trials: Mapping[str, Any]) -> Section:
    """The study: configuration, data, seed, trials.

    Parameters
    ----------
    record : StoredStrategy
    search : Search
    trials : mapping
        What its dossier counted over all studies on these bars; empty without one.
    """
    title = "The study that found it"
    if record.run_id is None:
        return Section("study", title, missing="no study found it: its record names none")
    facts: dict[str, Any] = {
        "run": record.run_id,
        "also_found_by": list(record.also_found_by),
        "dataset": record.dataset,
        "dataset_hash": record.dataset_hash,
        "config_hash": record.config_hash,
        "code_hash": record.code_hash,
        "study_hash": record.study_hash,
        "trials_of_the_search": record.trials,
        "ledger_head": record.ledger_head,
        "trials_counted": {
            name: trials.get(name) for name in ("total", "unique", "effective") if name in trials
        },
        "objectives": dict(record.objectives),
    }
    problems = [search.problem] if search.problem is not None else []
    sources = [
        Source("hashes of the study", f"strategies/{record.id}.json",
               check=f"genesis runs show {record.run_id}")
    ]  # fmt: skip
    missing = ""
    if search.ledger is None:
        if search.problem is None:
            missing = f"the ledger of {record.run_id} is not here: its trials cannot be looked at"
    else:
        assert search.folder is not None
        facts["ledger_rows"] = search.ledger.size
        facts["ledger_head_now"] = search.ledger.head
        sources.append(_ledger_source("every trial of the search, chained", search, record))
        try:
            facts |= _study_facts(search, record)
        except (RefusedError, StorageError, ConfigError) as error:
            problems.append(Problem.of("study", error))
    return Section("study", title, facts, tuple(sources), missing, tuple(problems))


def _study_facts(search: Search, record: StoredStrategy) -> dict[str, Any]:
    """What configuration and register say, which have the hashes that the record has.

    Of the facts of the study, which are no part of any hash, nothing is told; that they name the
    same hashes is looked at.
    """
    from genesis.evolution.run import CONFIG, STUDY, Run

    assert search.folder is not None
    assert search.row is not None
    folder, row = search.folder, search.row
    run = Run(folder)
    for name in ("study_hash", "config_hash", "dataset_hash", "code_hash"):
        known, here = getattr(record, name), str(run.study.get(name, ""))
        if known != here:
            raise RefusedError(
                f"{STUDY} of {folder.name} is not that of {record.id}",
                why=f"its {name.replace('_', ' ')} is {here[:12]}, the strategy's {known[:12]}",
                fix="restore the run's folder from a copy",
            )
    told = {"created_ms": row.created_ms, "searched_ms": list(row.searched_ms)}
    if not (folder / CONFIG).exists():
        return told
    if run.config.config_hash != record.config_hash:
        raise RefusedError(
            f"{CONFIG} of {folder.name} was changed after the study",
            why=f"its hash is {run.config.config_hash[:12]}, was {record.config_hash[:12]}",
            fix="restore the run's folder from a copy",
        )
    evolution = run.config.evolution
    return {**told, "seed": evolution.seed, "generations": evolution.generations}


def _ledger_source(what: str, search: Search, record: StoredStrategy) -> Source:
    assert search.ledger is not None
    assert search.folder is not None
    return Source(
        what,
        f"{search.folder.parent.name}/{search.folder.name}/trials.jsonl",
        search.ledger.head,
        (1, search.ledger.size),
        f"genesis validate {record.run_id}",
    )


# ---- the gates ---------------------------------------------------------------------------------


def gates_section(
    record: StoredStrategy, standing: Standing | None
) -> tuple[Section, dict[str, Any]]:
    """Gates G0 to G3, and what the dossier counted as trials (empty where it says nothing)."""
    from genesis.evidence.dossier import stored_dossier
    from genesis.evidence.report_words import shortfalls

    title = "Gates G0 to G3"
    if standing is None:
        missing = f"it was not judged yet: genesis validate {record.id}"
        return Section("gates", title, missing=missing), {}
    path = Path(standing.path)
    problems: list[Problem] = []
    if standing.problem:
        fix = f"make it again: genesis validate {record.id}"
        problems.append(Problem("gates", standing.problem, fix=fix))
    try:
        dossier = stored_dossier(path)
    except (RefusedError, StorageError):  # the standing says why
        return Section("gates", title, problems=tuple(problems)), {}
    said = dossier.facts
    facts = {
        "status": standing.status,
        "stands": not standing.problem,
        "mark": said["mark"],
        "gates_file": dict(said["gates_file"]),
        "created_ms": said.get("created_ms"),
        "passed": dossier.passed,
        "stopped_by": list(said["stopped_by"]),
        "shortfalls": shortfalls(said),
        "gates": gate_rows(dossier.gates, said["details"]),
        "digest": dossier.digest,
    }
    source = Source(
        "dossier, a digest over all of it",
        f"dossiers/{path.name}",
        dossier.digest,
        check="genesis strategies list --promotable",
    )
    section = Section("gates", title, facts, (source,), problems=tuple(problems))
    return section, dict(said.get("trials") or {})


def gate_rows(gates: Any, details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Verdicts with value and bound in words, and the distance between them.

    The distance is positive where the bound is met, with that much room, and negative where it is
    missed.
    """
    from genesis.evidence.report_words import worded

    rows = []
    for gate in gates:
        said = worded(gate, details)
        value, bound = gate["value"], gate["threshold"]
        room = None
        if value is not None:
            room = value - bound if gate["bound"] == "at least" else bound - value
        rows.append(
            {
                **{name: gate[name] for name in ("stage", "measure", "veto", "verdict", "bound")},
                "what": said["what"],
                "number": value,
                "threshold": bound,
                "distance": room,
                "value": said["value"],
                "needs": said["needs"],
                "note": said["note"],
            }
        )
    return rows
