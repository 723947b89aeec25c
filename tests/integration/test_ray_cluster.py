"""Running Ray clusters: attach by address, lose a node, refuse whoever lacks the token.

Clusters are started with ``ray start --block`` on loopback and ended by the pids of that command
and its children, so that no other Ray on the machine is touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from genesis.domain.canonical import array_hash, content_hash
from genesis.domain.errors import ConfigError, InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.evolution.config import parse_config
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.ray_pool import RayExecutor
from genesis.evolution.executors.ray_session import RaySession
from genesis.evolution.run import load_run
from genesis.evolution.study import run_study
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit
from genesis.market.panel import ARRAYS, Panel, SymbolSeries
from genesis.market.sources.synthetic import SynthSpec, synthesize
from genesis.market.store import BarStore
from genesis.system.clock import SystemClock

FAKES = Path(__file__).resolve().parents[1] / "contract" / "executors"
FAKE = "fake_evaluator:FakeEvaluator"
START_SECONDS = 60.0


def small_job() -> StudyJob:
    rng = np.random.default_rng(11)
    series = tuple(
        SymbolSeries(
            instrument=Instrument(f"S{n}USDT", f"S{n}"),
            first=0,
            last=499,
            has_funding=False,
            **{
                name: rng.random(500) > 0.1 if name == "valid" else rng.random(500)
                for name in ARRAYS
            },
        )
        for n in range(4)
    )
    panel = Panel("test:S", "test", 3_600_000, np.arange(500) * 3_600_000, series, "e" * 64)
    return StudyJob(panel=panel, setup={}, memory_bytes=32 << 20)


def digest(results: list[UnitResult]) -> str:
    return content_hash(
        [
            [r.unit, array_hash(r.block.metrics, r.block.fold_sharpe, r.block.marks)]
            for r in sorted(results, key=lambda r: r.unit)
        ]
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Node:
    """One node of a cluster, started by ``ray start --block``."""

    def __init__(self, token: Path, *arguments: str) -> None:
        ray = Path(sys.executable).with_name("ray")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        environment |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(FAKES),
        }
        self.process = subprocess.Popen(
            [
                str(ray),
                "start",
                "--block",
                "--num-cpus=1",
                "--num-gpus=0",
                "--object-store-memory=100000000",
                "--min-worker-port=0",
                "--max-worker-port=0",
                "--disable-usage-stats",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def kill(self) -> None:
        """End the node's processes at once, like a machine that loses power."""
        family = [self.process]
        with contextlib.suppress(psutil.Error):
            family += psutil.Process(self.process.pid).children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                process.kill()
        self.process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "token"
    file.write_text(secrets.token_hex(32))
    file.chmod(0o600)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    return file


