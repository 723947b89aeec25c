"""Promotion put together: dossiers, gates, logs and baselines for the deployment manager."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.decision.approvals import Uptime, account_named
from genesis.decision.deployments import Deployment, read_book
from genesis.decision.grounds import Baseline, GatesUsed, RunRef
from genesis.decision.manager import StrategyDeploymentManager
from genesis.decision.ports import Measured, Standing
from genesis.decision.stages import Target
from genesis.domain.errors import ConfigError, RefusedError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from genesis.decision.retirement import Health
    from genesis.domain.clock import Clock
    from genesis.evidence.dossier import Dossier
    from genesis.evidence.gates import GatesFile, PromotionGates
    from genesis.evolution.material import StudyMaterial
    from genesis.evolution.store import StoredStrategy
    from genesis.paper.agreement import Agreement
    from genesis.paper.logged import LoggedRun
    from genesis.trading.payloads import DeploymentAdded, RunStarted

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LIVE_MODE = "live"
"""Mode in the first event of a run whose orders are a deployment's own."""
PAPER_MODES = ("replay", "backtest-validation", "testnet")
"""Modes that are evidence for G4; a simulated market is nobody's backtest."""
NETWORKS = {Target.LOOPBACK: "local", Target.TESTNET: "testnet", Target.MAINNET: "mainnet"}
"""Network in a run's facts that each target is traded on."""
HORIZONS = (30, 60, 90, 120, 180, 270, 365, 545, 730, 1_095, 1_460, 1_825)
REHEARSAL_GATES = "gates.rehearsal.yaml"


@dataclass(frozen=True, slots=True)
class _Run:
    """A log that counts, and what it came to."""

    logged: LoggedRun
    agreement: Agreement

    @property
    def ref(self) -> RunRef:
        """Its name in the grounds of a step."""
        return RunRef(self.logged.run, self.logged.events, self.logged.head)


