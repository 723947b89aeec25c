"""What a step of a deployment rests on; the ``evidence`` of its row in the log of operations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.errors import RefusedError
from genesis.evidence.report_words import shortfall
from genesis.trading.payloads import DeploymentChanged

SCHEMA = 1
DOSSIER = "G3"
"""Last stage of the gates that a dossier is judged by."""


class RunRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log that was read as evidence: its run, number and hash of its last event."""

    run: str
    events: int
    head: str


class GatesUsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gates file that judged a step."""

    name: str
    rehearsal: bool
    hash: str
    promotion_hash: str


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a strategy was like before it traded: the measure of all that comes.

    Attributes
    ----------
    searched_sharpe, sealed_sharpe : float
        Annual, of daily returns on the searched and on the sealed bars.
    sealed_years : float
    haircut_sharpe : float
        Annual, shrunk (`shrunk_sharpe`): what is expected from now on.
    daily_sd : float
        Of daily returns on the searched bars, a fraction of capital.
    horizons : tuple of int
        Days.
    drawdown_95, drawdown_99 : tuple of float
        Bootstrapped bounds of the greatest drawdown within each horizon, fractions of capital.
    costs : mapping
        `CostModel` of its study, with which it is shadowed.
    leverage : float
        Of its study.
    """

    searched_sharpe: float
    sealed_sharpe: float
    sealed_years: float
    haircut_sharpe: float
    daily_sd: float
    horizons: tuple[int, ...]
    drawdown_95: tuple[float, ...]
    drawdown_99: tuple[float, ...]
    costs: Mapping[str, Any]
    leverage: float

    @property
    def daily_sharpe(self) -> float:
        """The haircut ratio of one day."""
        return self.haircut_sharpe / math.sqrt(365.0)

    def drawdown_bound(self, days: int, level: float) -> float:
        """Bound for a number of days: that of the longest horizon within them, never a laxer one.

        Below the shortest horizon it is scaled by the root of time.
        """
        bounds = self.drawdown_95 if level == 0.95 else self.drawdown_99
        within = [n for n, horizon in enumerate(self.horizons) if horizon <= days]
        if within:
            return bounds[within[-1]]
        return bounds[0] * math.sqrt(max(days, 1) / self.horizons[0])


class Grounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a step rests on.

    Attributes
    ----------
    target : str
    cap : Decimal
        Full capital: that of ``live_100``, quote units.
    scale : Decimal
        1, or 1/2 after an amber alarm.
    mark : str
        ``REHEARSAL`` if the dossier is one.
    gates : GatesUsed or None
        None where no gate is asked.
    results : tuple of mapping
        Verdicts, see `GateResult.to_plain`.
    runs : tuple of RunRef
    baseline : Baseline or None
        From the step to paper on.
    sealed_ms : tuple of int
        Span of the sealed bars that the dossier opened; empty before there is a dossier.
    fresh_from_ms : int
        Bars that close before are no evidence for this deployment any more.
    decision : str
        Decision of the engine that lets it leave paper; empty for every other step.
    """

    target: str
    cap: Decimal
    scale: Decimal = Decimal(1)
    mark: str = ""
    gates: GatesUsed | None = None
    results: tuple[Mapping[str, Any], ...] = ()
    runs: tuple[RunRef, ...] = ()
    baseline: Baseline | None = None
    sealed_ms: tuple[int, ...] = ()
    fresh_from_ms: int = 0
    decision: str = ""
    schema: int = SCHEMA

    def to_plain(self) -> dict[str, Any]:
        """Form in the log."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def grounds_of(data: DeploymentChanged) -> Grounds:
    """Grounds of a row.

    Raises
    ------
    RefusedError
        If the row has none, or not in a known form: no command of this platform wrote it.
    """
    try:
        grounds = msgspec.convert(dict(data.evidence), Grounds, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(
            f"the step of {data.deployment} to {data.to_stage} has no grounds", why=str(error)
        ) from None
    if grounds.schema != SCHEMA:
        raise RefusedError(f"the grounds of {data.deployment} are of another version")
    return grounds


def unmet(results: Sequence[Mapping[str, Any]], stage: str) -> list[str]:
    """What speaks against a step by its stored verdicts, judged once more; empty if nothing.

    Parameters
    ----------
    results : sequence of mapping
        `GateResult.to_plain`.
    stage : str
        Stage of the gates that must be there, such as ``G4``; ``G3`` stands for the whole dossier.
    """
    own = [result for result in results if result["stage"] == stage or stage == DOSSIER]
    if not any(result["veto"] for result in own):
        return [f"{stage} was not judged"]
    return [shortfall(one, {}) for one in own if one["veto"] and not _reached(one)]


def _reached(result: Mapping[str, Any]) -> bool:
    value, threshold = result["value"], result["threshold"]
    if value is None or not math.isfinite(value):
        return False
    passed = value >= threshold if result["bound"] == "at least" else value <= threshold
    return bool(passed) and result["verdict"] == "pass"
