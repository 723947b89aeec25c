"""A workspace with a bred strategy, its dossier and runs that traded it, for promotion."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from genesis.domain.canonical import content_hash
from genesis.evidence.dossier import make_dossier, write_dossier
from genesis.evidence.gates import STAGES, GatesFile, load_gates, parse_gates
from genesis.evolution.store import StoredStrategy
from genesis.paper.began import began_ms
from genesis.paper.settings import PaperMode
from genesis.system.promotion import deployment_manager
from genesis.system.workspace import Workspace
from genesis.trading.run_folders import list_runs
from tests.conftest import REPOSITORY
from tests.unit.decision.deployment_desk import ManualClock
from tests.unit.evidence.small_study import campaign_of
from tests.unit.paper.engine_runs import settings_of, take

REHEARSAL = parse_gates((REPOSITORY / "configs" / "gates.rehearsal.yaml").read_text())
PRODUCTION = load_gates()


@dataclass
class PromotionHome:
    """The workspace and what it holds."""

    home: Path
    record: StoredStrategy
    clock: ManualClock
    cache: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.home)

    def manager(self, gates: Path | None = None) -> Any:
        return deployment_manager(self.workspace, gates, self.clock)

    def judged(self, gates: GatesFile = PRODUCTION, *, sealed: bool = True, **worse: float) -> str:
        """Write a dossier that passes every gate of a file, but for some."""
        campaign = campaign_of("base", self.home)
        values = {gate.measure: gate.threshold for gate in gates.gates} | worse
        results = gates.judge(values, *STAGES)
        found = {"sharpe": 4.0, "p": 0.01, "level": 0.3, "place": 1}
        facts = {
            "run_id": "base",
            "dataset": campaign.material.panel.name,
            "searched_ms": list(campaign.material.searched_span),
            "sealed_ms": list(campaign.material.sealed_span),
            "hashes": {"dataset": campaign.material.identity.dataset_hash},
            "created_ms": 1,
            "trials": {"total": 1},
            "details": {"sealed": found} if sealed else {},
        }
        dossier = make_dossier(self.record, gates, results, facts)
        write_dossier(self.home, dossier)
        return dossier.digest

    def trade(self, run: str, days: int | None = None, **more: Any) -> Path:
        """A paper run on the study's bars, with its costs; the same one is traded once."""
        folder = self.home / "trading" / run
        known = self.cache / content_hash([days, repr(more)])[:16]
        if not known.exists():
            self._take(known, days, **more)
        before = max((began_ms(one) for one in list_runs(self.home)), default=1)
        shutil.copytree(known, folder)
        db = apsw.Connection(str(folder / "events.db"))
        db.execute("UPDATE meta SET value = ? WHERE key = 'created_ms'", (str(before + 1),))
        db.close()
        return folder

    def _take(self, folder: Path, days: int | None, **more: Any) -> None:
        material = campaign_of("base", self.home).material
        panel = material.search
        if days is not None:
            panel = panel.sliced(panel.bars - 6 * days, panel.bars)
        base: dict[str, Any] = {
            "costs": material.setup.costs.plain(),
            "leverage": material.setup.leverage,
            "mode": PaperMode.BACKTEST_VALIDATION,
        }
        take(folder, panel, settings_of([self.record.strategy], **(base | more)))


def promotion_home(bred: Path, folder: Path) -> PromotionHome:
    """A copy of the small study's workspace; the strategy is its most active one."""
    home = shutil.copytree(bred, folder / "home")
    candidates = campaign_of("base", home).candidates(10)
    best = max(candidates, key=lambda one: one.record.measures.get("trades", 0))
    return PromotionHome(home, best.record, ManualClock(1_900_000_000_000), bred.parent / "traded")
