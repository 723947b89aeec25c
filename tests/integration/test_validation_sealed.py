"""The sealed bars between the command line and a validation: who looks by hand pays for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evidence.dossier import promotable
from genesis.evidence.gates import GatesFile, parse_gates
from genesis.evolution.seals import SealRegistry
from genesis.market.sources.synthetic import SynthSpec, synthesize
from genesis.market.store import BarStore
from tests.unit.cli.command_answers import call
from tests.unit.evidence.small_study import (
    GATES,
    campaign_of,
    judge,
    small_config,
    small_study,
)

ALL = "synth:SYN1,SYN2:4h"
SHARE, ALPHA = 0.8, 0.5


@pytest.fixture
def home(bred: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bred, tmp_path / "home")


def gates() -> GatesFile:
    return parse_gates(GATES.replace("  permutation_sign: {at_most: 1.0, veto: false}\n", ""))


def backtest(home: Path, strategy: str, dataset: str = ALL, *more: str) -> dict[str, Any]:
    words = ("backtest", strategy, "--dataset", dataset, "--funding", "none", "--json", *more)
    answer = call(home, *words)
    assert answer.code == 0, answer.out + answer.err
    found: dict[str, Any] = answer.json["backtest"]
    return found


def opened(home: Path) -> list[Any]:
    return SealRegistry(home / "seals.json").openings()


def places(found: Any) -> dict[str, tuple[int, float]]:
    """Place and level of each strategy that was opened by the gate."""
    result = {}
    for one in found.judged:
        sealed = one.dossier.facts["details"]["sealed"]
        if "level" in sealed:
            result[one.dossier.strategy] = (sealed["place"], sealed["level"])
    return result


def test_a_backtest_that_keeps_off_the_seal_costs_nothing(home: Path) -> None:
    names = [c.id for c in campaign_of("base", home).candidates(3)]
    found = backtest(home, names[0])
    assert found["sealed_from"] is not None
    assert opened(home) == []
    judged = judge("base", home, gates())
    assert sorted(place for place, _ in places(judged).values()) == [1, 2, 3]
    assert {one.dossier.strategy for one in judged.promotable} == set(names)


def test_a_look_by_hand_spends_a_level_and_spoils_its_strategy(home: Path) -> None:
    names = [c.id for c in campaign_of("base", home).candidates(3)]
    spoiled = names[1]
    backtest(home, spoiled, ALL, "--open-sealed")
    (row,) = opened(home)
    assert (row.strategy, row.purpose) == (spoiled, "backtest")
    found = judge("base", home, gates())
    levels = places(found)
    assert set(levels) == set(names) - {spoiled}
    first = next(o.dossier.strategy for o in found.judged if o.dossier.strategy != spoiled)
    assert levels[first] == (2, pytest.approx(ALPHA * SHARE * (1 - SHARE)))
    by_id = {one.dossier.strategy: one.dossier for one in found.judged}
    assert not by_id[spoiled].passed
    assert by_id[spoiled].facts["stopped_by"] == ["sealed_psr", "sealed_ratio"]
    with pytest.raises(RefusedError, match="did not pass") as caught:
        promotable(home, spoiled)
    assert "looked at by hand" in caught.value.why
    # It stays so, however often it is validated again.
    assert not judge("base", home, gates(), only=spoiled).judged[0].dossier.passed
    assert [row.strategy for row in opened(home)].count(spoiled) == 1


def test_a_look_at_one_of_the_assets_counts_too(home: Path) -> None:
    stranger = campaign_of("base", home).candidates(100)[-1].id
    backtest(home, stranger, "synth:SYN2:4h", "--open-sealed")
    found = judge("base", home, gates())
    assert min(place for place, _ in places(found).values()) == 2


def test_a_look_at_another_asset_or_another_time_does_not_count(home: Path) -> None:
    """Another study sealed another asset: opening that is none of this one's business."""
    store = BarStore(home / "data")
    (one,) = synthesize(SynthSpec(assets=1, bars=1600, interval="4h", seed=21))
    store.write_bars("synth", "ELSE1", "4h", one.bars)
    small_study(small_config(["ELSE1"], seed=3), home, "elsewhere")
    name = campaign_of("base", home).candidates(1)[0].id
    backtest(home, name, "synth:ELSE1:4h", "--open-sealed")
    assert len(opened(home)) == 1
    found = judge("base", home, gates())
    assert sorted(place for place, _ in places(found).values()) == [1, 2, 3]
    assert found.promotable


def test_a_second_study_of_the_same_span_goes_on_with_what_is_left(home: Path) -> None:
    first = judge("base", home, gates())
    small_study(small_config(["SYN1", "SYN2"], seed=2), home, "second")
    second = judge("second", home, gates())
    mine, theirs = places(first), places(second)
    new = {name: place for name, (place, _) in theirs.items() if name not in mine}
    assert sorted(new.values()) == list(range(4, 4 + len(new)))
    assert {n: theirs[n] for n in theirs if n in mine} == {n: mine[n] for n in theirs if n in mine}
    rows = opened(home)
    assert len(rows) == 3 + len(new)
    # And the first study, judged again, is told what it was told then.
    assert places(judge("base", home, gates())) == mine
    assert opened(home) == rows
