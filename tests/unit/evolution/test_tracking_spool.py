"""The spool, redaction, targets and the tracker, without MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import ConfigError, StorageError
from genesis.evolution.tracking import MlflowTracker, Target, redact_text, redact_uri, ui_command
from genesis.evolution.tracking.ship import Shipper, ship
from genesis.evolution.tracking.sink import Refused, RunMissing, Unreachable
from genesis.evolution.tracking.spool import Spool, leftovers
from genesis.evolution.tracking.target import default_target, target_of


class StepClock:
    """A clock that moves one millisecond a reading."""

    def __init__(self) -> None:
        self.at = 1_700_000_000_000

    def now_ms(self) -> int:
        self.at += 1
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000


@dataclass
class FakeRun:
    id: str
    folder: Path


@dataclass
class FakeResult:
    status: str = "finished"
    archive_hash: str = "a" * 64


class MemorySink:
    """Collects events; fails as told, before or after having stored the event."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.fail: dict[int, Exception] = {}
        self.calls = 0

    def send(self, start: dict[str, Any], event: dict[str, Any], *, check: bool) -> None:
        self.calls += 1
        if self.calls in self.fail:
            raise self.fail[self.calls]
        self.seen.append((event["kind"] + str(event.get("generation", "")), check))


def no_process() -> subprocess.Popen[bytes]:
    raise OSError(2, "no process in this test")


def tracker(tmp_path: Path, **more: Any) -> tuple[MlflowTracker, FakeRun]:
    folder = tmp_path / "runs" / "r1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(
        "name: demo\nevolution: {seed: 7}\ntracking: {uri: 'http://ann:pw@host:1'}\n"
    )
    (folder / "study.json").write_text(json.dumps({"config_hash": "c" * 64, "status": "running"}))
    target = more.pop("target", Target("http://ann:pw@127.0.0.1:1"))
    more.setdefault("start_process", no_process)
    made = MlflowTracker(target, tmp_path / "spool", "demo", clock=StepClock(), **more)
    return made, FakeRun("r1", folder)


def generation(g: int) -> dict[str, Any]:
    return {
        "generation": g,
        "best": 1.5 + g,
        "eta_s": float("nan"),
        "median": None,
        "failures": {"no_trades": g},
        "islands": [{"island": "trend", "best": 0.5 + g}],
    }


def fill(spool: Spool, n: int) -> None:
    spool.append({"kind": "start", "run_id": "r", "key": "r@1", "target": "http://h:1"})
    for g in range(n):
        spool.append({"kind": "generation", "generation": g})


