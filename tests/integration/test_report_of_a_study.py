"""A small real study through the command line: its page, its tracking, its notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from genesis.evolution.run import Run, load_run

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CONFIG = """
schema: 1
name: tiny
dataset: {venue: synth, symbols: [SYN1, SYN2], interval: 4h, funding: none}
evolution:
  {population_size: 12, generations: 3, islands: 2, seed: 7, ml_island: {enabled: false}}
constraints: {min_trades: 20, min_trades_per_fold: 1}
executor: {kind: local}
tracking: {experiment: tiny}
"""


def genesis(home: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from genesis.cli.main import run; run()", "--home", home, *words],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=home.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("study")
    home = folder / "home"
    (folder / "tiny.yaml").write_text(CONFIG)
    genesis(home, "data", "synth", "--seed", "7", "--assets", "2", "--bars", "1500",
            "--interval", "4h", "--plant", "trend:0.0010")  # fmt: skip
    answer = json.loads(genesis(home, "evolve", str(folder / "tiny.yaml"), "--json"))
    assert answer["ok"] is True
    (found,) = (home / "runs").iterdir()
    return load_run(found.name, home)


@pytest.mark.slow
def test_the_page_shows_the_strategies_that_were_found(run: Run) -> None:
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    board = run.leaderboard_records()
    assert board
    assert all(row["id"] in text for row in board)
    assert run.study["archive_hash"] in text
    for part in ("s0-equity", "s0-costs", "s0-lineage", "s0-trades", "pareto", "convergence"):
        assert f'"{part}"' in text
    assert len(text) < 12_000_000


@pytest.mark.slow
def test_mlflow_has_each_metric_of_each_generation_once(run: Run) -> None:
    from mlflow.tracking import MlflowClient

    home = run.folder.parent.parent
    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    runs = {r.data.tags["genesis.role"]: r for r in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["island:island-0", "island:island-1", "study"]
    study = runs["study"]
    assert study.info.status == "FINISHED"
    assert study.data.tags["genesis.archive_hash"] == run.study["archive_hash"]
    for row in run.metrics_records():
        for key in ("best", "evaluations", "genome_diversity"):
            history = client.get_metric_history(study.info.run_id, key)
            assert Counter(m.step for m in history)[row["generation"]] == 1
            (value,) = [m.value for m in history if m.step == row["generation"]]
            assert value == row[key]
    names = {item.path for item in client.list_artifacts(study.info.run_id)}
    assert {"config.yaml", "leaderboard.json", "archive.json", "report.html"} <= names


@pytest.mark.slow
def test_the_notebook_runs_on_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_HOME", str(run.folder.parent.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY)]))
    notebook = nbformat.read(REPOSITORY / "notebooks" / "explore_run.ipynb", as_version=4)
    NotebookClient(notebook, timeout=200, kernel_name="python3").execute(cwd=str(run.folder))
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert run.leaderboard_records()[0]["id"] in str(last.outputs)
    assert "application/vnd.plotly" in str(last.outputs)
