"""Command lines that are printed name the workspace that was given, and nothing else changes."""

from __future__ import annotations

import json
from contextvars import copy_context
from pathlib import Path

import pytest

from genesis.cli import main
from genesis.cli.commands import keep_home, whole
from tests.unit.cli.command_answers import call


def with_home(home: str, text: str) -> str:
    """`whole` after a line with that workspace."""

    def told() -> str:
        keep_home(home)
        return whole(text)

    return copy_context().run(told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go on: genesis evolve --resume a", "go on: genesis --home /w evolve --resume a"),
        ("`genesis runs list` or genesis demo", "`genesis --home /w runs list` or"
         " genesis --home /w demo"),
        ("genesis --home FOLDER evolve CONFIG", "genesis --home FOLDER evolve CONFIG"),
        ("genesis is no command, genesis_runs neither", None),
    ],
)  # fmt: skip
def test_each_command_gets_it_once(text: str, expected: str | None) -> None:
    assert with_home("/w", text) == (expected or text)
    assert with_home("", text) == text


def test_a_folder_with_a_space_is_quoted() -> None:
    assert with_home("/a b", "genesis demo") == "genesis --home '/a b' demo"


def fix_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Fix of the error that a line ends with."""
    assert main.dispatch([*words, "--json"]) == 2
    return str(json.loads(capsys.readouterr().out)["error"]["fix"])


def test_a_workspace_of_the_environment_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--home", str(tmp_path), "runs", "show", "none"]
    assert f"genesis --home {tmp_path} runs list" in fix_of(given, capsys)
    monkeypatch.setenv("GENESIS_HOME", str(tmp_path))
    assert "`genesis runs list`" in fix_of(["runs", "show", "none"], capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["validate", ""],
        ["runs", "show", " "],
        ["report", ""],
        ["strategies", "show", ""],
        ["strategies", "list", "--run", ""],
    ],
)
def test_an_empty_name_is_refused(tmp_path: Path, words: list[str]) -> None:
    answer = call(tmp_path, *words, "--json")
    assert answer.code == 2
    assert answer.error["what"] == "an empty name means nothing"
