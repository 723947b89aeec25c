"""`genesis keys`: nobody is asked for a passphrase that would be of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.cli.render import error_payload
from genesis.domain.errors import StorageError
from tests.unit.cli.command_answers import call


def test_a_place_that_cannot_be_written_is_told_before_the_passphrase(tmp_path: Path) -> None:
    there = tmp_path / "key"
    there.write_text("x")
    for file, why, fix in (
        (there, "there already", "another name"),
        (tmp_path / "no" / "key", f"no folder {tmp_path}/no", f"mkdir -p {tmp_path}/no"),
    ):
        error = call(tmp_path, "keys", "create", str(file), "--json").error
        assert (why in error["why"], fix in error["fix"]) == (True, True), error
    assert there.read_text() == "x"


@pytest.mark.parametrize("line", [("keys", "show"), ("live", "run", "--account", "0x1")])
def test_a_key_file_that_is_not_there_is_told_first(tmp_path: Path, line: tuple[str, ...]) -> None:
    from genesis.cli.paper_testnet import Options, read_key
    from genesis.domain.errors import ConfigError

    absent = tmp_path / "absent"
    if line[0] == "keys":
        error = call(tmp_path, *line, str(absent), "--json").error
        assert error["why"] == "no such file or directory"
        assert "genesis --home" in error["fix"]
        return
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(Options([], "", absent, -1, -1, "", ""))


def test_numbers_of_the_operating_system_are_left_out() -> None:
    told = error_payload(StorageError("no", why="[Errno 17] File exists: '/x'"))
    assert told["error"]["why"] == "File exists: '/x'"
