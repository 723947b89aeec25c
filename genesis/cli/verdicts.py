"""What a validation prints: trials, gates, who is promotable and who was stopped by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.cli import render

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.evidence.dossier import Dossier
    from genesis.system.validation import ValidationOutcome

MARKS = {"pass": "pass", "fail": "FAIL", "reported": "reported", "not reached": "not reached"}
Gates = Sequence[Mapping[str, Any]]


def show_outcome(out: Console, outcome: ValidationOutcome) -> None:
    """Print a validation: trials, the search's gates, each strategy's, the verdicts."""
    done = outcome.validation
    show_trials(out, done.trials)
    search = [result.to_plain() for result in done.search]
    if search:
        out.print(gate_table(search, title="the search (G1)"))
    dossiers = [one.dossier for one in done.judged]
    own = [_without(dossier.gates, "G1") for dossier in dossiers]
    if len(dossiers) == 1:
        out.print(gate_table(own[0], title=f"{dossiers[0].strategy} (G0, G2, G3)"))
    elif dossiers:
        out.print(side_by_side([d.strategy for d in dossiers], own))
        out.print("! a veto that was not passed   o reported only", markup=False)
    if not dossiers:
        out.print("no strategy met the constraints of the study: nothing to judge", markup=False)
    for dossier in dossiers:
        show_verdict(out, dossier)
    _show_places(out, outcome)


def _without(gates: Gates, stage: str) -> list[Mapping[str, Any]]:
    return [gate for gate in gates if gate["stage"] != stage]


def show_trials(out: Console, trials: Mapping[str, Any]) -> None:
    """Print how many trials stand behind the result, and whose they are."""
    out.print(
        f"trials  {trials['total']:,} on overlapping data, {trials['unique']:,} different,"
        f" worth {trials['effective']:,.0f} independent ones",
        markup=False,
    )
    columns = [("study", "left"), ("trials", "right"), ("different", "right"), ("from", "left")]
    rows = [
        (str(r["run_id"]), f"{r['trials']:,}", f"{r['unique']:,}", str(r["source"]))
        for r in trials["studies"]
    ]
    out.print(render.table(columns, rows))


def gate_table(gates: Gates, *, title: str) -> Any:
    """Table of one set of verdicts."""
    from genesis.evidence.report_words import value_text

    columns = [("gate", "left"), ("value", "right"), ("needs", "left"), ("verdict", "left")]
    rows = [
        (g["measure"], value_text(g["value"]), _needs(g), MARKS[g["verdict"]], str(g["note"]))
        for g in gates
    ]
    return render.table([*columns, ("note", "left")], rows, title=title)


def side_by_side(names: Sequence[str], gates: Sequence[Gates]) -> Any:
    """Table of several strategies' verdicts, a column each, narrow enough for a terminal."""
    from genesis.evidence.report_words import value_text

    heads = [name.removeprefix("strat_")[:8] for name in names]
    columns = [("gate", "left"), ("needs", "left"), *((head, "right") for head in heads)]
    signs = {"at least": "≥", "at most": "≤"}
    rows = [
        (
            row[0]["measure"],
            f"{signs[row[0]['bound']]} {value_text(row[0]['threshold'])}",
            *(_cell(gate) for gate in row),
        )
        for row in zip(*gates, strict=True)
    ]
    grid = render.table(columns, rows, title="the strategies (G0, G2, G3)")
    for column in grid.columns[:2]:
        column.no_wrap = True
    return grid


def _cell(gate: Mapping[str, Any]) -> str:
    from genesis.evidence.report_words import value_text

    value = gate["value"]
    tiny = value is not None and 0.0 < abs(value) < 1e-4
    sign = {"pass": "  ", "fail": " !", "reported": " o", "not reached": "  "}
    return (f"{value:.0e}" if tiny else value_text(value)) + sign[gate["verdict"]]


def _needs(gate: Mapping[str, Any]) -> str:
    from genesis.evidence.report_words import value_text

    return f"{gate['bound']} {value_text(gate['threshold'])}"


def show_verdict(out: Console, dossier: Dossier) -> None:
    """Print whether a strategy is promotable, or what stopped it and by how much."""
    from genesis.evidence.report_words import shortfalls

    mark = f"  {dossier.facts['mark']}" if dossier.rehearsal else ""
    name = f"{dossier.strategy}  {dossier.facts['family']}{mark}"
    if dossier.passed:
        out.print(f"{name}  promotable", markup=False, style="green")
        return
    out.print(f"{name}  refused", markup=False)
    for text in shortfalls(dossier.facts):
        out.print(f"    {text}", markup=False)


def _show_places(out: Console, outcome: ValidationOutcome) -> None:
    """Print where things are and what to do next."""
    done = outcome.validation
    found = [one.dossier.strategy for one in done.promotable]
    lines = [("promotable", f"{len(found)} of {len(done.judged)}")]
    if done.gates.rehearsal:
        lines.append(("gates", f"{done.gates.name}: REHEARSAL, for practice only"))
    if done.judged:
        lines.append(("dossiers", str(done.judged[0].path.parent)))
    lines += [("page", str(page)) for page in outcome.pages.values()]
    steps = ["genesis strategies list --promotable"] if found else []
    steps += [f"genesis strategies explain {found[0]}"] if found else []
    if not found:
        steps = ["search elsewhere, with other families or more data: genesis evolve CONFIG"]
    lines += [("next" if not place else "", step) for place, step in enumerate(steps)]
    for label, text in lines:
        out.print(f"{label:11} {text}", markup=False)
