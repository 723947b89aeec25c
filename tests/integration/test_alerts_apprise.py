"""apprise itself against a web hook that behaves and one that does not; no secret gets out."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.monitoring.alerts.apprise_channel import AppriseChannel
from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.queries import find_alert, list_alerts
from genesis.monitoring.alerts.secret_urls import ChannelError, UrlSource
from genesis.system.alerts import alerting, raise_alert
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.payloads import AlertRaised
from genesis.trading.store import EventStore
from tests.e2e.command_line import Answer, command
from tests.integration.alert_server import Hook, hook
from tests.unit.cli.command_answers import call

CANARY = "canary9c41"
VARIABLE = "GENESIS_TEST_HOOK"


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


def url(server: Hook, scheme: str = "json") -> str:
    return f"{scheme}://user:{CANARY}@{server.address}/{CANARY}/?+X-Token={CANARY}&-key={CANARY}"


def message(text: str = "text <b>&amp;</b> {{x}}", level: int = AlertLevel.CRITICAL) -> Message:
    kind = AlertLevel(level)
    return Message("ALR_1", kind, kind.word, "orders", "title", text, "paper_1", 0)


def channel(server: Hook, monkeypatch: pytest.MonkeyPatch, scheme: str = "json") -> AppriseChannel:
    monkeypatch.setenv(VARIABLE, url(server, scheme))
    return AppriseChannel(UrlSource("env", VARIABLE), 0.5)


def configured(
    home: Path,
    server: Hook,
    monkeypatch: pytest.MonkeyPatch,
    level: str,
    patience_s: float = 10.0,
) -> Path:
    """A workspace whose one channel is the hook."""
    monkeypatch.setenv(VARIABLE, url(server))
    text = f"schema: 1\nheartbeat: null\nchannels:\n  - name: hook\n    url_env: {VARIABLE}\n"
    (home / "alerts.yaml").write_text(f"{text}    level: {level}\n    timeout_s: {patience_s}\n")
    return home


# ---- the library ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["json", "form"])
def test_a_message_arrives_whole(
    server: Hook, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    channel(server, monkeypatch, scheme).send(message())
    (got,) = server.got
    assert got["title"] == "[CRITICAL] orders: title"
    assert got["message"].startswith("text <b>&amp;</b> {{x}}\nsource: paper_1")
    assert "genesis alerts ack ALR_1" in got["message"]
    assert got["type"] == "failure"


@pytest.mark.parametrize(
    ("mode", "why", "doubtful"),
    [
        ("500", "answered 500", False),
        ("302", "answered 302", False),
        ("hang", "no answer in time", True),
        ("reset", "connection was", True),
        ("lost", "connection was", True),
    ],
)
def test_a_failure_says_its_cause_and_whether_it_is_in_doubt(
    server: Hook, monkeypatch: pytest.MonkeyPatch, mode: str, why: str, doubtful: bool
) -> None:
    server.mode = mode
    with pytest.raises(ChannelError, match=why) as caught:
        channel(server, monkeypatch).send(message())
    assert caught.value.doubtful is doubtful
    assert CANARY not in str(caught.value)
    assert server.address not in str(caught.value)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"json://127.0.0.1:1/{CANARY}")
    with pytest.raises(ChannelError, match="refused") as caught:
        AppriseChannel(UrlSource("env", VARIABLE), 1.0).send(message())
    assert not caught.value.doubtful


@pytest.mark.parametrize("bad", [f"nosuch://{CANARY}", f"tgram://{CANARY}", f"json://:{CANARY}"])
def test_a_url_that_apprise_does_not_understand(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv(VARIABLE, bad)
    with pytest.raises(ChannelError) as caught:
        AppriseChannel(UrlSource("env", VARIABLE), 0.5).send(message())
    assert CANARY not in str(caught.value)


# ---- the whole way -------------------------------------------------------------------------


def test_a_refused_alert_is_tried_again_until_it_arrives(
    server: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genesis.monitoring.alerts.delivery.FIRST_REST_MS", 50)
    home = configured(tmp_path, server, monkeypatch, "warning")
    server.mode = "500"
    with alerting(home, stream=io.StringIO()) as sink:
        sink.raise_alert("critical", "c", "x", "y")
        deadline = time.monotonic() + 30
        while server.asked < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.mode = "ok"
        while not server.got:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert server.titles == ["[CRITICAL] c: x"]
    outbox = Outbox(home, SystemClock())
    alert = next(row for row in list_alerts(outbox) if row.title == "x")
    _, deliveries = find_alert(outbox, alert.alert_id)
    states = {row.channel: (row.state, row.attempts) for row in deliveries}
    assert states["file"] == states["console"] == ("delivered", 1)
    assert states["hook"][0] == "delivered"
    assert states["hook"][1] >= 4


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_service_that_hangs_delays_neither_the_others_nor_the_end(
    server: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    home = configured(tmp_path, server, monkeypatch, "info", patience_s=0.5)
    server.mode = mode
    screen = io.StringIO()
    began = time.monotonic()
    with alerting(home, stream=screen, wait_s=2.0) as sink:
        sink.raise_alert("critical", "c", "x", "y")
        while "channel hook fails" not in screen.getvalue() and time.monotonic() - began < 30:
            time.sleep(0.01)
        assert time.monotonic() - began < 5.0
    assert time.monotonic() - began < 10.0
    assert "[CRITICAL] c: x" in screen.getvalue()
    states = {row["state"] for row in deliveries_to(home, "hook")}
    assert states <= {"pending", "sending"}  # the next process takes it up


def test_alerts_raised_for_a_command_arrive_and_never_raise(
    server: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = configured(tmp_path, server, monkeypatch, "info")
    assert raise_alert(home, "critical", "promotion", "x", "y")
    assert server.titles == ["[CRITICAL] promotion: x"]
    (home / "alerts.yaml").write_text("schema: [")
    raise_alert(home, "critical", "promotion", "z", "y")
    titles = [row.title for row in list_alerts(Outbox(home, SystemClock()))]
    assert {"z", "the settings of alerts cannot be used"} <= set(titles)
    assert raise_alert(Path("/proc/nowhere"), "critical", "c", "t", "", wait_s=0.3) is False


def deliveries_to(home: Path, name: str) -> list[dict]:  # type: ignore[type-arg]
    reader = Outbox(home, SystemClock()).reader()
    assert reader is not None
    with reader:
        return reader.rows("deliveries", "channel = ?", (name,))


# ---- secrets -------------------------------------------------------------------------------


@pytest.fixture
def every_log() -> Iterator[io.StringIO]:
    """All that any library would log, at the lowest level."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setLevel(0)
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_the_url_of_a_channel_appears_nowhere(
    server: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_log: io.StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    home = configured(tmp_path, server, monkeypatch, "info", patience_s=0.5)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    folder = home / "trading" / "paper_1"
    with EventStore.open(folder, run="paper_1", tables=[], clock=SystemClock()) as store:
        store.commit([Event(AlertRaised("critical", "halt", "from a run", ""), 1)])
    answers: list[Answer] = []
    for mode in ("ok", "500", "hang", "reset", "302", "lost"):
        server.mode = mode
        answers += [call(home, "alerts", "test"), call(home, "--debug", "alerts", "test", "--json")]
        raise_alert(home, "critical", "c", mode, "", wait_s=1.0)
    monkeypatch.setenv(VARIABLE, f"nosuch://{CANARY}")
    answers.append(call(home, "--debug", "alerts", "test"))
    with alerting(home, feeds=[AlertFeed(folder)]) as sink:
        sink.drain(5.0)
    for row in list_alerts(Outbox(home, SystemClock())):
        answers.append(call(home, "alerts", "show", row.alert_id, "--json"))
    answers += [call(home, "alerts", "list"), call(home, "alerts", "list", "--json")]
    (home / "alerts.yaml").write_text(f"schema: 1\nchannels: [{{name: a, url: 'x://{CANARY}'}}]")
    answers += [call(home, "--debug", "alerts", "test"), call(home, "alerts", "test", "--json")]
    assert server.asked > 6
    shown = "".join(answer.out + answer.err for answer in answers) + every_log.getvalue()
    shown += "".join(capfd.readouterr())
    assert "delivered" in shown
    assert CANARY not in shown
    (home / "alerts.yaml").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "events.db" for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


# ---- the commands --------------------------------------------------------------------------


def test_the_test_command_tells_of_each_channel(
    server: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = configured(tmp_path, server, monkeypatch, "critical")
    answer = call(home, "alerts", "test", "--json")
    assert answer.code == 0
    assert {one["channel"] for one in answer.json["channels"]} == {"hook", "file", "console"}
    assert server.titles == ["[INFO] test: a test alert"]  # whatever its level
    server.mode = "500"
    answer = call(home, "alerts", "test", "--channel", "hook", "--json")
    assert answer.code == 1
    assert answer.json["ok"] is False
    (one,) = answer.json["channels"]
    assert (one["delivered"], one["why"]) == (False, "the service answered 500")
    assert "FAILED: the service answered 500" in call(home, "alerts", "test").out
    assert call(home, "alerts", "test", "--channel", "hok").code == 2
    os.environ.pop(VARIABLE)
    answer = call(home, "alerts", "test", "--channel", "hook", "--json")
    assert answer.json["channels"][0]["why"] == "its environment variable is not set"


def test_alerts_are_listed_shown_and_acknowledged(tmp_path: Path) -> None:
    assert "no alert" in call(tmp_path, "alerts", "list").out
    for level in ("warning", "critical", "warning"):
        raise_alert(tmp_path, level, "orders", "late", "text")
    listed = call(tmp_path, "alerts", "list", "--json").json
    assert [row["level"] for row in listed["alerts"]] == ["critical", "warning"]
    assert listed["counts"]["suppressed"] == 1
    everything = call(tmp_path, "alerts", "list", "--suppressed").out
    assert "late (kept back)" in everything
    critical, warning = (row["alert_id"] for row in listed["alerts"])
    only = call(tmp_path, "alerts", "list", "--level", "critical", "--json").json
    assert [row["alert_id"] for row in only["alerts"]] == [critical]
    shown = call(tmp_path, "alerts", "show", critical)
    assert "[CRITICAL] orders: late" in shown.out
    assert call(tmp_path, "alerts", "show", "ALR_").code == 2
    assert call(tmp_path, "alerts", "show", "nothing").code == 2
    assert call(tmp_path, "alerts", "list", "--level", "loud").code == 2
    assert call(tmp_path, "alerts", "ack", critical).code == 2
    assert call(tmp_path, "alerts", "ack", critical, "--reason", " ").code == 2
    done = call(tmp_path, "alerts", "ack", critical, "--reason", "seen", "--json").json
    assert done["acknowledged"] == [critical]
    assert done["open_like_them"] == 1
    assert "already" in call(tmp_path, "alerts", "ack", critical, "--reason", "again").out
    shown_again = call(tmp_path, "alerts", "show", critical).out
    assert "seen" in shown_again
    assert "again" not in shown_again
    assert call(tmp_path, "alerts", "ack", critical, "--same", "--reason", "x").code == 0
    assert call(tmp_path, "alerts", "list", "--unacked", "--json").json["alerts"] == []
    plain = json.loads(call(tmp_path, "alerts", "show", warning, "--json").out)
    assert plain["alert"]["acknowledged_ms"] is not None


def test_watch_forwards_a_runs_alerts_until_it_is_interrupted(
    server: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = configured(tmp_path, server, monkeypatch, "warning")
    folder = home / "trading" / "paper_1"

    def raised(title: str) -> None:
        with EventStore.open(folder, run="paper_1", tables=[], clock=SystemClock()) as store:
            store.commit([Event(AlertRaised("critical", "halt", title, ""), 1)])

    raised("before")
    for title in ("during", "again"):
        words = command(home, "alerts", "watch", "paper_1", "--json")
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        told = len(server.got)
        deadline = time.monotonic() + 60
        raised(title)
        while title not in "".join(server.titles) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        assert child.returncode == 0, err
        assert json.loads(out) == {
            "schema": 1,
            "ok": True,
            "run": "paper_1",
            "trouble": "",
            "waiting": 0,
        }
        assert len(server.got) - told == (2 if title == "during" else 1)
    assert server.titles == [f"[CRITICAL] halt: {title}" for title in ("before", "during", "again")]
    assert call(home, "alerts", "watch", "nothing").code == 2
