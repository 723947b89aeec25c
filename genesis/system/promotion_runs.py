"""What trading says of a strategy that is to be promoted, from the chained logs of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genesis.decision.grounds import Baseline, RunRef
from genesis.decision.ports import Measured
from genesis.decision.stages import Target
from genesis.domain.errors import GenesisError, RefusedError
from genesis.system.promotion_dossiers import DossierEvidence

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment
    from genesis.decision.retirement import Health
    from genesis.paper.agreement import Agreement
    from genesis.paper.logged import LoggedRun
    from genesis.system.promotion_absent import Absent
    from genesis.trading.payloads import DeploymentAdded, RunStarted

LIVE_MODE = "live"
"""Mode in the first event of a run whose orders are a deployment's own."""
PAPER_MODES = ("replay", "backtest-validation", "testnet")
"""Modes that are evidence for G4; a simulated market is nobody's backtest."""
NETWORKS = {Target.LOOPBACK: "local", Target.TESTNET: "testnet", Target.MAINNET: "mainnet"}
"""Network in a run's facts that each target is traded on."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A log that counts, and what it came to."""

    logged: LoggedRun
    agreement: Agreement

    @property
    def ref(self) -> RunRef:
        """Its name in the grounds of a step."""
        return RunRef(self.logged.run, self.logged.events, self.logged.head)


class WorkspaceEvidence(DossierEvidence):
    """All evidence on the strategies of a workspace."""

    # ---- what is known of markets --------------------------------------------------------------

    def symbols(self) -> frozenset[str]:
        """Symbols of stored bars, and of what trades in a run."""
        from genesis.market.store import BarStore
        from genesis.paper.logged import started_of
        from genesis.trading.run_folders import list_runs

        store = BarStore(self._workspace.data)
        stored = {name for venue in store.venues() for name in store.symbols(venue)}
        for folder in list_runs(self._home):
            with suppress(GenesisError):  # a log that cannot be read tells of no symbol
                stored |= {one.symbol for one in started_of(folder)[1]}
        return frozenset(stored)

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
        runs = list(
            self._live_runs(deployment, own_size=True) if live else self._paper_runs(deployment)
        )
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
                step = int((found.day_ms >= deployment.since_ms).sum())
                measures = step_measures(found.returns, step, least, baseline, settings)
        results = tuple(one.to_plain() for one in block.judge(measures, gate))
        aside = self._aside(deployment, live=live)
        if found is None:
            none = self._absent(deployment, live=live)
            return Measured(results, absent=none.why, fix=none.fix, aside=aside)
        return Measured(results, tuple(run.ref for run in runs), aside=aside)

    def _aside(self, deployment: Deployment, *, live: bool) -> str:
        """Runs that do not count because of their sizes."""
        from genesis.system.promotion_absent import sized_live, sized_on_paper

        if live:
            return sized_live(self._home, deployment, LIVE_MODE, NETWORKS[deployment.target])
        return sized_on_paper(self._home, deployment, PAPER_MODES)

    def _absent(self, deployment: Deployment, *, live: bool) -> Absent:
        """Why no run counts."""
        from genesis.system.promotion_absent import nothing_live, nothing_on_paper

        if live:
            network = NETWORKS[deployment.target]
            return nothing_live(self._home, deployment, LIVE_MODE, network)
        return nothing_on_paper(self._home, deployment, PAPER_MODES)

    def health(self, deployment: Deployment) -> Health:
        """Judge a live deployment by the logs of its runs, whatever sized their entries."""
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
        """Paper runs that count, the newest first; no bar counts twice.

        One with smaller entries than the strategy's own proves less than live orders would need.
        """
        from genesis.paper.logged import other_sizing
        from genesis.system.promotion_absent import missing_symbols

        def fits(started: RunStarted, added: Sequence[DeploymentAdded]) -> bool:
            counts = started.mode in PAPER_MODES and not other_sizing(added)
            return counts and not missing_symbols(deployment, added)

        yield from self._runs(deployment, deployment.fresh_from_ms, fits)

    def _live_runs(self, deployment: Deployment, *, own_size: bool = False) -> Iterator[_Run]:
        """Runs of the deployment's own orders since its canary began, the newest first.

        With ``own_size`` only those whose entries had the strategy's own sizes.
        """
        from genesis.paper.logged import other_sizing
        from genesis.system.promotion_absent import is_own

        network = NETWORKS[deployment.target]

        def fits(started: RunStarted, added: Sequence[DeploymentAdded]) -> bool:
            own = is_own(started, added, deployment.account, network)
            return started.mode == LIVE_MODE and own and not (own_size and other_sizing(added))

        yield from self._runs(deployment, deployment.live_since_ms, fits)

    def _runs(self, deployment: Deployment, since_ms: int, fits: Any) -> Iterator[_Run]:
        """Runs that fit, the one that began last first: of two on the same bars it counts."""
        from genesis.costs.model import CostModel
        from genesis.paper.agreement import agreement
        from genesis.paper.began import began_ms
        from genesis.paper.logged import read_logged, started_of
        from genesis.trading.run_folders import list_runs

        baseline = _baseline_of(deployment)
        costs = CostModel.from_plain(dict(baseline.costs))
        taken: list[tuple[int, int]] = []
        folders = sorted(list_runs(self._home), key=lambda one: (began_ms(one), one.name))
        for folder in reversed(folders):
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
            start, end = found.span_ms
            if any(start < after and before < end for before, after in taken):
                continue  # a newer run traded these bars already
            taken.append(found.span_ms)
            yield _Run(logged, found)

    # ---- the book ----------------------------------------------------------------------------

    def admission(self, deployment: Deployment, book: Sequence[Deployment]) -> str:
        """Why a strategy adds nothing to the deployments beyond paper; empty if it does.

        The same strategy on another account is the same bet, whatever its symbols there.
        """
        import math

        import numpy as np

        from genesis.backtest.metrics import sharpe
        from genesis.decision.allocation import admission_problem
        from genesis.decision.live_measures import YEAR

        others = [one for one in book if one.id != deployment.id]
        if not others:
            return ""
        twins = [one.id for one in others if one.strategy == deployment.strategy]
        if twins:  # its returns are theirs: no Sharpe ratio exceeds itself and a margin
            return f"the book holds it already, correlated 1: {', '.join(twins)}"
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


def _baseline_of(deployment: Deployment) -> Baseline:
    if deployment.baseline is None:
        raise RefusedError(
            f"{deployment.id} has no baseline", fix="genesis promote STRATEGY --to paper makes it"
        )
    return deployment.baseline


def _pooled(runs: Sequence[_Run]) -> Agreement | None:
    from genesis.paper.agreement import pooled

    return pooled([run.agreement for run in runs])