class WorkspaceEvidence:
    """Evidence on the strategies of a workspace.

    Parameters
    ----------
    workspace : Workspace
    gates : Path or None
        Gates of a rehearsal, for loopback venues and the testnet.
    """

    def __init__(self, workspace: Workspace, gates: Path | None = None) -> None:
        self._workspace = workspace
        self._home = workspace.home
        self._gates = gates

    # ---- what research says ----------------------------------------------------------------

    def standing(self, strategy: str, target: Target) -> Standing:
        """Dossier of a strategy that stands, and the gates that judge its promotion.

        Raises
        ------
        RefusedError
            If no dossier stands, it is a rehearsal's and the target real, or gates were changed.
        """
        dossier = self.dossier(strategy, target)
        file = self._gates_for(dossier, target)
        block = _promotion_of(file)
        rehearsal = dossier.rehearsal or file.rehearsal
        return Standing(
            strategy=dossier.strategy,
            dossier_hash=dossier.digest,
            mark="REHEARSAL" if rehearsal else "",
            gates=GatesUsed(file.name, file.rehearsal, file.hash, block.hash),
            settings=block.settings,
            results=tuple(dossier.gates),
            sealed_ms=tuple(int(ms) for ms in dossier.facts.get("sealed_ms", ())),
        )

    def dossier(self, strategy: str, target: Target) -> Dossier:
        """The dossier that stands and that a target accepts.

        Raises
        ------
        RefusedError
        """
        from genesis.evidence.dossier import promotable

        try:
            dossier = promotable(self._home, strategy)
        except RefusedError:
            practice = None if target is Target.MAINNET else self._rehearsed(strategy)
            if practice is None:
                raise
            dossier = practice
        if dossier.rehearsal and target is Target.MAINNET:
            raise RefusedError(
                f"the dossier of {dossier.strategy} is a rehearsal's: {target} does not accept it",
                why="its bars are lower than the production gates'; it is for loopback and testnet",
                fix=f"judge it by the production gates: genesis validate {dossier.strategy}",
            )
        return dossier

    def _rehearsed(self, strategy: str) -> Dossier | None:
        """The rehearsal's dossier beside one that did not pass; None if none stands and passed."""
        from genesis.evidence.dossier import dossier_folder, stored_dossier
        from genesis.evidence.dossier_checks import refuse_changed_gates, refuse_fallen
        from genesis.evolution.store import StrategyStore

        record = StrategyStore(self._workspace.strategies).get(strategy)
        path = dossier_folder(self._home) / f"{record.id}.rehearsal.json"
        if not path.exists():
            return None
        refuse_changed_gates()
        dossier = stored_dossier(path)
        refuse_fallen(self._home, dossier, record)
        return dossier if dossier.passed and dossier.rehearsal else None

    def _gates_for(self, dossier: Dossier, target: Target) -> GatesFile:
        from genesis.evidence.gates import PRODUCTION, load_gates

        if target is Target.MAINNET:
            if self._gates is not None:
                raise RefusedError(
                    f"{target} is judged by the production gates alone", fix="leave out --gates"
                )
            file = load_gates()
            if not file.counts:
                raise RefusedError(f"the gates of {PRODUCTION} are not the production gates")
            return file
        if self._gates is None and not dossier.rehearsal:
            return load_gates()
        path = self._gates or PRODUCTION.with_name(REHEARSAL_GATES)
        file = load_gates(path)
        if not file.rehearsal:
            raise ConfigError(f"{path} is no rehearsal", fix="leave out --gates")
        return file

    def gates(self, strategy: str, target: Target) -> PromotionGates:
        """The gates of promotion that judge a strategy at a target."""
        return _promotion_of(self._gates_for(self.dossier(strategy, target), target))

    # ---- what it was like before it traded ---------------------------------------------------

    def baseline(self, strategy: str, target: Target) -> Baseline:
        """Numbers of the study's data that everything after is compared with.

        Raises
        ------
        RefusedError
            If the data are not those of the dossier, or nothing is left after the haircut.
        InputError
            If no finished run that found the strategy is here.
        """
        import numpy as np

        from genesis.backtest.metrics import sharpe
        from genesis.decision.live_measures import YEAR, shrunk_sharpe
        from genesis.domain.timeline import DAY_MS
        from genesis.validation.drawdown import drawdown_bounds

        dossier = self.dossier(strategy, target)
        settings = self.gates(strategy, target).settings
        material = self._material(dossier)
        _, returns = _daily(material, self._record(dossier.strategy).strategy)
        sealed = dossier.facts["details"].get("sealed") or {}
        start, end = dossier.facts["sealed_ms"]
        years = (end - start) / DAY_MS / YEAR
        searched = float(np.nan_to_num(sharpe(returns, YEAR)))
        measured = float(sealed["sharpe"]) if "sharpe" in sealed else 0.5 * searched
        haircut = shrunk_sharpe(measured, years, settings.haircut_tau)
        sd = float(np.std(returns, ddof=1))
        if not (haircut > 0.0 and sd > 0.0):
            raise RefusedError(
                f"nothing is left of the edge of {dossier.strategy} after the haircut",
                why=f"an annual Sharpe ratio of {measured:.2f} over {years:.2f} years is shrunk to"
                f" {haircut:.2f}",
            )
        rng = np.random.default_rng(settings.drawdown_seed)
        bounds = drawdown_bounds(returns, HORIZONS, (0.95, 0.99), settings.drawdown_draws, rng)
        return Baseline(
            searched_sharpe=searched,
            sealed_sharpe=measured,
            sealed_years=years,
            haircut_sharpe=haircut,
            daily_sd=sd,
            horizons=HORIZONS,
            drawdown_95=tuple(bounds[0].tolist()),
            drawdown_99=tuple(bounds[1].tolist()),
            costs=material.setup.costs.plain(),
            leverage=material.setup.leverage,
        )

    def _record(self, strategy: str) -> StoredStrategy:
        from genesis.evolution.store import StrategyStore

        return StrategyStore(self._workspace.strategies).get(strategy)

    def _material(self, dossier: Dossier) -> StudyMaterial:
        from genesis.evolution.material import study_material
        from genesis.system.validation_target import first_finder

        run = first_finder(self._record(dossier.strategy), self._workspace)
        material = study_material(run.config, self._home)
        then = dossier.facts["hashes"].get("dataset")
        if then != material.identity.dataset_hash:
            raise RefusedError(
                f"the bars of {material.panel.name} are not those of the dossier",
                why=f"their hash was {str(then)[:12]} and is {material.identity.dataset_hash[:12]}",
                fix="import the old bars again, or validate anew",
            )
        return material

    # ---- what trading says -------------------------------------------------------------------

    def measure(self, deployment: Deployment, gate: str) -> Measured:
        """Judge G4 by paper runs, G5 and G6 by the deployment's own, from their logs.

        Raises
        ------
        RefusedError
            If a log that would count was changed.
        """
        from genesis.decision.live_measures import canary_measures, sanity, step_measures

        block = self.gates(deployment.strategy, deployment.target)
        settings, baseline = block.settings, _baseline_of(deployment)
        live = gate != "G4"
        runs = list(self._live_runs(deployment) if live else self._paper_runs(deployment))
        found = _pooled(runs)
        measures: dict[str, Any] = {}
        if found is not None:
            prefix = "canary" if gate == "G5" else "paper"
            if gate != "G6":
                measures = found.measures(prefix, settings.equivalence_margin)
            if gate == "G4":
                measures["paper_sanity"] = sanity(found.returns, baseline, settings)
            elif gate == "G5":
                days = measures["canary_days"]
                measures |= canary_measures(found.returns, baseline, settings)
                measures["canary_days"] = days
            else:
                least = max(
                    (g.threshold for g in block.gates if g.measure == "step_days"), default=0.0
                )
                step = sum(part.agreement.days for part in self._cut(runs, deployment.since_ms))
                measures = step_measures(found.returns, int(step), least, baseline, settings)
        results = tuple(one.to_plain() for one in block.judge(measures, gate))
        return Measured(results, tuple(run.ref for run in runs))

    def health(self, deployment: Deployment) -> Health:
        """Judge a live deployment by the logs of its runs."""
        import numpy as np

        from genesis.decision.retirement import Fidelity, health

        settings = self.gates(deployment.strategy, deployment.target).settings
        found = _pooled(list(self._live_runs(deployment)))
        returns = found.returns if found is not None else np.empty(0)
        fidelity = (
            Fidelity(found.position_match, found.slippage) if found is not None else Fidelity()
        )
        return health(returns, _baseline_of(deployment), fidelity, settings)

    def _paper_runs(self, deployment: Deployment) -> Iterator[_Run]:
        """Paper runs that count, the newest first; no day counts twice."""
        from genesis.domain.instrument import base_asset

        wanted = {base_asset(symbol) for symbol in deployment.symbols}

        def fits(started: RunStarted, added: Sequence[DeploymentAdded]) -> bool:
            traded = {base_asset(one.symbol) for one in added}
            return started.mode in PAPER_MODES and wanted <= traded

        yield from self._runs(deployment, deployment.fresh_from_ms, fits)

    def _live_runs(self, deployment: Deployment) -> Iterator[_Run]:
        """Runs of the deployment's own orders since its canary began, the newest first."""
        from genesis.paper.logged import market_of

        def fits(started: RunStarted, added: Sequence[DeploymentAdded]) -> bool:
            market = market_of(started)
            accounts = market.get("accounts", {})
            addresses = {str(accounts.get(one.account, "")).lower() for one in added}
            return (
                started.mode == LIVE_MODE
                and market.get("network") == NETWORKS[deployment.target]
                and addresses == {deployment.account}
            )

        yield from self._runs(deployment, deployment.live_since_ms, fits)

    def _runs(self, deployment: Deployment, since_ms: int, fits: Any) -> Iterator[_Run]:
        from genesis.costs.model import CostModel
        from genesis.paper.agreement import agreement
        from genesis.paper.logged import read_logged, started_of
        from genesis.trading.run_folders import list_runs

        baseline = _baseline_of(deployment)
        costs = CostModel.from_plain(dict(baseline.costs))
        taken: set[int] = set()
        for folder in reversed(list_runs(self._home)):
            started, added = started_of(folder)
            own = [one for one in added if one.strategy_id == deployment.strategy]
            if started is None or not own or not fits(started, own):
                continue
            logged = read_logged(folder, lambda one: one.strategy_id == deployment.strategy)
            if logged is None or logged.strategy.id != deployment.strategy:
                continue
            found = agreement(logged, costs, baseline.leverage, since_ms)
            if found is None or not found.day_ms.size:
                continue
            days = set(found.day_ms.tolist())
            if taken & days:
                continue  # a day that a newer run traded already
            taken |= days
            yield _Run(logged, found)

    def _cut(self, runs: Sequence[_Run], since_ms: int) -> list[_Run]:
        """The runs as far as they lie in the present stage."""
        from dataclasses import replace

        cut = []
        for run in runs:
            days = run.agreement.day_ms
            inside = float((days >= since_ms).sum())
            if inside:
                cut.append(_Run(run.logged, replace(run.agreement, days=inside)))
        return cut

    # ---- the book ----------------------------------------------------------------------------

    def admission(self, deployment: Deployment, book: Sequence[Deployment]) -> str:
        """Why a strategy adds nothing to the deployments beyond paper; empty if it does."""
        import math

        import numpy as np

        from genesis.backtest.metrics import sharpe
        from genesis.decision.allocation import admission_problem
        from genesis.decision.live_measures import YEAR

        others = [one for one in book if one.strategy != deployment.strategy]
        if not others:
            return ""
        days, matrix = self.common_returns([deployment, *others])
        del days
        settings = self.gates(deployment.strategy, deployment.target).settings
        weights = np.array([float(one.cap) for one in others])
        held = matrix[:, 1:] @ (weights / weights.sum()) if matrix.size else np.empty(0)
        whole = float(np.nan_to_num(sharpe(held, YEAR)))
        known = [one.baseline.haircut_sharpe for one in others if one.baseline is not None]
        # The book's ratio is shrunk as its parts are: measured ratios would bar every newcomer.
        parts = [
            float(np.nan_to_num(sharpe(matrix[:, n], YEAR))) for n in range(1, matrix.shape[1])
        ]
        shrink = float(np.mean(known)) / float(np.mean(parts)) if np.mean(parts) > 0.0 else 1.0
        return admission_problem(
            _baseline_of(deployment).haircut_sharpe,
            matrix[:, 0] if matrix.size else np.empty(0),
            held,
            whole * min(shrink, 1.0) if math.isfinite(shrink) else whole,
            settings.correlation_margin,
        )

    def common_returns(self, deployments: Sequence[Deployment]) -> tuple[Ints, Floats]:
        """Daily backtest returns on the days that all have, shapes (days,) and (days, N)."""
        import numpy as np

        series = []
        for one in deployments:
            dossier = self.dossier(one.strategy, one.target)
            material = self._material(dossier)
            series.append(_daily(material, self._record(one.strategy).strategy))
        days = series[0][0]
        for stamps, _ in series[1:]:
            days = np.intersect1d(days, stamps)
        columns = [values[np.isin(stamps, days)] for stamps, values in series]
        return days, np.stack(columns, axis=1)


