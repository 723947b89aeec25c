"""The evidence on a strategy for people: the terminal and the page share its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from genesis.system.strategy_evidence import StrategyEvidence
from genesis.system.strategy_evidence_parts import Section
from genesis.system.strategy_evidence_view_operations import (
    alerts_view,
    approvals_view,
    decisions_view,
    stages_view,
)
from genesis.system.strategy_evidence_view_trading import expectation_view, live_view, paper_view
from genesis.system.strategy_evidence_words import (
    NONE,
    Facts,
    Rows,
    Table,
    figure,
    gate_table,
    instant,
    short,
)


@dataclass(frozen=True, slots=True)
class View:
    """A section for people.

    Attributes
    ----------
    section : Section
    pairs : sequence of (label, text)
        What it comes to.
    tables : tuple of Table
    """

    section: Section
    pairs: Rows
    tables: tuple[Table, ...] = ()


def views(evidence: StrategyEvidence) -> list[View]:
    """Sections in their order, in words."""
    return [_view(one) for one in evidence.sections.values()]


def _view(section: Section) -> View:
    if not section.facts:
        return View(section, ())
    pairs, tables = _BUILD[section.name](section.facts)
    return View(section, pairs, tuple(one for one in tables if one.rows))


# ---- research ----------------------------------------------------------------------------------


def _strategy(facts: Facts) -> tuple[Rows, list[Table]]:
    pairs = [("in words", " ".join(facts["sentence"].splitlines())), ("family", facts["family"])]
    pairs += [("genome", facts["genome"] or "none: it was written, not bred")]
    if facts["filter"]:
        pairs += [("filter", str(facts["filter"]))]
    rules = Table("Rules", ("Rule", "~Expression"), tuple(facts["rules"].items()))
    genes = tuple((name, _gene(value)) for name, value in facts["genes"].items())
    return pairs, [rules, Table("Genes", ("Gene", "#Value"), genes)]


def _gene(value: Any) -> str:
    return figure(value) if isinstance(value, int | float) else str(value)


def _lineage(facts: Facts) -> tuple[Rows, list[Table]]:
    parents = ", ".join(short(one) for one in facts["parents"]) or "none: it began a line"
    pairs = [
        ("origin", f"{facts['origin'] or 'unknown'}, generation {figure(facts['generation'])}"),
        ("parents", parents),
        ("ancestors", f"{facts['ancestors_total']}, of {', '.join(facts['families'])}"),
    ]
    if facts["fitness"] is not None:
        pairs += [("fitness", f"{facts['fitness']:.4f}, cell {facts['cell']}")]
    rows = tuple(
        (
            short(one["genome"]),
            one["family"],
            one["origin"],
            figure(one["generation"]),
            figure(one["fitness"]),
            ", ".join(short(parent) for parent in one["parents"]) or NONE,
        )
        for one in facts["ancestors"]
    )
    columns = ("Genome", "Family", "Origin", "#Generation", "#Fitness", "Parents")
    return pairs, [Table("Ancestors, nearest first", columns, rows)]


def _study(facts: Facts) -> tuple[Rows, list[Table]]:
    trials = facts["trials_counted"]
    pairs = [("run", facts["run"]), ("dataset", facts["dataset"])]
    pairs += [(name, facts[f"{key}_hash"] or NONE) for name, key in _HASHES]
    pairs += [("seed", str(facts["seed"]) if facts.get("seed") is not None else NONE)]
    if facts.get("searched_ms"):
        start, end = facts["searched_ms"]
        pairs += [("searched bars", f"{instant(start)} to {instant(end)}")]
    pairs += [("trials of the search", f"{facts['trials_of_the_search']:,}")]
    if trials.get("total") is not None:
        worth = trials.get("effective")
        more = f", {trials['unique']:,} different" if trials.get("unique") is not None else ""
        more += f", worth {worth:.0f} independent ones" if worth is not None else ""
        pairs += [("trials on these bars", f"{trials['total']:,}{more}")]
    pairs += [("ledger head", facts["ledger_head"] or NONE)]
    if facts["also_found_by"]:
        pairs += [("also found by", ", ".join(facts["also_found_by"]))]
    return pairs, []


_HASHES: Final = (("config hash", "config"), ("data hash", "dataset"), ("code hash", "code"))


def _gates(facts: Facts) -> tuple[Rows, list[Table]]:
    file = facts["gates_file"]
    passed = "passed" if facts["passed"] else f"refused by {', '.join(facts['stopped_by'])}"
    stands = "yes" if facts["stands"] else "no: see what is not as it was written"
    pairs = [
        ("verdict", f"{passed} {facts['mark']}".strip()),
        ("still stands", stands),
        ("gates", f"{file['name']}, hash {short(file['hash'])}"),
        ("judged", instant(facts["created_ms"])),
    ]
    pairs += [("missed", text) for text in facts["shortfalls"]]
    return pairs, [gate_table("Gates", facts["gates"])]


_BUILD: Final[Mapping[str, Callable[[Facts], tuple[Rows, list[Table]]]]] = {
    "strategy": _strategy,
    "lineage": _lineage,
    "study": _study,
    "gates": _gates,
    "paper": paper_view,
    "decisions": decisions_view,
    "approvals": approvals_view,
    "stages": stages_view,
    "live": live_view,
    "expectation": expectation_view,
    "alerts": alerts_view,
}
