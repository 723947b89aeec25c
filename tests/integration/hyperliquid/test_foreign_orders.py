"""Resting orders that nobody here sent, found when a paper run begins or goes on: by policy."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.exchange.hyperliquid.settings import ForeignPolicy
from genesis.trading.events import EventType
from genesis.trading.store import EventReader
from tests.integration.hyperliquid.live_paper_rig import Sitting, bench
from tests.integration.hyperliquid.live_rig import MASTER, LiveRig, live_rig


def rest(rig: LiveRig, price: str = "60") -> int:
    """An order that a person puts into the account by hand; its number, 0 if it filled at once."""
    names = [row["name"] for row in rig.info("meta")["universe"]]
    kind = {"limit": {"tif": "Gtc"}}
    row = {"a": names.index("SOL"), "b": True, "p": price, "s": "1", "r": False, "t": kind}
    answer = rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})
    (status,) = answer["response"]["data"]["statuses"]
    return int(status["resting"]["oid"]) if "resting" in status else 0


def flat(rig: LiveRig) -> None:
    rig.price(100.0)
    for _ in range(8):
        rig.advance(15_000)


def numbers(rig: LiveRig) -> list[int]:
    """What rests besides the stops of the run's own positions."""
    return [row["oid"] for row in rig.info("frontendOpenOrders") if not row["reduceOnly"]]


def by(policy: ForeignPolicy, found: list[str] | None = None) -> dict[str, Any]:
    lines: list[str] = [] if found is None else found
    return {"foreign": policy, "found": lambda _, text: lines.append(text)}


def reconciled(sitting: Sitting) -> list[Any]:
    with EventReader(sitting.engine.session.store.folder) as reader:
        return [event.data for event in reader.events(types=(EventType.RECONCILED,))]


def test_they_refuse_a_start_by_default_and_nothing_is_touched(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        flat(rig)
        oid = rest(rig)
        with pytest.raises(RefusedError, match="1 orders rest") as told:
            desk.start()
        assert f"SOL {oid}" in str(told.value)
        assert "--foreign" in str(told.value)
        assert numbers(rig) == [oid]
        assert not (desk.workspace.home / "trading" / "net").exists()


def test_they_are_canceled_before_the_run_begins(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        flat(rig)
        rest(rig)
        rest(rig, "61")
        found: list[str] = []
        only = desk.start(**by(ForeignPolicy.CANCEL, found))
        assert numbers(rig) == []
        (line,) = found
        assert "2 resting orders that nobody here sent (2 canceled)" in line
        only.stop()


def test_one_that_is_kept_is_in_the_ledger_from_the_start(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        flat(rig)
        oid = rest(rig)
        found: list[str] = []
        first = desk.start(**by(ForeignPolicy.KEEP, found))
        assert "(kept)" in found[0]
        assert numbers(rig) == [oid]
        (entry,) = reconciled(first)
        assert entry.adopted
        order = first.engine.core.desk.orders.by_venue(entry.account, str(oid))
        assert order is not None
        assert order.live
        first.bars(1)
        assert "HALTED" not in first.engine.story
        first.stop()
        # It rests there on purpose: the next start finds no difference.
        second = desk.resume(**by(ForeignPolicy.KEEP))
        assert reconciled(second)[-1].differences == ()
        second.bars(1)
        assert "HALTED" not in second.engine.story
        second.stop()
        assert numbers(rig) == [oid]


def test_one_of_a_pause_refuses_a_resume_or_halts_until_a_person_adopts_it(
    tmp_path: Path,
) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        flat(rig)
        first = desk.start()
        first.bars(1)
        first.stop()
        oid = rest(rig)
        with pytest.raises(RefusedError, match="1 orders rest"):
            desk.resume()
        kept = desk.resume(**by(ForeignPolicy.KEEP))
        kept.bars(1)
        assert "HALTED" in kept.engine.story
        assert numbers(rig) == [oid]
        kept.stop()
        cleared = desk.resume(**by(ForeignPolicy.CANCEL))
        cleared.bars(1)
        assert numbers(rig) == []
        cleared.stop()


@pytest.mark.parametrize("policy", [ForeignPolicy.KEEP, ForeignPolicy.CANCEL])
def test_a_position_refuses_a_start_whatever_the_policy(
    tmp_path: Path, policy: ForeignPolicy
) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        flat(rig)
        rest(rig, "104")
        assert rig.position("SOL") == Decimal(1)
        with pytest.raises(RefusedError, match="is in use") as told:
            desk.start(**by(policy))
        assert "SOL 1" in str(told.value)