def test_a_torn_tail_is_never_read_and_cut_off_by_the_next_append(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r")
    fill(spool, 2)
    whole = spool.path.stat().st_size
    with spool.path.open("ab") as handle:
        handle.write(b'{"kind":"generation","gener')
    assert [e.get("generation") for e, _ in spool.events()] == [None, 0, 1]
    assert spool.pending() == 3
    spool.append({"kind": "finish"})
    lines = spool.path.read_bytes().splitlines()
    assert [json.loads(line)["kind"] for line in lines][-2:] == ["generation", "finish"]
    assert spool.path.read_bytes()[:whole].endswith(b'"generation":1}\n')


def test_a_spool_of_nothing_but_a_torn_line_starts_anew(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r")
    tmp_path.joinpath("r.jsonl").write_bytes(b'{"kind"')
    spool.append({"kind": "start"})
    assert [e for e, _ in spool.events()] == [{"kind": "start"}]


def test_offsets_continue_where_reading_stopped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r")
    fill(spool, 3)
    offsets = [offset for _, offset in spool.events()]
    assert [e["generation"] for e, _ in spool.events(offsets[1])] == [1, 2]


def test_spool_files_are_private(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "r")
    fill(spool, 0)
    assert spool.path.stat().st_mode & 0o077 == 0
    assert spool.folder.stat().st_mode & 0o077 == 0


def test_the_lock_admits_one(tmp_path: Path) -> None:
    with Spool(tmp_path, "r").locked() as first, Spool(tmp_path, "r").locked() as second:
        assert first
        assert not second


def test_a_failure_keeps_the_event_and_checks_it_when_sent_again(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path, "r"), MemorySink()
    fill(spool, 3)
    sink.fail = {3: Unreachable("away")}
    shipper = Shipper(spool, sink)
    with pytest.raises(Unreachable):
        shipper.drain()
    assert spool.shipped().error == "away"
    assert spool.pending() == 2
    shipper.drain()
    # The first of a new process and the first after a failure may be there already.
    assert sink.seen == [
        ("start", True),
        ("generation0", False),
        ("generation1", True),
        ("generation2", False),
    ]
    assert spool.pending() == 0
    assert spool.shipped().error == ""


def test_a_refused_event_is_recorded_and_passed_by(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path, "r"), MemorySink()
    fill(spool, 2)
    sink.fail = {2: Refused("bad name")}
    Shipper(spool, sink).drain()
    assert [kind for kind, _ in sink.seen] == ["start", "generation1"]
    assert spool.shipped().rejected == ["generation: bad name"]


def test_a_server_that_lost_the_run_gets_everything_again(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path, "r"), MemorySink()
    fill(spool, 2)
    Shipper(spool, sink).drain()
    spool.append({"kind": "finish"})
    sink.fail = {4: RunMissing("gone")}
    Shipper(spool, sink).drain()
    assert sink.seen[3:] == [
        ("start", True),
        ("generation0", True),
        ("generation1", True),
        ("finish", True),
    ]


def test_a_run_that_stays_missing_is_an_outage_not_a_loop(tmp_path: Path) -> None:
    spool, sink = Spool(tmp_path, "r"), MemorySink()
    fill(spool, 1)
    sink.fail = {n: RunMissing("gone") for n in range(1, 10)}
    with pytest.raises(Unreachable):
        Shipper(spool, sink).drain()
    assert sink.calls == 2


def test_ship_takes_leftovers_of_the_same_target_only(tmp_path: Path) -> None:
    for run, target in (("a", "http://h:1"), ("b", "http://other:1"), ("c", "http://h:1")):
        Spool(tmp_path, run).append({"kind": "start", "key": run, "target": target})
    sink = MemorySink()
    report = ship(tmp_path, Target("http://h:1"), sink=lambda _: sink)
    assert (report.sent, report.pending, report.error) == (2, 0, "")
    assert leftovers(tmp_path) == ["b"]
    with Spool(tmp_path, "b").locked():
        held = ship(tmp_path, Target("http://h:1"), ["b"], sink=lambda _: sink)
    assert held.pending == 1
    assert "another process" in held.error


def test_the_tracker_spools_and_never_touches_mlflow(tmp_path: Path) -> None:
    warnings: list[str] = []
    made, run = tracker(tmp_path, warn=warnings.append)
    made.on_start(run)
    for g in range(3):
        made.on_generation(generation(g))
    made.on_generation(generation(2))  # a resumed study repeats one
    (run.folder / "archive.json").write_text("{}")
    made.on_finish(FakeResult())
    events = [event for event, _ in Spool(tmp_path / "spool", "r1").events()]
    assert [e["kind"] for e in events] == (
        ["start"] + ["generation"] * 3 + ["artifact"] * 3 + ["finish"]
    )
    assert events[0]["params"]["evolution.seed"] == "7"
    assert events[0]["tags"]["genesis.config_hash"] == "c" * 64
    assert events[2]["metrics"] == {"best": 2.5, "failures.no_trades": 1.0}
    assert events[2]["islands"] == {"trend": {"best": 1.5}}
    assert events[-1]["status"] == "FINISHED"
    text = made.close(timeout_s=0)
    assert "8 tracking events" in text
    assert "genesis runs sync r1" in text
    assert "no process in this test" in warnings[0]
    assert "pw" not in (tmp_path / "spool" / "r1.jsonl").read_text() + text


def test_a_generation_saved_but_not_spooled_is_told_on_resume(tmp_path: Path) -> None:
    made, run = tracker(tmp_path)
    made.on_start(run)
    made.on_generation(generation(0))
    # The study was killed behind the checkpoint of generation 1, before it told anybody.
    rows = [json.dumps(generation(g) | {"eta_s": None}) + "\n" for g in range(2)]
    (run.folder / "metrics.jsonl").write_text("".join(rows) + '{"generation": 2, "be')
    resumed, _ = tracker(tmp_path)
    resumed.on_start(run)
    resumed.on_generation(generation(2))
    told = [e.get("generation") for e, _ in Spool(tmp_path / "spool", "r1").events()]
    assert told == [None, 0, None, 1, 2]


def test_importing_the_tracker_imports_no_mlflow() -> None:
    code = "import sys, genesis.evolution.tracking; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_study_call_is_one_append_whatever_the_server_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended: list[str] = []
    real = Spool.append

    def counting(self: Spool, event: dict[str, Any]) -> None:
        appended.append(event["kind"])
        real(self, event)

    monkeypatch.setattr(Spool, "append", counting)
    sleeper = lambda: subprocess.Popen(  # noqa: E731 - never reads: the pipe fills up
        [sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE
    )
    made, run = tracker(tmp_path, start_process=sleeper)
    made.on_start(run)
    try:
        for g in range(300):
            made.on_generation(generation(g))
        assert appended == ["start"] + ["generation"] * 300
    finally:
        assert "301 tracking events" in made.close(timeout_s=0)


def test_a_resumed_run_keeps_its_key_and_skips_what_is_spooled(tmp_path: Path) -> None:
    made, run = tracker(tmp_path)
    made.on_start(run)
    made.on_generation(generation(0))
    made.on_generation(generation(1))
    again, run = tracker(tmp_path)
    again._clock.now_ms()  # another moment
    again.on_start(run)
    for g in (1, 2):
        again.on_generation(generation(g))
    events = [event for event, _ in Spool(tmp_path / "spool", "r1").events()]
    assert [e.get("generation") for e in events] == [None, 0, 1, None, 2]
    assert events[0]["key"] == events[3]["key"]


def test_a_full_disk_does_not_reach_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    made, run = tracker(tmp_path, warn=warnings.append)
    made.on_start(run)
    full = {"now": True}
    real = os.write

    def write(handle: int, data: Any) -> int:
        if full["now"]:
            real(handle, bytes(data)[:5])
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageError):
        Spool(tmp_path / "spool", "r1").append({"kind": "generation"})
    made.on_generation(generation(0))
    made.on_generation(generation(1))
    assert sum("No space left" in w for w in warnings) == 1
    full["now"] = False
    made.on_generation(generation(2))
    events = [event for event, _ in Spool(tmp_path / "spool", "r1").events()]
    assert [e.get("generation") for e in events] == [None, 0, 1, 2]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://ann:s3cret@host:5000/x", "https://***@host:5000/x"),
        ("https://s3cret@host", "https://***@host"),
        ("postgresql://u:s3c@ret@db/mlflow", "postgresql://***@db/mlflow"),
        ("http://h/x?a=1&access_token=s3cret&b=2", "http://h/x?a=1&access_token=***&b=2"),
        ("sqlite:////home/a/mlflow.db", "sqlite:////home/a/mlflow.db"),
    ],
)
def test_uris_lose_their_credentials(uri: str, shown: str) -> None:
    assert redact_uri(uri) == shown
    assert "s3c" not in redact_text(f"failed: '{uri}' (timeout)")


def test_text_loses_secret_entries_and_keeps_the_rest() -> None:
    text = 'name: a\n  api_key: abc\n{\n "password": "pw1",\n "seed": 3\n}\ntoken: null\n'
    assert redact_text(text) == (
        'name: a\n  api_key: ***\n{\n "password": ***,\n "seed": 3\n}\ntoken: null\n'
    )


def test_targets(tmp_path: Path) -> None:
    own = default_target(tmp_path)
    assert own.uri == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    assert target_of(None, tmp_path) == own
    assert target_of("http://h:1", tmp_path).artifact_root == ""
    with pytest.raises(ConfigError, match="not a tracking URI"):
        target_of("localhost:5000", tmp_path)
    assert "pw" not in repr(Target("http://u:pw@h:1"))


def test_the_ui_listens_on_loopback_for_its_own_names(tmp_path: Path) -> None:
    argv = ui_command(tmp_path, port=5055)
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--allowed-hosts") + 1] == "127.0.0.1:5055,localhost:5055"
    assert argv[argv.index("--backend-store-uri") + 1].endswith("/mlflow.db")