def _promotion_of(file: GatesFile) -> PromotionGates:
    if file.promotion is None:
        raise RefusedError(
            f"the gates '{file.name}' say nothing of promotion",
            fix="take over the block `promotion` of configs/gates.rehearsal.yaml",
        )
    return file.promotion


def _baseline_of(deployment: Deployment) -> Baseline:
    if deployment.baseline is None:
        raise RefusedError(
            f"{deployment.id} has no baseline", fix="genesis promote STRATEGY --to paper makes it"
        )
    return deployment.baseline


def _daily(material: StudyMaterial, strategy: Any) -> tuple[Ints, Floats]:
    """UTC days and daily returns of a strategy on the searched bars of its study."""
    from genesis.backtest.frame import day_stops
    from genesis.backtest.portfolio import backtest_strategy
    from genesis.domain.timeline import DAY_MS
    from genesis.evidence.returns import daily_returns

    panel = material.search
    result = backtest_strategy(panel, strategy, material.setup)
    stamps = panel.ts_ms[day_stops(panel.ts_ms) - 1] // DAY_MS * DAY_MS
    return stamps, daily_returns(panel.ts_ms, result.returns)


def _pooled(runs: Sequence[_Run]) -> Agreement | None:
    from genesis.paper.agreement import pooled

    return pooled([run.agreement for run in runs])


