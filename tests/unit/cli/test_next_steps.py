"""What to do next depends on what stopped the strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genesis.cli.next_steps import (
    ANSWERED,
    LOOSER,
    ORIGIN,
    SEARCH,
    STURDIER,
    USED_UP,
    WRONG,
    next_steps,
)
from genesis.evidence.dossier import Dossier
from genesis.evidence.gates import MEASURES, Gate, GatesFile, Settings
from genesis.evidence.sealed import BY_HAND
from genesis.evidence.validate import Judged, Validation


def judged(*failed: str, origin: str | None = None, details: Any = None, note: str = "") -> Judged:
    """A strategy that failed some gates and passed all others."""
    gates = [
        Gate(name, at_least=1.0).judge(0.0 if name in failed else 1.0, note).to_plain()
        for name in MEASURES
    ]
    stops = [*failed, *(["origin"] if origin else [])]
    facts = {"gates": gates, "details": details or {}, "origin_problem": origin}
    facts |= {"dataset": "binance_perp:BTCUSDT,SYN1:4h"}
    facts |= {"passed": not stops, "stopped_by": stops}
    return Judged(Dossier(f"strat_{'_'.join(stops) or 'good'}", facts, ""), Path("d.json"))


def steps(*found: Judged, rehearsal: bool = False) -> list[str]:
    """Next steps after a validation that judged these."""
    gates = GatesFile("g", rehearsal, Settings(), ())
    return next_steps(Validation("small", gates, {}, (), found))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (judged("permutation_sign", "cpcv_p25"), SEARCH),
        (judged("cpcv_p25", "correlation"), STURDIER),
        (judged("prefix_invariance", "lottery"), WRONG),
        (judged("sealed_psr"), ANSWERED),
        (judged("sealed_psr", "sealed_ratio", details={"sealed": {"void": BY_HAND}}), USED_UP),
        (judged(origin="its ledger is not here"), ORIGIN),
    ],
)
def test_each_reason_has_its_own_advice(one: Judged, expected: str) -> None:
    assert steps(one) == [expected]


def test_a_twin_is_sent_to_the_strategy_that_it_resembles() -> None:
    (step,) = steps(judged("correlation", note="with strat_other"))
    assert "genesis strategies explain strat_other;" in step


def test_the_nearest_miss_comes_first_and_nothing_is_said_twice() -> None:
    found = steps(judged("lottery"), judged("sealed_ratio"), judged("lottery", "trades"))
    assert found == [ANSWERED, SEARCH]


def test_nothing_to_judge() -> None:
    assert steps() == [LOOSER]


def test_a_rehearsal_leads_to_the_production_gates_and_they_to_the_list() -> None:
    practised = steps(judged(), judged("lottery"), rehearsal=True)
    assert practised == [
        "genesis strategies explain strat_good",
        "practise its promotion: genesis promote strat_good --to paper --target loopback"
        " --account 0x… --symbols BTC,SYN1 --cap 1000",
        "let the production gates decide: genesis validate small",
    ]
    assert steps(judged("lottery"), judged())[0] == "genesis strategies list --promotable"
