"""The local channels: a private file that only grows, and a stream that may be gone."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from genesis.monitoring.alerts.channels import ConsoleChannel, FileChannel, local_slots
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.secret_urls import ChannelError
from genesis.monitoring.alerts.settings import CONSOLE, AlertSettings
from genesis.system.alerts import slots_of


def message(title: str = "title", **changes: object) -> Message:
    values: dict[str, object] = {
        "alert_id": "ALR_1",
        "level": AlertLevel.CRITICAL,
        "raised_level": "critical",
        "component": "orders",
        "title": title,
        "text": "one\ntwo",
        "source": "paper_1",
        "happened_ms": 1_738_324_800_000,
    }
    return Message(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def open_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_file_is_private_and_only_grows(tmp_path: Path, open_umask: object) -> None:
    path = tmp_path / "alerts" / "alerts.jsonl"
    for title in ("a", "ü\u2028b"):
        FileChannel(path).send(message(title))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    written = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    assert [one["title"] for one in written] == ["a", "ü\u2028b"]
    assert written[0]["level"] == "critical"


def test_a_file_that_cannot_be_written_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "alerts.jsonl").mkdir()
    with pytest.raises(ChannelError, match="directory"):
        FileChannel(tmp_path / "alerts.jsonl").send(message())
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ChannelError):
        FileChannel(tmp_path / "link").send(message())
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ChannelError, match="No space"):
        FileChannel(Path("/dev/full")).send(message())


def test_the_console_prints_what_to_do(tmp_path: Path) -> None:
    stream = io.StringIO()
    ConsoleChannel(stream).send(message(suppressed=2, instead_of="phone", raised_level="warning"))
    assert stream.getvalue().splitlines() == [
        "[CRITICAL] orders: title",
        "  one",
        "  two",
        "  source: paper_1, at 2025-01-31 12:00:00Z",
        "  raised as warning and acknowledged by nobody since",
        "  2 of the same were kept back before it",
        "  channel phone failed to tell it",
        "  next: genesis events tail paper_1",
        "  acknowledge: genesis alerts ack ALR_1 --reason TEXT",
    ]


def test_commands_name_a_workspace_that_is_not_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual, other = tmp_path / ".genesis", tmp_path / "my desk"
    for home, named in ((usual, "genesis"), (other, f"genesis --home '{other}'")):
        stream = io.StringIO()
        (console,) = [s for s in slots_of(home, AlertSettings(), stream) if s.name == CONSOLE]
        console.channel.send(message(text="see genesis audit flow paper_1"))
        lines = stream.getvalue().splitlines()
        assert lines[1] == f"  see {named} audit flow paper_1"
        assert lines[-2:] == [
            f"  next: {named} events tail paper_1",
            f"  acknowledge: {named} alerts ack ALR_1 --reason TEXT",
        ]


def test_a_stream_that_is_closed_is_a_failure() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(ChannelError, match="nobody reads it"):
        ConsoleChannel(stream).send(message())


def test_the_file_hears_everything_and_the_console_can_be_turned_off(tmp_path: Path) -> None:
    assert [slot.name for slot in local_slots(tmp_path, None)] == ["file"]
    file, console = local_slots(tmp_path, AlertLevel.HIGH)
    assert (file.level, file.quiet) == (AlertLevel.INFO, False)
    assert (console.level, console.quiet) == (AlertLevel.HIGH, False)
