"""kill -9 of the process that delivers: nothing lost, at most one repetition a kill and channel."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.queries import counts, list_alerts
from genesis.system.alerts import raise_alert
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.payloads import AlertRaised
from genesis.trading.store import EventStore, verify
from tests.conftest import REPOSITORY
from tests.integration.alert_server import Hook, hook

pytestmark = pytest.mark.slow

ALERTS = 12
AGAIN = " (possibly a repetition)"


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, server: Hook) -> Path:
    """A workspace with the hook as its channel and a run whose log holds critical alerts."""
    secret = tmp_path / "hook.url"
    secret.write_text(f"json://{server.address}/")
    secret.chmod(0o600)
    text = "schema: 1\nheartbeat: null\nconsole: none\n"
    text += "channels: [{name: hook, url_file: hook.url, level: info, timeout_s: 2}]\n"
    (tmp_path / "alerts.yaml").write_text(text)
    with EventStore.open(run_of(tmp_path), run="paper_1", tables=[], clock=SystemClock()) as store:
        events = [Event(AlertRaised("critical", "halt", f"t{n}", ""), n) for n in range(ALERTS)]
        store.commit(events)
    return tmp_path


def run_of(home: Path) -> Path:
    return home / "trading" / "paper_1"


def start(home: Path, point: str = "-", passes: int = 0) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.integration.alert_process", str(home), str(run_of(home))]
    return subprocess.Popen([*words, point, str(passes)], stdout=subprocess.PIPE, cwd=REPOSITORY)


def kill_when(home: Path, due: Callable[[], bool]) -> None:
    """Start a process and kill it as soon as something holds."""
    child = start(home)
    deadline = time.monotonic() + 60
    while not due():
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait(30)
    assert child.stdout is not None
    child.stdout.close()


def finish(home: Path) -> None:
    """Let a process deliver the rest."""
    child = start(home)
    assert child.stdout is not None
    assert child.stdout.readline() == b"idle\n"
    end(child)


def judge(home: Path, server: Hook, kills: int) -> None:
    """Each alert was told, once but for one a kill; whatever came again said so."""
    told = [str(m["title"]).partition(": ")[2] for m in server.got]
    written = [json.loads(s) for s in (home / "alerts" / "alerts.jsonl").read_text().splitlines()]
    filed = [m["title"] + (AGAIN if m["repeated"] else "") for m in written]
    for heard in (told, filed):
        count = Counter(title.removesuffix(AGAIN) for title in heard)
        assert set(count) == {f"t{n}" for n in range(ALERTS)}
        assert sum(count.values()) - ALERTS <= kills
        unmarked = Counter(title for title in heard if not title.endswith(AGAIN))
        assert max(unmarked.values()) == 1
    outbox = Outbox(home, SystemClock())
    assert len(list_alerts(outbox, suppressed=True, limit=500)) == ALERTS
    sums = counts(outbox)
    assert (sums["delivered"], sums["pending"], sums["undelivered"]) == (ALERTS, 0, 0)
    assert verify(outbox.folder).damage is None


def test_killed_again_and_again_between_deliveries(home: Path, server: Hook) -> None:
    for goal in (1, 4, 8):
        kill_when(home, lambda goal=goal: len(server.got) >= goal)  # type: ignore[misc]
    finish(home)
    judge(home, server, 3)


def test_killed_while_the_service_holds_a_message(home: Path, server: Hook) -> None:
    server.mode = "hang"
    kill_when(home, lambda: server.asked >= 1)
    server.mode = "ok"
    finish(home)
    judge(home, server, 1)
    first = next(m for m in server.got if ": t0" in str(m["title"]))
    assert str(first["title"]).endswith(AGAIN)  # nobody can know that it did not arrive


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_killed_at_each_commit(home: Path, server: Hook, point: str) -> None:
    kills = 0
    for count in (0, 1, 2, 3, 5, 8, 13):
        child = start(home, point, count)
        assert child.stdout is not None
        kills += child.stdout.readline() == b""  # it says something only if it had less to commit
        end(child)
    assert kills >= 5
    finish(home)
    judge(home, server, kills)


def test_another_process_takes_over_from_one_that_was_killed(home: Path, server: Hook) -> None:
    first = start(home)
    second = start(home)
    deadline = time.monotonic() + 60
    while len(server.got) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    end(first)
    while len(server.got) < ALERTS and time.monotonic() < deadline:
        time.sleep(0.01)
    end(second)
    finish(home)
    judge(home, server, 2)


def test_an_alert_of_a_command_whose_process_is_gone_is_delivered_by_the_next(
    home: Path, server: Hook
) -> None:
    server.mode = "hang"
    raise_alert(home, "critical", "promotion", "from a command", "", wait_s=0.3)
    server.mode = "ok"
    finish(home)
    assert any("promotion: from a command" in str(m["title"]) for m in server.got)


def test_a_service_that_never_ends_its_answer_does_not_keep_a_process_alive(
    home: Path, server: Hook
) -> None:
    server.mode = "drip"
    child = start(home, "end")
    deadline = time.monotonic() + 30
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    words = [sys.executable, "-c", _ALONE, str(home)]
    began = time.monotonic()
    subprocess.run(words, cwd=REPOSITORY, check=True, timeout=30)
    assert time.monotonic() - began < 15.0
    end(child)


_ALONE = """
import sys
from pathlib import Path
from genesis.system.alerts import try_channels
found = try_channels(Path(sys.argv[1]), "hook")
assert not found[0].delivered, found
"""
