"""Real MLflow: a database in the workspace, and a server that comes, dies and comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genesis.evolution.tracking import MlflowTracker, Target, default_target, ship, ui_command
from genesis.evolution.tracking.spool import Shipped, Spool


@dataclass
class Run:
    id: str
    folder: Path


@dataclass
class Result:
    status: str = "finished"
    archive_hash: str = "ab" * 32
    evaluations: int = 640


class Counting:
    """A clock that counts up; each event gets its own time stamp."""

    at = 1_750_000_000_000

    def now_ms(self) -> int:
        self.at += 1000
        return self.at

    def monotonic(self) -> float:
        return 0.0


ISLANDS = ("trend", "breakout")
SECRET = "hunter2-secret"


def make_run(home: Path, run_id: str = "r1") -> Run:
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        f"name: demo\nevolution: {{seed: 7}}\ntracking:\n  uri: http://ann:{SECRET}@host:1\n"
    )
    (folder / "study.json").write_text(json.dumps({"dataset_hash": "d" * 64}))
    (folder / "leaderboard.json").write_text("[]")
    return Run(run_id, folder)


def generation(g: int) -> dict[str, Any]:
    islands = [{"island": name, "best": g + place} for place, name in enumerate(ISLANDS)]
    return {"generation": g, "best": g * 0.5, "failures": {"no_trades": 2}, "islands": islands}


def check_tracked(uri: str, generations: int, status: str = "FINISHED") -> None:
    """Each run once, each metric once per generation, right values, nothing secret."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id])
    roles = {run.data.tags["genesis.role"]: run for run in runs}
    assert sorted(roles) == ["island:breakout", "island:trend", "study"]
    assert len(runs) == 3
    study = roles["study"]
    for name in ISLANDS:
        child = roles[f"island:{name}"]
        assert child.data.tags["mlflow.parentRunId"] == study.info.run_id
        history = client.get_metric_history(child.info.run_id, "best")
        assert Counter(m.step for m in history) == dict.fromkeys(range(generations), 1)
        assert {m.step: m.value for m in history} == {
            g: g + ISLANDS.index(name) for g in range(generations)
        }
    for key, value in (("best", 0.5), ("failures.no_trades", None)):
        history = client.get_metric_history(study.info.run_id, key)
        assert Counter(m.step for m in history) == dict.fromkeys(range(generations), 1)
        if value:
            assert all(m.value == m.step * value for m in history)
    assert {run.info.status for run in runs} == {status}
    assert study.data.params["evolution.seed"] == "7"
    assert study.data.tags["genesis.dataset_hash"] == "d" * 64
    assert SECRET not in str([run.to_dictionary() for run in runs])
    if status == "FINISHED":
        assert study.data.tags["genesis.archive_hash"] == "ab" * 32
        names = {item.path for item in client.list_artifacts(study.info.run_id)}
        assert names == {"config.yaml", "study.json", "leaderboard.json"}
        text = Path(client.download_artifacts(study.info.run_id, "config.yaml")).read_text()
        assert "seed: 7" in text
        assert SECRET not in text


def tracker(home: Path, target: Target) -> MlflowTracker:
    return MlflowTracker(target, home / "spool", "demo", clock=Counting())


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


def test_a_study_arrives_in_the_workspace_database_once(tmp_path: Path) -> None:
    target = default_target(tmp_path)
    made = tracker(tmp_path, target)
    run = make_run(tmp_path)
    made.on_start(run)
    for g in range(4):
        made.on_generation(generation(g))
    made.on_finish(Result())
    assert made.close(timeout_s=120) == ""
    check_tracked(target.uri, 4)
    # A lost record of what was shipped must not double anything.
    Spool(tmp_path / "spool", "r1").record(Shipped())
    report = ship(tmp_path / "spool", target)
    assert (report.sent, report.pending, report.error) == (9, 0, "")
    check_tracked(target.uri, 4)
    # A database that lost everything gets everything again.
    (tmp_path / "mlflow.db").unlink()
    Spool(tmp_path / "spool", "r1").append({"kind": "artifact", "path": str(tmp_path / "gone")})
    report = ship(tmp_path / "spool", target)
    assert report.pending == 0
    assert report.rejected == ("artifact: the artefact gone is gone",)
    check_tracked(target.uri, 4)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"timed out waiting until {what}"
        time.sleep(0.1)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def server(home: Path, port: int) -> Iterator[None]:
    """A real MLflow server with a database of its own."""
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{home}/server.db", "--workers", "1"]
    argv += ["--artifacts-destination", str(home / "server-artifacts")]
    with running(argv, home, port):
        yield


@contextmanager
def running(argv: list[str], home: Path, port: int) -> Iterator[None]:
    """A server process, ended with its own process group."""
    process = subprocess.Popen(
        argv,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        wait_until(lambda: answers(port), "the server answers")
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_server_absent_at_start_and_killed_half_way(tmp_path: Path) -> None:
    port = free_port()
    target = Target(f"http://127.0.0.1:{port}")
    spool = Spool(tmp_path / "spool", "r1")
    made = tracker(tmp_path, target)
    made.on_start(make_run(tmp_path))
    made.on_generation(generation(0))
    wait_until(lambda: spool.shipped().error != "", "the first attempt has failed")
    assert spool.pending() == 2
    with server(tmp_path, port):
        for g in (1, 2):
            made.on_generation(generation(g))
        wait_until(lambda: spool.pending() == 0, "the server that came up has everything")
    for g in (3, 4):
        made.on_generation(generation(g))
    wait_until(lambda: spool.shipped().error != "", "the dead server is noticed")
    made.on_finish(Result())
    text = made.close(timeout_s=1)
    assert "6 tracking events" in text
    assert "genesis runs sync r1" in text
    with server(tmp_path, port):
        # The next study of the same target takes the leftovers along.
        following = MlflowTracker(target, tmp_path / "spool", "next", clock=Counting())
        following.on_start(make_run(tmp_path, "r2"))
        following.on_finish(Result())
        assert following.close(timeout_s=120) == ""
        assert spool.pending() == 0
        check_tracked(target.uri, 5)


@pytest.mark.slow
def test_a_study_that_dies_leaves_a_killed_run_and_its_resume_finishes_it(tmp_path: Path) -> None:
    target = default_target(tmp_path)
    run = make_run(tmp_path)
    first = tracker(tmp_path, target)
    first.on_start(run)
    first.on_generation(generation(0))
    assert first.close(timeout_s=120) == ""  # the pipe closes, as it does when the driver dies
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=target.uri)
    experiment = client.get_experiment_by_name("demo")
    assert {r.info.status for r in client.search_runs([experiment.experiment_id])} == {"KILLED"}
    again = tracker(tmp_path, target)
    again.on_start(run)
    for g in range(3):
        again.on_generation(generation(g))
    again.on_finish(Result())
    assert again.close(timeout_s=120) == ""
    check_tracked(target.uri, 3)


@pytest.mark.slow
def test_the_ui_serves_the_workspace_to_its_own_names_only(tmp_path: Path) -> None:
    made = tracker(tmp_path, default_target(tmp_path))
    made.on_start(make_run(tmp_path))
    made.on_generation(generation(0))
    made.on_finish(Result())
    assert made.close(timeout_s=120) == ""
    port = free_port()
    with running(ui_command(tmp_path, port=port), tmp_path, port):
        check_tracked(f"http://127.0.0.1:{port}", 1)  # artefacts included
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=demo"
        foreign = urllib.request.Request(url, headers={"Host": "rebound.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(foreign, timeout=10)
        assert refused.value.code == 403
