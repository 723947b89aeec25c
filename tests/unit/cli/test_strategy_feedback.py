"""`genesis strategies show` says what trading runs found out about a strategy."""

from __future__ import annotations

from pathlib import Path

from genesis.evolution.feedback import Feedback, write_feedback
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.strategy.genome import default_genome
from genesis.strategy.registry import SeedRegistry
from tests.unit.cli.command_answers import call


def stored(home: Path) -> str:
    """A workspace with one strategy that no study found; its id."""
    registry = SeedRegistry()
    record = StoredStrategy(registry.express(default_genome(registry.get("donchian"))))
    StrategyStore(home / "strategies").put(record)
    return record.id


def test_feedback_is_shown_with_its_runs(tmp_path: Path) -> None:
    name = stored(tmp_path)
    before = call(tmp_path, "strategies", "show", name)
    assert before.code == 0, before.err
    assert "trading feedback" in before.out
    assert "none yet: genesis" in before.out
    assert call(tmp_path, "strategies", "show", name, "--json").json["feedback"] is None
    agreement = {"verdict": "FAITHFUL"}
    write_feedback(tmp_path, Feedback(name, "paper-1", "replay", 0.625, measures={"trades": 31},
                                      fidelity=agreement))  # fmt: skip
    write_feedback(tmp_path, Feedback(name, "paper-2", "simulation", None, "no trade was completed",
                                      measures={"trades": 0}))  # fmt: skip
    text = call(tmp_path, "strategies", "show", name).out
    assert "0.6250  replay, 31 trades, FAITHFUL" in text
    assert "no trade was completed  simulation, 0 trades, no shadow" in text
    said = call(tmp_path, "strategies", "show", name, "--json").json["feedback"]
    assert said["score"] == 0.625
    assert [run["run_id"] for run in said["runs"]] == ["paper-1", "paper-2"]


def test_feedback_that_was_changed_is_named_and_the_strategy_shown(tmp_path: Path) -> None:
    name = stored(tmp_path)
    write_feedback(tmp_path, Feedback(name, "paper-1", "replay", 0.5))
    path = tmp_path / "strategies" / "feedback" / f"{name}.jsonl"
    path.write_text(path.read_text().replace("0.5", "0.9"))
    answer = call(tmp_path, "strategies", "show", name)
    assert answer.code == 3
    assert f"the feedback on {name} was changed or cut" in answer.out
    assert f"the feedback on {name} was changed or cut" in answer.err
    said = call(tmp_path, "strategies", "show", name, "--json").json
    assert "was changed or cut" in said["feedback"]["problem"]
    assert "was changed or cut" in said["error"]["what"]
    assert said["strategy"]["id"] == name