# ---- for commands ----------------------------------------------------------------------------


def uptime() -> Uptime:
    """How long this machine is up, by a clock that nobody sets."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return Uptime()
    return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))


def deployment_manager(
    workspace: Workspace, gates: Path | None = None, clock: Clock | None = None
) -> StrategyDeploymentManager:
    """The manager of a workspace's deployments.

    Parameters
    ----------
    workspace : Workspace
    gates : Path, optional
        Gates of a rehearsal.
    clock : Clock, optional
        That of the machine by default.
    """
    return StrategyDeploymentManager(
        workspace.home,
        WorkspaceEvidence(workspace, gates),
        clock or SystemClock(),
        nonce=lambda: secrets.token_hex(32),
        uptime=uptime(),
    )


def live_deployments(home: Path, account: str) -> tuple[Deployment, ...]:
    """Deployments whose orders go out on an account, for whoever sends them.

    The chain of the log of operations is verified, every row of it judged, and the dossier of each
    deployment must stand and be the one that it was promoted with.

    Parameters
    ----------
    home : Path
        Workspace.
    account : str
        Address.

    Returns
    -------
    tuple of Deployment
        In order of their ids: strategy, symbols, stage, capital, target, dossier hash.

    Raises
    ------
    RefusedError
        If a row, a dossier or the gates were changed: nothing may be sent then.
    """
    wanted = account_named(account)
    _, book = read_book(home)
    found = sorted((d for d in book.real() if d.account == wanted), key=lambda d: d.id)
    evidence = WorkspaceEvidence(Workspace(home))
    for one in found:
        digest = evidence.dossier(one.strategy, one.target).digest
        if digest != one.dossier_hash:
            raise RefusedError(
                f"the dossier of {one.strategy} is not the one that it was promoted with",
                why=f"it was {one.dossier_hash[:12]} and is {digest[:12]}",
                fix=f"restore the dossier, or: genesis retire {one.strategy}",
            )
    return tuple(found)
