"""What the deployment manager asks for, and where it asks: wishes, consent, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from genesis.decision.approvals import Approval
from genesis.decision.deployments import Deployment, deployment_id
from genesis.decision.grounds import Baseline, GatesUsed, RunRef
from genesis.decision.retirement import Health
from genesis.decision.stages import Target
from genesis.evidence.measures import PromotionSettings


@dataclass(frozen=True, slots=True)
class Standing:
    """What research says of a strategy: the dossier that stands.

    Attributes
    ----------
    strategy, dossier_hash, mark : str
    gates : GatesUsed
        Gates that judge its promotion.
    settings : PromotionSettings
    results : tuple of mapping
        Verdicts of G0 to G3.
    sealed_ms : tuple of int
    """

    strategy: str
    dossier_hash: str
    mark: str
    gates: GatesUsed
    settings: PromotionSettings
    results: tuple[Mapping[str, Any], ...]
    sealed_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for a step: verdicts of its gate, and the logs that were read.

    Where there was nothing to measure, ``absent`` says why and ``fix`` what leads to something.
    ``aside`` names runs that were left out of what was measured, and why.
    """

    results: tuple[Mapping[str, Any], ...]
    runs: tuple[RunRef, ...] = ()
    absent: str = ""
    fix: str = ""
    aside: str = ""


class EvidencePort(Protocol):
    """Where evidence comes from; nothing of it is taken from a file that could be edited."""

    def standing(self, strategy: str, target: Target) -> Standing:
        """Dossier of a strategy that stands, and the gates here.

        Raises
        ------
        RefusedError
            Naming what is missing or does not match.
        """
        ...

    def symbols(self) -> frozenset[str]:
        """Symbols that are known here, by stored bars and runs; empty if nothing is."""
        ...

    def baseline(self, strategy: str, target: Target) -> Baseline:
        """What the strategy was like before it traded."""
        ...

    def measure(self, deployment: Deployment, gate: str) -> Measured:
        """Judge G4, G5 or G6 by the logs of its runs."""
        ...

    def admission(self, deployment: Deployment, book: Sequence[Deployment]) -> str:
        """Why a strategy adds nothing to the book; empty if it does."""
        ...

    def health(self, deployment: Deployment) -> Health:
        """Judge a live deployment by the logs of its runs."""
        ...


class EnginePort(Protocol):
    """Where the decision engine's word on a strategy comes from."""

    def approved(self, deployment: Deployment, runs: Sequence[RunRef]) -> str:
        """Id of the decision on record that lets a strategy leave paper on these runs.

        Raises
        ------
        RefusedError
            If there is none: the engine says no, or somebody has to look first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """A deployment that somebody asks for.

    Attributes
    ----------
    strategy, account : str
    target : Target
    symbols : tuple of str
    cap : Decimal or None
        Full capital, quote units; None leaves it as it is.
    """

    strategy: str
    account: str
    target: Target
    symbols: tuple[str, ...] = ()
    cap: Decimal | None = None

    @property
    def id(self) -> str:
        """Id of the deployment."""
        return deployment_id(self.strategy, self.account, self.target)


@dataclass(frozen=True, slots=True)
class Consent:
    """How a person approves: what was typed, or the content of a file."""

    typed: str = ""
    file: Approval | None = None
