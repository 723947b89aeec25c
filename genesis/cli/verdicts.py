"""What a validation prints: trials, gates, who is promotable and who was stopped by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.cli import render
from genesis.cli.next_steps import next_steps

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.evidence.dossier import Dossier
    from genesis.system.validation import ValidationOutcome

MARKS = {"pass": "pass", "fail": "FAIL", "reported": "reported", "not reached": "not reached"}
Gates = Sequence[Mapping[str, Any]]


def show_outcome(out: Console, outcome: ValidationOutcome, *, steps: bool = True) -> None:
    """Print a validation: trials, the search's gates, each strategy's, the verdicts.

    Parameters
    ----------
    out : Console
    outcome : ValidationOutcome
    steps : bool
        Whether to say what to do next; an error that follows says it itself.
    """
    done = outcome.validation
    show_trials(out, done.trials)
    search = [result.to_plain() for result in done.search]
    if search:
        out.print(gate_table(search, title="the search (G1)"))
    dossiers = [one.dossier for one in done.judged]
    own = [_own_gates(dossier) for dossier in dossiers]
    if len(dossiers) == 1:
        out.print(gate_table(own[0], title=f"{dossiers[0].strategy} (G0, G2, G3)"))
    elif dossiers:
        out.print(side_by_side([d.strategy for d in dossiers], own))
        out.print("! a veto that was not passed   o reported only", markup=False)
    if not dossiers:
        out.print("no strategy met the constraints of the study: nothing to judge", markup=False)
    _show_search_verdict(out, search, dossiers)
    for dossier in dossiers:
        show_verdict(out, dossier)
    _show_places(out, outcome)
    if steps:
        _show_lines(out, "next", next_steps(done))


def _own_gates(dossier: Dossier) -> list[Mapping[str, Any]]:
    """Gates of the strategy itself, in words beside their numbers."""
    from genesis.evidence.report_words import worded

    details = dossier.facts["details"]
    gates = [gate for gate in dossier.gates if gate["stage"] != "G1"]
    return [{**gate, "said": worded(gate, details)} for gate in gates]


def _show_search_verdict(out: Console, search: Gates, dossiers: Sequence[Dossier]) -> None:
    """Print once what stopped every strategy of the study."""
    from genesis.evidence.report_words import shortfall

    failed = [gate for gate in search if gate["verdict"] == "fail"]
    if failed and dossiers:
        out.print("the search  refused, and with it all that it found", markup=False)
    for gate in failed:
        out.print(f"    {shortfall(gate, {})}", markup=False)


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
    columns = [("gate", "left"), ("value", "right"), ("needs", "left"), ("verdict", "left")]
    rows = []
    for gate in gates:
        said = _said(gate)
        verdict = MARKS[gate["verdict"]]
        rows.append((gate["measure"], said["value"], said["needs"], verdict, str(said["note"])))
    return render.table([*columns, ("note", "left")], rows, title=title)


def _said(gate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Words for a gate; those of the search have no details."""
    from genesis.evidence.report_words import worded

    return gate["said"] if "said" in gate else worded(gate, {})


def side_by_side(names: Sequence[str], gates: Sequence[Gates]) -> Any:
    """Table of several strategies' verdicts, a column each, narrow enough for a terminal."""
    heads = [name.removeprefix("strat_")[:8] for name in names]
    columns = [("gate", "left"), ("needs", "left"), *((head, "right") for head in heads)]
    rows: list[tuple[str, ...]] = []
    for row in zip(*gates, strict=True):
        needs = [_short_needs(gate) for gate in row]
        alike = len(set(needs)) == 1
        cells = [_cell(gate) for gate in row]
        rows.append((row[0]["measure"], needs[0] if alike else "(see below)", *cells))
        if not alike:  # what the sealed gate needs depends on who was opened before
            rows.append(("", "needed", *(f"{text}  " for text in needs)))
    grid = render.table(columns, rows, title="the strategies (G0, G2, G3)")
    for column in grid.columns[:2]:
        column.no_wrap = True
    return grid


def _short_needs(gate: Mapping[str, Any]) -> str:
    """``≥ 0.7``; a dash where nobody can say it, because the sealed bars stayed shut."""
    signs = {"at least": "≥", "at most": "≤"}
    bound, _, text = str(_said(gate)["needs"]).rpartition(" ")
    return f"{signs[bound]} {text}" if bound in signs else "–"


def _cell(gate: Mapping[str, Any]) -> str:
    value = gate["value"]
    tiny = value is not None and 0.0 < abs(value) < 1e-4 and gate["measure"] != "sealed_psr"
    sign = {"pass": "  ", "fail": " !", "reported": " o", "not reached": "  "}
    return (f"{value:.0e}" if tiny else str(_said(gate)["value"])) + sign[gate["verdict"]]


def show_verdict(out: Console, dossier: Dossier) -> None:
    """Print whether a strategy passed, or what of its own stopped it and by how much."""
    from genesis.evidence.report_words import shortfalls

    mark = f"  {dossier.facts['mark']}" if dossier.rehearsal else ""
    name = f"{dossier.strategy}  {dossier.facts['family']}{mark}"
    if dossier.passed:
        verdict = "passed the rehearsal" if dossier.rehearsal else "promotable"
        out.print(f"{name}  {verdict}", markup=False, style="green")
        return
    own = shortfalls(dossier.facts, without=("G1",))
    out.print(f"{name}  refused{'' if own else ' with the search'}", markup=False)
    for text in own:
        out.print(f"    {text}", markup=False)


def _show_places(out: Console, outcome: ValidationOutcome) -> None:
    """Print how many passed, what the sealed bars have left, and where things are."""
    done = outcome.validation
    label = "passed" if done.gates.rehearsal else "promotable"
    lines = [(label, f"{len(done.promotable)} of {len(done.judged)}")]
    if done.gates.rehearsal:
        lines.append(("gates", f"{done.gates.name}: REHEARSAL, for practice only"))
    if done.judged:
        lines.append(("dossiers", str(done.judged[0].path.parent)))
    lines += [("page", str(page)) for page in outcome.pages.values()]
    for name, text in lines:
        out.print(f"{name:11} {text}", markup=False)
    if outcome.budgets is not None:
        _show_lines(out, "sealed bars", outcome.budgets.lines)
    _show_lines(out, "note", outcome.notices)


def _show_lines(out: Console, label: str, lines: Sequence[str]) -> None:
    for place, text in enumerate(lines):
        out.print(f"{'' if place else label:11} {text}", markup=False)
