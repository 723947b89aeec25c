"""`genesis paper run --risk enforce`: fidelity is that of execution, the impact stands apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genesis.risk.genome import GENES, RiskGenes, RiskGenome, save_genome
from tests.unit.cli.paper_homes import Home, copy_of, paper_home

__all__ = ["paper_home"]

LOOSE = RiskGenome(RiskGenes(**{gene.name: gene.loosest for gene in GENES}))


@pytest.fixture
def home(paper_home: Home, tmp_path: Path) -> Home:
    """A workspace with bars enough that the risk manager knows the market."""
    home = copy_of(paper_home, tmp_path)
    synth = ("--assets", "2", "--bars", "700", "--interval", "4h", "--seed", "3")
    shutil.rmtree(home.home / "data")
    assert home.call("data", "synth", *synth).code == 0
    save_genome(home.home / "narrow.json", LOOSE.replace(max_position=0.1, bear_cut=0.3))
    return home


@pytest.mark.parametrize("profile", ["enforce", "observe"])
def test_a_run_under_risk_is_faithful_and_its_impact_is_told(home: Home, profile: str) -> None:
    words = ("--mode", "replay", "--risk", profile)
    genes = ("--risk-genome", str(home.home / "narrow.json"))
    answer = home.run("acted", *words, *genes, "--json", strategy="counter")
    assert answer.code == 0, answer.out + answer.err
    told = answer.json["paper"]["strategies"][0]["fidelity"]
    assert (told["position_match"], told["held_match"]) == (1.0, 1.0)
    assert told["fills_matched"] == told["fills_paper"] == told["fills_backtest"]
    assert told["causes"].keys() <= {"price"}, "slippage and latency are those of execution"
    risk = told["risk"]
    assert risk["asked"] > 20
    acted = profile == "enforce"
    assert (risk["refused"] > 0, risk["cut"] > 0) == (acted, acted)
    assert risk["would_refuse"] > 0
    assert risk["would_cut"] > 0
    assert risk["impact"] != 0.0
    report = home.call("paper", "report", "acted", "--json").json
    assert report["paper"]["strategies"][0]["fidelity"]["risk"] == risk
    page = Path(report["page"]).read_text()
    assert "under the risk decisions of the run" in page
    assert f"risk impact {risk['impact']:+.4%} of capital" in page
