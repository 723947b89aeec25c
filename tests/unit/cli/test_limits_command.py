"""`genesis risk limits`, and the phrase that a person types before looser ones count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genesis.cli import limits as command
from genesis.domain.errors import RefusedError
from genesis.risk.limits import HardLimits
from genesis.system.limits import take_limits
from tests.unit.cli.command_answers import call
from tests.unit.cli.test_paper_command import refused
from tests.unit.decision.operation_samples import NOW
from tests.unit.trading.event_samples import HandClock

ACCOUNT = "0x" + "ab" * 20


def write(folder: Path, text: str, name: str = "limits.yaml") -> Path:
    (folder / name).write_text(f"schema: 1\nlimits: {{{text}}}\n")
    return folder / name


def test_what_holds_and_where_it_comes_from(tmp_path: Path) -> None:
    told = call(tmp_path, "risk", "limits", "--json").json
    assert (told["limits"], told["source"], told["stated"]) == (
        HardLimits().plain(),
        "built in",
        [],
    )
    path = write(tmp_path, "max_gross: 2")
    told = call(tmp_path, "risk", "limits", "--json").json
    assert (told["limits"]["max_gross"], told["built_in"]["max_gross"]) == (2, 3.0)
    assert (told["source"], told["stated"]) == (str(path), ["max_gross"])
    assert told["account"] is None
    other = write(tmp_path, "max_gross: 1", "other.yaml")
    told = call(tmp_path, "risk", "limits", "--limits", str(other), "--json").json
    assert (told["limits"]["max_gross"], told["source"]) == (1, str(other))
    text = call(tmp_path, "risk", "limits").out
    assert str(path) in text
    assert "max_gross" in text
    write(tmp_path, "max_gros: 2")
    refused(call(tmp_path, "risk", "limits", "--json"), 2, "max_gros", "max_gross")


def test_what_a_start_would_change_for_an_account(tmp_path: Path) -> None:
    write(tmp_path, "max_gross: 5, max_order: 0.5")
    told = call(tmp_path, "risk", "limits", "--account", ACCOUNT, "--json").json["account"]
    assert told["before"] == HardLimits().plain()
    assert (told["loosened"], told["phrase"]) == (["max_gross"], "LOOSEN max_gross=5")
    text = call(tmp_path, "risk", "limits", "--account", ACCOUNT).out
    assert '--confirm "LOOSEN max_gross=5"' in text
    assert "max_order 1 to 0.5" in text


def choice(home: Path, monkeypatch: pytest.MonkeyPatch, typed: str | None, **given: str) -> Any:
    """Choice of a person who types something at a terminal; nobody is there for None."""
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        assert typed is not None
        return typed

    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: typed is not None, raising=False)
    monkeypatch.setattr(command.typer, "prompt", prompt)
    made = command.chosen_limits(home, ACCOUNT, None, given.get("confirm", ""), "seen")
    return made, asked


def start(home: Path, made: Any) -> HardLimits:
    return take_limits(home, ACCOUNT, made, HandClock(NOW), going_on=False)[0]


def test_a_person_at_a_terminal_types_the_phrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "max_gross: 5")
    made, asked = choice(tmp_path, monkeypatch, "yes")
    assert asked == ["Type LOOSEN max_gross=5"]
    with pytest.raises(RefusedError):
        start(tmp_path, made)
    made, _ = choice(tmp_path, monkeypatch, "LOOSEN max_gross=5")
    assert start(tmp_path, made).max_gross == 5.0
    assert choice(tmp_path, monkeypatch, "never asked")[1] == [], "the account has them now"


def test_nobody_is_asked_without_a_terminal_or_a_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "max_gross: 2")
    assert choice(tmp_path, monkeypatch, "x")[1] == []
    write(tmp_path, "max_gross: 5")
    made, asked = choice(tmp_path, monkeypatch, None)
    assert asked == []
    with pytest.raises(RefusedError):
        start(tmp_path, made)
    made, asked = choice(tmp_path, monkeypatch, "x", confirm="LOOSEN max_gross=5")
    assert asked == []
    assert start(tmp_path, made).max_gross == 5.0


def test_a_killed_account_is_emptied_without_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limits.yaml").write_text("{")
    (tmp_path / "kill").touch()
    assert choice(tmp_path, monkeypatch, "x")[1] == []
