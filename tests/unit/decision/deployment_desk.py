"""A workspace with a deployment manager whose evidence the test says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genesis.decision.approvals import Approval, Uptime
from genesis.decision.deployments import Deployment
from genesis.decision.grounds import Baseline, GatesUsed, RunRef
from genesis.decision.manager import StrategyDeploymentManager
from genesis.decision.operations import OperationsLog
from genesis.decision.ports import Consent, Measured, Standing, Wish
from genesis.decision.retirement import Alarm, Health
from genesis.decision.stages import Target
from genesis.domain.errors import RefusedError
from genesis.evidence.gates import PromotionGates, load_gates
from genesis.trading.payloads import DeploymentChanged
from tests.unit.decision.operation_samples import decided

DAY = 86_400_000
ACCOUNT = "0x" + "ab" * 18 + "00c1"
OTHER = "0x" + "cd" * 18 + "00d2"
STRATEGY = "strat_0123456789ab"
STAGES_UP = ("paper", "canary", "live_25", "live_50", "live_100")
PRODUCTION = load_gates()
assert PRODUCTION.promotion is not None
GATES: PromotionGates = PRODUCTION.promotion

BASELINE = Baseline(
    searched_sharpe=3.0,
    sealed_sharpe=2.0,
    sealed_years=3.0,
    haircut_sharpe=0.857,
    daily_sd=0.01,
    horizons=(30, 60, 365),
    drawdown_95=(0.06, 0.09, 0.2),
    drawdown_99=(0.09, 0.13, 0.3),
    costs={"taker": 4.5e-4, "maker": 1.5e-4, "slippage": 2e-4, "slippage_noise": 0.0, "seed": 0},
    leverage=3.0,
)

GOOD: dict[str, dict[str, Any]] = {
    "G4": {
        "paper_days": 30.0,
        "paper_trades": 50.0,
        "paper_position_match": 0.99,
        "paper_held_match": 0.97,
        "paper_slippage": 1.0,
        "paper_equivalence": 0.05,
        "paper_sanity": 20.0,
    },
    "G5": {
        "canary_days": 60.0,
        "canary_position_match": 0.995,
        "canary_held_match": 0.97,
        "canary_slippage": 0.9,
        "canary_equivalence": 0.01,
        "canary_drawdown": 1.0,
        "canary_upper_bound": 0.0,
    },
    "G6": {"step_days": 30.0, "step_sprt": -1.56},
}


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.ms = now_ms
        self.ticks = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        self.ticks += 0.001
        return self.ticks


def dossier_results(passed: bool = True) -> tuple[dict[str, Any], ...]:
    """Verdicts of G0 to G3 of a dossier."""
    values = {g.measure: g.threshold for g in PRODUCTION.gates}
    if not passed:
        values["sealed_ratio"] = 0.3
    return tuple(r.to_plain() for r in PRODUCTION.judge(values, "G0", "G1", "G2", "G3"))


@dataclass
class Evidence:
    """What the manager is told; everything is good unless the test says otherwise."""

    dossier: str = "d" * 64
    rehearsal: bool = False
    gates_hash: str = GATES.hash
    passed: bool = True
    sealed_ms: tuple[int, ...] = (0, 1)
    problem: RefusedError | None = None
    measures: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {k: dict(v) for k, v in GOOD.items()}
    )
    refusal: str = ""
    verdict: Health = field(default_factory=lambda: Health(Alarm.GREEN, (), {}))
    settings: Any = GATES.settings
    known: frozenset[str] = frozenset()
    asked: int = 0
    on_standing: Any = None

    def standing(self, strategy: str, target: Target) -> Standing:
        self.asked += 1
        if self.on_standing is not None:
            self.on_standing(self.asked)
        if self.problem is not None:
            raise self.problem
        if self.rehearsal and target is Target.MAINNET:
            raise RefusedError("a rehearsal's dossier", why="mainnet does not accept it")
        name = "rehearsal" if self.rehearsal else "production"
        return Standing(
            strategy=strategy,
            dossier_hash=self.dossier,
            mark="REHEARSAL" if self.rehearsal else "",
            gates=GatesUsed(name, self.rehearsal, PRODUCTION.hash, self.gates_hash),
            settings=self.settings,
            results=dossier_results(self.passed),
            sealed_ms=self.sealed_ms,
        )

    def symbols(self) -> frozenset[str]:
        return self.known

    def baseline(self, strategy: str, target: Target) -> Baseline:
        return BASELINE

    def measure(self, deployment: Deployment, gate: str) -> Measured:
        results = tuple(r.to_plain() for r in GATES.judge(self.measures[gate], gate))
        return Measured(results, (RunRef("run", 10, "0" * 64),))

    def admission(self, deployment: Deployment, book: Sequence[Deployment]) -> str:
        return self.refusal if book else ""

    def health(self, deployment: Deployment) -> Health:
        return self.verdict


@dataclass
class Engine:
    """A decision engine that approves, unless the test says otherwise."""

    home: Path
    clock: ManualClock
    refusal: RefusedError | None = None
    silent: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def approved(self, deployment: Deployment, runs: Sequence[RunRef]) -> str:
        self.asked.append((deployment.strategy, tuple(one.run for one in runs)))
        if self.refusal is not None:
            raise self.refusal
        if self.silent:
            return ""
        with OperationsLog.open(self.home, self.clock) as log:
            made = decided(
                log.new_id("DEC"), kind="new_strategy_approval", strategy=deployment.strategy,
                action="approve", acts=True, review="none", deadline_ms=None,
            )  # fmt: skip
            log.append(made, aggregate=made.decision)
        return made.decision


@dataclass
class Desk:
    """Workspace, clock, evidence and manager."""

    home: Path
    clock: ManualClock = field(default_factory=ManualClock)
    evidence: Evidence = field(default_factory=Evidence)
    uptime: Uptime = field(default_factory=Uptime)

    def __post_init__(self) -> None:
        self.engine = Engine(self.home, self.clock)
        self._count = itertools.count(1)

    @property
    def manager(self) -> StrategyDeploymentManager:
        return StrategyDeploymentManager(
            self.home,
            self.evidence,
            self.clock,
            engine=self.engine,
            nonce=lambda: f"{next(self._count):064x}",
            uptime=self.uptime,
        )

    def wish(self, **changes: Any) -> Wish:
        values: dict[str, Any] = {
            "strategy": STRATEGY,
            "account": ACCOUNT,
            "target": Target.TESTNET,
            "symbols": ("BTC",),
            "cap": Decimal(2000),
        }
        return Wish(**(values | changes))

    def typed(self, words: str) -> Consent:
        """A person who types what is asked."""
        return Consent(typed=words)

    def promote(self, to: str, consent: Any = None, **changes: Any) -> Deployment:
        return self.manager.promote(
            self.wish(**changes), to, "ann", consent if consent is not None else self.typed
        )

    def approve(self, to: str, **changes: Any) -> Approval:
        life = changes.pop("life_ms", 600_000)
        return self.manager.approve(self.wish(**changes), to, "bob", "looked at it", life_ms=life)

    def up_to(self, stage: str, **changes: Any) -> Deployment:
        """Take it up step by step."""
        done = None
        now = self.manager.find(self.wish(**changes))
        start = STAGES_UP.index(now.stage) + 1 if now is not None and now.stage in STAGES_UP else 0
        for one in STAGES_UP[start : STAGES_UP.index(stage) + 1]:
            done = self.promote(one, **changes)
        assert done is not None
        return done

    def stage(self, **changes: Any) -> str:
        found = self.manager.find(self.wish(**changes))
        return found.stage if found is not None else ""

    def changes(self) -> list[DeploymentChanged]:
        """Rows of steps in the log."""
        from genesis.trading.store import EventReader

        with EventReader(self.home / "operations") as reader:
            return [e.data for e in reader.events() if isinstance(e.data, DeploymentChanged)]


def red(*reasons: str) -> Health:
    return Health(Alarm.RED, reasons or ("drawdown 0.3 is beyond 0.13, the 99 % bound",), {})


def green() -> Health:
    return Health(Alarm.GREEN, (), {})


def amber() -> Health:
    return Health(Alarm.AMBER, ("the CUSUM is 20.0, amber from 15.0 on",), {})


def copied(value: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(value, **changes)
