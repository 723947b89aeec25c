"""`genesis paper run --risk`: who may cut orders, by which genes, and what the report says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from genesis.evolution.risk.result import ACCEPTED, LOST, RiskResult, save_risk_result
from genesis.risk.genome import GENES, RiskGenes, RiskGenome, save_genome
from tests.unit.cli.paper_homes import Home, copy_of, paper_home
from tests.unit.cli.test_paper_command import refused

__all__ = ["paper_home"]

LOOSE = RiskGenome(RiskGenes(**{gene.name: gene.loosest for gene in GENES}))
NARROW = LOOSE.replace(max_position=0.22, bear_cut=0.3)
"""Orders ask for a quarter of capital; what a position gains until it is closed trips nothing."""


@pytest.fixture
def own(paper_home: Home, tmp_path: Path) -> Home:
    """The workspace, for a test that writes."""
    return copy_of(paper_home, tmp_path)


@pytest.fixture(scope="module")
def long_market(paper_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Bars enough that the risk manager knows the market; read only for tests."""
    home = copy_of(paper_home, tmp_path_factory.mktemp("long"))
    synth = ("--assets", "2", "--bars", "700", "--interval", "4h", "--seed", "3")
    shutil.rmtree(home.home / "data")
    assert home.call("data", "synth", *synth).code == 0
    return home


@pytest.fixture
def long(long_market: Home, tmp_path: Path) -> Home:
    """The same, for a test that writes."""
    return copy_of(long_market, tmp_path)


def events(home: Home, run: str, kind: str) -> list[dict[str, Any]]:
    words = ("events", "query", run, "--type", kind, "--limit", "5000", "--json")
    return [one["data"] for one in home.call(*words).json["events"]]


def stored(home: Home, name: str, verdict: str = ACCEPTED, unfit: tuple[str, ...] = ()) -> str:
    save_risk_result(home.home, RiskResult(name, NARROW, verdict, unfit, {}))
    return name


def impact(home: Home, run: str, *more: str) -> dict[str, Any]:
    answer = home.run(run, *more, "--json")
    assert answer.code == 0, answer.out + answer.err
    return dict(answer.json["paper"]["risk_impact"])


def test_risk_is_observed_unless_somebody_says_otherwise(long: Home) -> None:
    told = impact(long, "watched", "--risk-genome", stored(long, "risk-1"))
    assessed = events(long, "watched", "risk_assessed")
    assert (told["profile"], told["genome"]) == ("observe", NARROW.id)
    assert told["assessed"] == len(assessed) > 10
    assert told["refused_total"] == 0
    assert all(one["size"] == one["asked"] for one in assessed), "nothing is cut"
    rules = {one["would_rule"] for one in assessed if one["would"] not in ("0", one["asked"])}
    assert rules == set(told["would_cut"]) != set()
    gone = [one for one in assessed if float(one["would"]) == 0.0]
    assert sum(told["would_refuse"].values()) == len(gone) > 0
    assert "regime" in told["would_refuse"], "the first bars of a market say nothing yet"
    shares = [float(one["would"]) / float(one["asked"]) for one in assessed]
    assert told["kept"] == pytest.approx(sum(shares) / len(shares))
    bear = [one["multipliers"]["bear"] for one in assessed if "bear" in one["multipliers"]]
    assert told["multipliers"]["bear"] == {"orders": len(bear), "left": pytest.approx(0.7)}


def test_enforced_risk_changes_orders_and_says_so(long: Home) -> None:
    told = impact(long, "acted", "--risk", "enforce", "--risk-genome", stored(long, "risk-1"))
    assessed = events(long, "acted", "risk_assessed")
    assert told["profile"] == "enforce"
    assert told["refused"] == told["would_refuse"] != {}
    assert all(one["size"] == one["would"] for one in assessed)
    for order in events(long, "acted", "order_submit"):
        if order["purpose"] == "entry":
            notional = float(order["order"]["size"]) * float(order["reference"])
            assert notional <= 1.05 * 0.22 * 100_000, "the price may move until it is sent"
    answer = long.call("paper", "report", "acted", "--json")
    page = Path(answer.json["page"]).read_text()
    assert f"Profile enforce, genome {NARROW.id}" in page
    assert '<th scope="row">regime</th>' in page
    text = long.call("paper", "report", "acted").out
    assert "orders assessed" in text
    assert f"(enforce, {NARROW.id})" in text


