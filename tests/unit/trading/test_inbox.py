"""Commands of a person reach the loop whole, in order, and exactly once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genesis.domain.errors import InputError
from genesis.trading.inbox import Inbox
from genesis.trading.payloads import OperatorCommand


def command(number: int, word: str = "halt") -> OperatorCommand:
    return OperatorCommand(f"CMD_{number:04x}", word, "because", "me", {"scope": "run"})


def test_commands_come_in_the_order_in_which_they_were_sent(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for sent_ms, number in ((2_000, 1), (1_000, 2), (10_000, 3)):
        inbox.send(command(number), sent_ms)
    assert inbox.pending() == [command(2), command(1), command(3)]


def test_a_command_stays_until_it_is_consumed(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.send(command(1), 1)
    inbox.send(command(2), 2)
    assert Inbox(tmp_path).pending() == [command(1), command(2)]
    assert inbox.consumed("CMD_0001")
    assert not inbox.consumed("CMD_0001")
    assert Inbox(tmp_path).pending() == [command(2)]


def test_an_empty_inbox_needs_no_folder(tmp_path: Path) -> None:
    assert Inbox(tmp_path / "none").pending() == []
    assert not Inbox(tmp_path / "none").consumed("CMD_0001")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"schema": 2}',
        b"[]",
        b"x" * 70_000,
        b'{"schema":1,"command_id":"CMD_other","command":"halt","reason":"","who":"","sent_ms":1}',
    ],
)
def test_what_is_no_command_is_put_aside_and_holds_nobody_up(
    tmp_path: Path, content: bytes
) -> None:
    inbox = Inbox(tmp_path)
    inbox.send(command(1), 5)
    (inbox.folder / "000000000000001-CMD_bad.json").write_bytes(content)
    assert inbox.pending() == [command(1)]
    assert [path.name for path in inbox.malformed()] == ["000000000000001-CMD_bad.json"]
    assert inbox.pending() == [command(1)]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    path = inbox.send(command(1), 5)
    target = tmp_path / "elsewhere.json"
    path.rename(target)
    path.symlink_to(target)
    assert inbox.pending() == []


def test_a_half_written_file_is_not_seen(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.send(command(1), 5)
    (inbox.folder / ".000000000000006-CMD_0002.json.99-0.part").write_bytes(b"{")
    assert inbox.pending() == [command(1)]
    assert inbox.malformed() == []


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "run")
    inbox.send(command(1), 5)
    assert os.stat(inbox.folder).st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "../x", "a b", "CMD/1"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Inbox(tmp_path).send(OperatorCommand(name, "halt", "", ""), 1)
