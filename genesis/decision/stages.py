"""The career of a deployment: its stages, their sizes, and which step is allowed under what."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from genesis.decision.rows import CANARY, CANDIDATE, PAPER, REAL, RETIRED, STAGES
from genesis.domain.errors import InputError, RefusedError, did_you_mean

LIVE_25, LIVE_50, LIVE_100 = "live_25", "live_50", "live_100"

SHARES: Final = {
    CANARY: Decimal("0.05"),
    LIVE_25: Decimal("0.25"),
    LIVE_50: Decimal("0.5"),
    LIVE_100: Decimal(1),
}
"""Share of the full capital that trades in each stage beyond paper."""
CENT: Final = Decimal("0.01")


class Target(StrEnum):
    """Where the orders of a deployment go. Only the last one is real money."""

    LOOPBACK = "loopback"
    TESTNET = "testnet"
    MAINNET = "mainnet"


class Move(StrEnum):
    """Kind of a step."""

    REGISTER = "register"
    PROMOTE = "promote"
    RESTORE = "restore"
    HALVE = "halve"
    DEMOTE = "demote"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table of steps.

    Attributes
    ----------
    move : Move
    gate : str
        Gates that must be passed: ``G3`` stands for the dossier; empty for none.
    approval : bool
        Whether a person must approve: it lets more orders reach an exchange.
    reason : bool
        Whether a reason must be given.
    """

    move: Move
    gate: str = ""
    approval: bool = False
    reason: bool = False


def _table() -> dict[tuple[str, str], Step]:
    table = {
        ("", CANDIDATE): Step(Move.REGISTER),
        (RETIRED, CANDIDATE): Step(Move.REGISTER, gate="G3", reason=True),
        (CANDIDATE, PAPER): Step(Move.PROMOTE, gate="G3"),
        (PAPER, CANARY): Step(Move.PROMOTE, gate="G4", approval=True),
        (CANARY, LIVE_25): Step(Move.PROMOTE, gate="G5", approval=True),
        (LIVE_25, LIVE_50): Step(Move.PROMOTE, gate="G6", approval=True),
        (LIVE_50, LIVE_100): Step(Move.PROMOTE, gate="G6", approval=True),
    }
    for stage in STAGES[:-1]:
        table[stage, RETIRED] = Step(Move.RETIRE, reason=True)
    for place, stage in enumerate(REAL):
        table[stage, stage] = Step(Move.HALVE, reason=True)  # or RESTORE, see `step_of`
        for lower in (PAPER, *REAL[:place]):
            table[stage, lower] = Step(Move.DEMOTE, reason=True)
    return table


TABLE: Final = _table()
"""Every step that there is, by (from, to); what is not in it cannot be done."""


def step_of(now: str, to: str, *, larger: bool = False) -> Step:
    """The step from one stage to another.

    Parameters
    ----------
    now : str
        Stage, empty for a new deployment.
    to : str
    larger : bool
        Of a step within a stage: back from half to the full size of it.

    Raises
    ------
    RefusedError
        If there is no such step.
    """
    step = TABLE.get((now, to))
    if step is None:
        up = to in STAGES and (now not in STAGES or STAGES.index(to) > STAGES.index(now))
        onward = [b for (a, b), s in TABLE.items() if a == now and s.move is Move.PROMOTE and up]
        raise RefusedError(
            f"there is no step from {now or 'nothing'} to {to}",
            why="stages are taken one by one: " + " > ".join(STAGES),
            fix=f"the next one is {onward[0]}" if onward else _elsewhere(now),
        )
    if now == to and larger:
        return Step(Move.RESTORE, approval=True, reason=True)
    return step


def _elsewhere(now: str) -> str:
    if now == RETIRED:
        return "a person may register it anew: genesis promote STRATEGY --to paper"
    return "genesis retire ends it" if now not in REAL else "genesis demote takes down"


def one_back(stage: str) -> str:
    """The stage that a rollback leads to.

    Raises
    ------
    RefusedError
        If the deployment sends no orders.
    """
    if stage not in REAL:
        raise RefusedError(f"a deployment that is {stage or 'new'} cannot be rolled back")
    return STAGES[STAGES.index(stage) - 1]


def stage_named(name: str) -> str:
    """A stage as a person writes it; hyphens and underscores are the same.

    Raises
    ------
    InputError
    """
    found = name.strip().lower().replace("-", "_")
    if found not in STAGES:
        raise InputError(
            f"there is no stage {name!r}{did_you_mean(found, STAGES)}",
            fix=f"use one of {', '.join(STAGES)}",
        )
    return found


def target_named(name: str) -> Target:
    """A target as a person writes it.

    Raises
    ------
    InputError
    """
    try:
        return Target(name.strip().lower())
    except ValueError:
        raise InputError(
            f"there is no target {name!r}{did_you_mean(name, list(Target))}",
            fix=f"use one of {', '.join(Target)}",
        ) from None


def stage_capital(cap: Decimal, stage: str, scale: Decimal) -> Decimal:
    """What trades in a stage: the stage's share of the full capital, rounded down to a cent.

    Nothing beyond paper leaves 0, and paper trades the full capital of no money.
    """
    if stage not in REAL:
        return cap
    return (cap * SHARES[stage] * scale).quantize(CENT, rounding="ROUND_DOWN")
