"""From a study to a paper run: trade what survived, prove the log, ask why, hand on the score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.command_line import Answer, Cli

Studied = tuple[Path, Answer]
DATASET = ("--dataset", "synth:SYN1,SYN2:4h", "--funding", "none")


@pytest.fixture(scope="module")
def traded(studied: Studied, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace in which the best strategies of a study traded on paper."""
    from genesis.cli import main

    home = tmp_path_factory.mktemp("traded") / "home"
    shutil.copytree(studied[0], home)
    board = studied[1].json["leaderboard"]
    best = [row["id"] for row in board[:2]]
    words = ["paper", "run", *best, "--mode", "backtest-validation", *DATASET, "--run", "first"]
    assert main.dispatch(["--home", str(home), *words]) == 0
    return home, best[0]


def test_a_validation_run_is_the_backtest(traded: tuple[Path, str], cli: Cli) -> None:
    home, best = traded
    report = cli(home, "paper", "report", "first", "--json").json["paper"]
    by_id = {one["strategy"]: one for one in report["strategies"]}
    fidelity = by_id[best]["fidelity"]
    assert fidelity["verdict"] == "FAITHFUL"
    assert fidelity["position_match"] == 1.0
    back = cli(home, "backtest", best, *DATASET, "--json").json["backtest"]
    performance = by_id[best]["performance"]
    assert performance["trades"] == back["metrics"]["trades"]
    assert performance["return_on_capital"] == pytest.approx(
        back["metrics"]["total_return"], abs=1e-9
    )
    assert performance["win_rate"] == pytest.approx(back["metrics"]["win_rate"])


def test_its_log_is_proved(traded: tuple[Path, str], cli: Cli) -> None:
    home, _ = traded
    assert cli(home, "replay", "first", "--verify", "--json").json["replay"]["equal"] is True
    assert cli(home, "events", "verify", "first").code == 0


def test_why_a_fill_happened(traded: tuple[Path, str], cli: Cli) -> None:
    home, best = traded
    lines = cli(home, "replay", "first", "--publish").out.splitlines()
    intent = next(json.loads(x) for x in lines if '"trade_intent"' in x)["data"]
    plan, signal = intent["causality"]["plan_id"], intent["causality"]["signal_ids"][0]
    story = cli(home, "story", plan, "--json")
    assert story.code == 0, story.err
    told = json.dumps(story.json)
    assert signal in told
    assert best[:6] in told
    assert cli(home, "trades", "first").code == 0


def test_the_score_is_kept_with_the_strategy(traded: tuple[Path, str], cli: Cli) -> None:
    home, best = traded
    report = cli(home, "paper", "report", "first", "--json").json["paper"]
    score = next(o for o in report["strategies"] if o["strategy"] == best)["feedback"]["score"]
    shown = cli(home, "strategies", "show", best, "--json")
    assert shown.code == 0
    assert f"{score}" in json.dumps(shown.json)
    rows = (home / "strategies" / "feedback" / f"{best}.jsonl").read_text().splitlines()
    assert len(rows) == 1, "told once, however often the report is read"


def test_sealed_bars_are_left_alone_unless_told(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home = shutil.copytree(studied[0], tmp_path / "home")
    best = studied[1].json["leaderboard"][0]["id"]
    part = cli(home, "paper", "run", best, *DATASET, "--run", "part", "--json")
    assert part.code == 0, part.err
    assert "sealed" in part.err
    whole = cli(home, "paper", "run", best, *DATASET, "--open-sealed", "--run", "all", "--json")
    assert whole.code == 0, whole.err
    bars = [a.json["paper"]["settings"]["bars"] for a in (part, whole)]
    assert bars[0] == int(0.8 * bars[1])
    spans = [a.json["paper"]["provenance"]["span_ms"] for a in (part, whole)]
    assert spans[0][0] == spans[1][0]
    assert spans[0][1] < spans[1][1]


@pytest.mark.parametrize("command", [("paper", "run"), ("paper", "report"), ("replay",)])
def test_help_is_quick_and_has_examples(command: tuple[str, ...], tmp_path: Path, cli: Cli) -> None:
    answer = cli(tmp_path, *command, "--help")
    assert answer.code == 0
    assert "genesis " + " ".join(command) in answer.out
