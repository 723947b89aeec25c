"""A workspace whose strategy went from its genes to fills of its own, for the tests of evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from genesis.decision.ports import Consent, Wish
from genesis.decision.stages import Target
from genesis.paper.settings import PaperMode
from genesis.system import promotion_runs
from genesis.system.dossiers import standing_of
from genesis.system.strategy_evidence import StrategyEvidence, gather
from genesis.system.workspace import Workspace
from tests.unit.decision.deployment_desk import ACCOUNT
from tests.unit.system.promotion_homes import PromotionHome

NOW = 1_900_000_000_000
CAP = 2000
OWN, PAPER = "own", "whole"


def mark_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take runs of backtest-validation for those of a deployment's own orders.

    The loop, the log and the tables of a live run are those of any run; a market that is replayed
    may not be traded in the mode itself.
    """
    monkeypatch.setattr(promotion_runs, "LIVE_MODE", PaperMode.BACKTEST_VALIDATION.value)


def promote(home: PromotionHome, to: str) -> Any:
    """One step up, typed."""
    from decimal import Decimal

    wish = Wish(home.record.id, ACCOUNT, Target.LOOPBACK, ("SYN1", "SYN2"), Decimal(CAP))
    return home.manager().promote(wish, to, "ann", lambda words: Consent(typed=words))


def live_home(home: PromotionHome) -> PromotionHome:
    """Judged, traded on paper, promoted to the canary, and traded live."""
    home.clock.ms = 1
    home.judged()
    promote(home, "paper")
    home.trade(PAPER, mode=PaperMode.REPLAY)
    promote(home, "canary")
    account = f"paper/{home.record.id}"
    home.trade(OWN, market={"network": "local", "accounts": {account: ACCOUNT}})
    return home


def evidence_of(home: PromotionHome) -> StrategyEvidence:
    """All there is on its strategy."""
    record = home.record
    return gather(Workspace(home.home), record, standing_of(home.home, record), NOW)


def edit(folder: Path, sql: str) -> None:
    """Change the database of a log past its writer."""
    db = apsw.Connection(str(folder / "events.db"))
    db.execute(sql)
    db.close()


def read(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the database of a log, read by nothing of ours."""
    db = apsw.Connection(str(folder / "events.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = list(db.execute(sql))
    db.close()
    return rows