def test_breakers_and_levels_are_those_of_the_log(long: Home, tmp_path: Path) -> None:
    path = tmp_path / "genome.json"
    save_genome(path, RiskGenome().replace(daily_drawdown=0.001, rapid_loss=0.002))
    told = impact(long, "tripped", "--risk-genome", str(path))
    tripped = events(long, "tripped", "breaker_tripped")
    assert sum(row["trips"] for row in told["breakers"]) == len(tripped) > 0
    for row in told["breakers"]:
        mine = [t["value"] for t in tripped if t["breaker"] == row["breaker"]]
        assert row["trips"] == len(mine)
        assert row["value"] in mine
    changed = events(long, "tripped", "risk_level_changed")
    assert told["level_changes"] == len(changed) > 0
    assert [row["after"] for row in told["levels"]] == [c["after"] for c in changed][-100:]
    order = ["LOW", "MODERATE", "HIGH", "CRITICAL", "EMERGENCY"]
    assert told["highest_level"] == max((c["after"] for c in changed), key=order.index)


def test_a_genome_that_is_not_for_use_may_be_looked_at(own: Home, tmp_path: Path) -> None:
    quick, lost = stored(own, "risk-quick", unfit=("quick",)), stored(own, "risk-lost", LOST)
    unfit = tmp_path / "unfit.json"
    save_genome(unfit, NARROW, unfit="a quick search")
    result = tmp_path / "result.json"
    result.write_text((own.home / "risk" / "risk-lost.json").read_text())
    for place, named in enumerate((quick, lost, str(unfit), str(result))):
        words = ("--risk-genome", named, "--json")
        refused(own.run(f"n{place}", "--risk", "enforce", *words), 3, "not for use")
        assert not (own.home / "trading" / f"n{place}").exists()
        assert impact(own, f"n{place}", "--risk-genome", named)["genome"] == NARROW.id


def test_the_accepted_genome_is_the_newest_one_for_use(own: Home) -> None:
    words = ("--risk", "enforce", "--risk-genome", "accepted", "--json")
    refused(own.run("none", *words), 2, "no risk genome was accepted", "risk evolve")
    stored(own, "risk-20250101-000000")
    stored(own, "risk-20250102-000000", LOST)
    assert own.run("some", *words).json["paper"]["risk_impact"]["genome"] == NARROW.id


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--risk", "enfroce"), 2, ("enfroce", "enforce")),
        (("--risk", "enforce", "--mode", "backtest-validation"), 2, ("observes", "replay")),
        (("--risk-genome", "risk-nobody"), 2, ("risk-nobody",)),
        (("--risk-genome", "/nowhere/g.json"), 2, ("/nowhere/g.json",)),
        (("--mode", "live"), 3, ("no mode of paper", "live run --account")),
        (("--limits", "/nowhere/limits.yaml"), 2, ("/nowhere/limits.yaml",)),
    ],
)
def test_what_cannot_be_meant(
    paper_home: Home, words: tuple[str, ...], code: int, told: tuple[str, ...]
) -> None:
    refused(paper_home.run("bad", *words, "--json"), code, *told)
    assert not (paper_home.home / "trading" / "bad").exists()


def test_a_live_run_is_not_gone_on_with_as_paper(own: Home) -> None:
    folder = own.home / "trading" / "whole"
    run = json.loads((folder / "run.json").read_text())
    (folder / "result.json").unlink()
    run["settings"]["mode"] = "live"
    run["settings"]["market"] = {
        "venue": "hyperliquid", "network": "local", "url": "http://127.0.0.1:1",
        "symbols": ["SOL"], "interval": "1m", "accounts": {"live/0xabc": "0xabc"},
        "anchor_ms": 0, "trade_from_ms": 0,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
    answer = own.call("paper", "run", "--resume", "whole", "--json")
    refused(answer, 3, "live run", "genesis --home", "live run --account 0xabc")


def test_hard_limits_of_the_workspace_hold_on_paper_too(own: Home) -> None:
    (own.home / "limits.yaml").write_text("schema: 1\nlimits: {max_order: 0.001}\n")
    told = impact(own, "tight")
    assert told["refused"] == {"max_order": told["assessed"]}
    other = own.home.parent / "wide.yaml"
    other.write_text("schema: 1\nlimits: {}\n")
    assert impact(own, "wide", "--limits", str(other))["refused"] == {}
