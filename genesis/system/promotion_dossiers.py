"""What research says of a strategy that is to be promoted: dossier, gates, baseline, returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.decision.grounds import Baseline, GatesUsed
from genesis.decision.ports import Standing
from genesis.decision.stages import Target
from genesis.domain.errors import ConfigError, RefusedError
from genesis.domain.shipped import shipped
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from genesis.decision.deployments import Deployment
    from genesis.evidence.dossier import Dossier
    from genesis.evidence.gates import GatesFile, PromotionGates
    from genesis.evolution.material import StudyMaterial
    from genesis.evolution.store import StoredStrategy

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

HORIZONS = (30, 60, 90, 120, 180, 270, 365, 545, 730, 1_095, 1_460, 1_825)
"""Days for which drawdown bounds are kept."""
REHEARSAL_GATES = "gates.rehearsal.yaml"
UNSEALED_SHARE = 0.5
"""Of the searched Sharpe ratio, in place of a sealed one that a rehearsal does not have."""


class DossierEvidence:
    """What research says of the strategies of a workspace.

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

        A rehearsal whose gates ask for no sealed bars has no Sharpe ratio on them. Half of the
        searched one stands in: that is the best of many, and twice too high by the reason that
        the production gates give for their own bar (`sealed_ratio` of configs/gates.yaml). The
        haircut then takes it for one measured over the sealed span. What passed the production
        gates has a sealed ratio; without one it is refused.

        Raises
        ------
        RefusedError
            If the data are not those of the dossier, nothing is left after the haircut, or what is
            no rehearsal has no sealed ratio.
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
        if "sharpe" not in sealed and not dossier.rehearsal:
            raise RefusedError(
                f"the dossier of {dossier.strategy} has no Sharpe ratio on sealed bars",
                why="only a rehearsal goes on without",
                fix=f"genesis validate {dossier.strategy}",
            )
        measured = float(sealed.get("sharpe", UNSEALED_SHARE * searched))
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
            fix=f"take over the block `promotion` of {shipped('configs/gates.rehearsal.yaml')}",
        )
    return file.promotion


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
