"""What is left of the error budget of a study's sealed bars, and what gates spend of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import GenesisError, InputError
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evidence.gates import GatesFile
    from genesis.evidence.sealed import Budget
    from genesis.evolution.run import Run
    from genesis.evolution.store import StoredStrategy


@dataclass(frozen=True, slots=True)
class Budgets:
    """Budget of a study's sealed bars, by the gates in use and by the production gates.

    Attributes
    ----------
    own : Budget
    production : Budget or None
        None where the gates in use are the production gates.
    """

    own: Budget
    production: Budget | None = None

    @property
    def lines(self) -> list[str]:
        """In words, a line each."""
        if self.production is None:
            return [self.own.text]
        return [f"{self.own.text} (rehearsal)", f"{self.production.text} (production gates)"]

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        production = self.production or self.own
        return {**self.own.to_plain(), "production": production.to_plain()}


def budgets_of(run: Run, home: Path, gates: GatesFile) -> Budgets | None:
    """Budgets of a study's sealed bars; None if it sealed none."""
    from genesis.evidence.sealed import sealed_budget

    bases, span = run.study.get("bases"), tuple(run.study.get("sealed_ms") or (0, 0))
    if not bases or span[0] >= span[1]:
        return None
    own = sealed_budget(home, bases, span, gates.settings)
    production = production_gates() if gates.rehearsal else None
    if production is None:
        return Budgets(own)
    return Budgets(own, sealed_budget(home, bases, span, production.settings))


def budget_behind(record: StoredStrategy, workspace: Workspace) -> Budget | None:
    """What the production gates have left for a strategy; None if its run is not here.

    Raises
    ------
    RefusedError, StorageError
        If the record of the sealed bars was changed or cannot be read.
    """
    from genesis.system.validation_target import first_finder

    gates = production_gates()
    if gates is None:
        return None
    try:
        run = first_finder(record, workspace)
    except InputError:  # none of its runs is here and finished
        return None
    budgets = budgets_of(run, workspace.home, gates)
    return budgets.own if budgets is not None else None


def production_gates() -> GatesFile | None:
    """The production gates; None where their file is gone or changed, which is told elsewhere."""
    from genesis.evidence.gates import load_gates

    try:
        return load_gates()
    except GenesisError:
        return None


def remarks_on(gates: GatesFile) -> list[str]:
    """What a rehearsal's gates do not prove, and what they cost; nothing of production gates."""
    if not gates.rehearsal:
        return []
    found = []
    left_out = vetoes_left_out(gates)
    if left_out:
        production = production_gates()
        assert production is not None
        of = sum(gate.veto for gate in production.gates)
        little = "; it proves little" if 2 * len(left_out) > of else ""
        found.append(
            f"this rehearsal leaves out {len(left_out)} of the {of} vetoes of the production gates"
            f"{little}: {', '.join(left_out)}"
        )
    if gates.of("G3"):
        found.append(
            "a rehearsal opens the sealed bars too, and what it spends of their error budget is"
            " spent for the production gates"
        )
    return found


def vetoes_left_out(gates: GatesFile) -> list[str]:
    """Vetoes of the production gates that are none in a file of gates."""
    production = production_gates()
    if production is None:
        return []
    held = {gate.measure for gate in gates.gates if gate.veto}
    return [gate.measure for gate in production.gates if gate.veto and gate.measure not in held]