@pytest.fixture
def start_node(token: Path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def start(*arguments: str) -> Node:
        nodes.append(Node(token, *arguments))
        return nodes[-1]

    yield start
    for node in reversed(nodes):
        node.kill()


@pytest.fixture
def head(start_node: Callable[..., Node]) -> str:
    """Address of a one-node cluster."""
    port = free_port()
    node = start_node(
        "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"
    )
    wait_until(lambda: _listens(port) or node.process.poll() is not None)
    assert node.process.poll() is None
    return f"127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def importable_evaluators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


@pytest.mark.slow
@pytest.mark.usefixtures("importable_evaluators")
def test_units_outlive_one_of_two_nodes(
    head: str, start_node: Callable[..., Node], token: Path
) -> None:
    second = start_node(f"--address={head}", "--node-ip-address=127.0.0.1")
    units = [WorkUnit(n, n // 8, (f"pause:0.1:{n}", f"plain:{n}")) for n in range(32)]
    job = small_job()
    inline = InlineExecutor(evaluator=FAKE)
    inline.start(job)
    undisturbed = digest(list(inline.run(units)))

    executor = RayExecutor(head, workers=2, timeout_s=60.0, evaluator=FAKE)
    executor.start(job)
    try:
        import ray

        wait_until(lambda: len([n for n in ray.nodes() if n["Alive"]]) == 2)
        places = {a["NodeID"] for a in _actor_states()}
        assert len(places) == 2, "each node has one worker"
        results = []
        for result in executor.run(units):
            results.append(result)
            if len(results) == len(units) // 2:
                threading.Thread(target=second.kill).start()
        assert sorted(r.unit for r in results) == list(range(32))
        assert digest(results) == undisturbed
        assert executor.stats.failures.get("worker died", 0) >= 1
    finally:
        executor.close()
    assert psutil.pid_exists(_gcs_pid(head)), "the cluster was not ours to end"


STUDY = """
schema: 1
name: two-nodes
dataset: {venue: synth, symbols: [SYN1, SYN2, SYN3], interval: 4h, funding: none}
split: {folds: 2}
seeds: {families: [ema_cross, donchian]}
evolution: {population_size: 12, generations: 4, islands: 2, migration_every: 1}
constraints: {min_trades: 20, min_trades_per_fold: 2, min_sharpe_2x: null}
"""


class _LosesANode(RayExecutor):
    """Attached to two nodes, of which it kills one in the middle of the third batch."""

    def __init__(self, address: str, victim: Node) -> None:
        super().__init__(address, workers=2, timeout_s=120.0)
        self.victim = victim
        self.batches = 0
        self.places: set[str] = set()

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        self.batches += 1
        for number, result in enumerate(super().run(units)):
            yield result
            if self.batches == 3 and number == 0:
                self.places = {a["NodeID"] for a in _actor_states()}
                self.victim.kill()


@pytest.mark.slow
def test_a_study_on_two_nodes_outlives_one(
    head: str, start_node: Callable[..., Node], tmp_path: Path
) -> None:
    second = start_node(f"--address={head}", "--node-ip-address=127.0.0.1")
    store = BarStore(tmp_path / "data")
    for one in synthesize(SynthSpec(assets=3, bars=1500, interval="4h", seed=2)):
        store.write_bars("synth", one.symbol, "4h", one.bars)
    config, clock = parse_config(STUDY), SystemClock()
    executor = _LosesANode(head, second)
    on_ray = run_study(config, tmp_path, clock=clock, executor=executor, run_id="ray")
    assert len(executor.places) == 2, "each node has one worker"
    assert executor.stats.failures.get("worker died", 0) >= 1
    inline = run_study(config, tmp_path, clock=clock, executor=InlineExecutor(), run_id="inline")
    assert on_ray.archive_hash == inline.archive_hash
    heads = {load_run(name, tmp_path).study["ledger_head"] for name in ("ray", "inline")}
    assert len(heads) == 1


def _actor_states() -> list[dict[str, str]]:
    from ray._private.state import actors

    return [{"NodeID": a["Address"]["NodeID"]} for a in actors().values() if a["State"] == "ALIVE"]


def _gcs_pid(address: str) -> int:
    port = int(address.rpartition(":")[2])
    return next(
        c.pid
        for c in psutil.net_connections("tcp")
        if c.laddr.port == port and c.status == psutil.CONN_LISTEN and c.pid
    )


@pytest.mark.slow
def test_a_wrong_token_or_none_is_refused(
    head: str, token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(other))
    with pytest.raises(InfrastructureError, match="does not let us in"):
        RaySession(head, workers=1, store_bytes=1)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="no token"):
        RaySession(head, workers=1, store_bytes=1)
    # A client without authentication, as Ray starts it when nobody asks for a token.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    code = f"import ray; ray.init({head!r}); print(ray.cluster_resources())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode != 0
    assert "CPU" not in done.stdout


def test_a_wrong_address_fails_within_seconds(token: Path) -> None:
    began = time.monotonic()
    port = free_port()
    with pytest.raises(ConfigError, match=f"no Ray cluster answers at 127.0.0.1:{port}") as caught:
        RayExecutor(f"127.0.0.1:{port}", evaluator=FAKE).start(small_job())
    assert "ray start --head" in caught.value.fix
    for address in ("nowhere", "127.0.0.1:", "127.0.0.1:99999", ":6379", "host:6379x"):
        with pytest.raises(ConfigError, match="not the address"):
            RaySession(address, workers=1, store_bytes=1)
    assert time.monotonic() - began < 20


@pytest.mark.slow
@pytest.mark.usefixtures("importable_evaluators")
def test_a_program_that_uses_ray_keeps_its_connection() -> None:
    import ray

    session = RaySession(None, workers=1, store_bytes=100 << 20)
    try:
        executor = RayExecutor(workers=1, evaluator=FAKE)
        executor.start(small_job())
        executor.close()
        assert ray.is_initialized()
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(ConfigError, match="connected to a Ray cluster already"):
                RaySession(address, workers=1, store_bytes=1)
    finally:
        session.close()
    assert not ray.is_initialized()


@pytest.mark.slow
def test_something_else_at_the_address_is_told(token: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InfrastructureError, match="does not let us in"):
            RaySession(address, workers=1, store_bytes=1)


@pytest.mark.slow
@pytest.mark.usefixtures("importable_evaluators")
def test_a_local_cluster_ends_with_its_executor() -> None:
    before = set(psutil.Process().children(recursive=True))
    executor = RayExecutor(workers=2, evaluator=FAKE)
    executor.start(small_job())
    mine = set(psutil.Process().children(recursive=True)) - before
    assert any("raylet" in p.name() for p in mine)
    executor.close()
    _, alive = psutil.wait_procs(mine, timeout=30)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    assert "RAY_AUTH_TOKEN" not in os.environ
