"""Global behaviour of the command line: help, errors, JSON, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genesis.cli import main
from genesis.cli.evolve import show_outcome
from genesis.domain.errors import InterruptedRun, RefusedError
from genesis.evolution.study import StudyResult
from genesis.evolution.tracking import ShipReport
from genesis.evolution.tracking.spool import Spool
from genesis.system.compose import StudyOutcome

HEAVY = ("numpy", "pandas", "numba", "ray", "mlflow", "pyarrow", "deap", "sklearn", "yaml")


def _output(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    text = capsys.readouterr().out.strip()
    assert "\n" not in text, "one object on one line"
    loaded: dict[str, object] = json.loads(text)
    return loaded


@pytest.mark.parametrize(
    "arguments", [["--help"], ["evolve", "--help"], ["data", "--help"], ["runs", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from genesis.cli.main import dispatch\n"
        f"code = dispatch({arguments!r})\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.rstrip().endswith("HEAVY [] 0"), done.stdout[-300:] + done.stderr[-300:]


def test_every_command_has_help_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [["demo"], ["doctor"], ["evolve"], ["validate"], ["report"], ["backtest"], ["ui"]]
    for noun, verbs in {
        "runs": ("list", "show", "compare", "sync"),
        "strategies": ("list", "show", "explain", "export", "import"),
        "seeds": ("list", "show"),
        "data": ("import", "fetch", "synth", "list", "check"),
    }.items():
        commands += [[noun, verb] for verb in verbs]
    for command in commands:
        assert main.dispatch([*command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "genesis " in text.split("Usage:")[1].split("\n", 1)[1], command
        assert "--json" in text, command


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["--version"]) == 0
    assert capsys.readouterr().out.startswith("genesis 0.")


def test_unknown_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["evolv"]) == 2
    text = capsys.readouterr().err
    assert "evolv" in text
    assert "--help" in text


def test_usage_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.dispatch(["evolve", "--seed", "three", "--json"]) == 2
    answer = _output(capsys)
    assert answer["ok"] is False
    assert answer["schema"] == 1
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["exit_code"] == 2
    assert "--seed" in error["what"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("sealed", why="a seal", fix="other data"), 3),
        (InterruptedRun("stopped", fix="genesis evolve --resume a"), 130),
        (KeyboardInterrupt(), 130),
        (ValueError("a defect [not markup]"), 1),
    ],
)
def test_errors_reach_the_user(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("genesis.system.doctor.examine", broken)
    assert main.dispatch(["doctor"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    if isinstance(error, RefusedError):
        assert "sealed" in captured.err
        assert "why:" in captured.err
        assert "fix:" in captured.err
    if isinstance(error, ValueError):
        assert "a defect [not markup]" in captured.err
        assert "--debug" in captured.err
        assert main.dispatch(["doctor", "--debug"]) == 1
        assert "Traceback" in capsys.readouterr().err


def test_errors_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RefusedError("sealed", why="a seal", fix="other data")

    monkeypatch.setattr("genesis.system.doctor.examine", broken)
    assert main.dispatch(["doctor", "--json"]) == 3
    assert _output(capsys) == {
        "schema": 1,
        "ok": False,
        "error": {
            "kind": "RefusedError",
            "what": "sealed",
            "why": "a seal",
            "fix": "other data",
            "exit_code": 3,
        },
    }


def test_home_comes_from_option_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path] = []

    def record(workspace: object, **_: object) -> list[object]:
        seen.append(workspace.home)  # type: ignore[attr-defined]
        return []

    monkeypatch.setattr("genesis.system.doctor.examine", record)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENESIS_HOME", raising=False)
    assert main.dispatch(["doctor"]) == 0
    monkeypatch.setenv("GENESIS_HOME", str(tmp_path / "env"))
    assert main.dispatch(["doctor"]) == 0
    assert main.dispatch(["--home", str(tmp_path / "option"), "doctor"]) == 0
    assert seen == [tmp_path / ".genesis", tmp_path / "env", tmp_path / "option"]
    capsys.readouterr()


@pytest.mark.parametrize("command", [("runs", "list"), ("strategies", "list"), ("report", "one")])
def test_a_home_that_is_a_file_is_bad_input(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main.dispatch(["--home", str(file), *command, "--json"]) == 2
    error = _output(capsys)["error"]
    assert isinstance(error, dict)
    assert "is not a folder" in error["what"]
    assert "--home" in error["fix"]


@pytest.mark.parametrize("feasible", [True, False])
def test_the_first_of_the_leaderboard_is_offered_for_explanation(
    feasible: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": "strat_0123", "family": "donchian", "fitness": 1.0, "feasible": feasible}
    result = StudyResult("one", "finished", "a" * 64, "d" * 64, 96, 1.5, (row,))
    show_outcome(StudyOutcome(result, None))
    text = capsys.readouterr().out
    assert "genesis strategies explain strat_0123" in text
    assert ("no strategy met every constraint" in text) is not feasible
    assert "next     genesis " in text
    assert ("1.00*" in text) is not feasible
    assert ("* does not meet" in text) is not feasible


def _stored(home: Path, spans: dict[int, dict[str, Any]]) -> list[str]:
    """Store one strategy a moving average's span; returns their ids."""
    from genesis.evolution.store import StoredStrategy, StrategyStore
    from genesis.strategy.language import Market, ema
    from genesis.strategy.strategy import PolicyParams, Rules, Strategy

    close, ids = Market().close, []
    for span, facts in spans.items():
        strategy = Strategy(Rules(long=close > ema(close, span)), PolicyParams(), "custom")
        ids.append(StrategyStore(home / "strategies").put(StoredStrategy(strategy, **facts)).stem)
    return ids


def test_strategies_that_miss_a_constraint_are_marked_and_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unmet, met = _stored(
        tmp_path,
        {
            5: {"objectives": {"sharpe": 9.0}, "feasible": False},
            10: {"objectives": {"sharpe": 1.0}, "feasible": True},
        },
    )
    assert main.dispatch(["--home", str(tmp_path), "strategies", "list"]) == 0
    text = capsys.readouterr().out
    assert text.index(met) < text.index(unmet)
    assert "9.00*" in text
    assert "1.00*" not in text
    assert "* does not meet every constraint" in text


def test_strategies_are_listed_by_every_run_that_found_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("r2", "r3"):
        _stored(tmp_path, {5: {"run_id": run}})
    command = ["--home", str(tmp_path), "strategies", "list"]
    for run in ("r2", "r3"):
        assert main.dispatch([*command, "--run", run, "--json"]) == 0
        (row,) = _output(capsys)["strategies"]  # type: ignore[misc]
        assert (row["run_id"], row["also_found_by"]) == ("r2", ["r3"])
    for more in ([], ["--promotable"]):
        assert main.dispatch([*command, "--run", "r4", *more, "--json"]) == 2
        error = _output(capsys)["error"]
        assert "no run 'r4'" in error["what"]  # type: ignore[index]
        assert "r2, r3" in error["fix"]  # type: ignore[index]


def test_runs_are_listed_when_their_families_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    folder.joinpath("config.yaml").write_text(
        "schema: 1\nname: one\ndataset: {venue: v, symbols: [A], interval: 1h}\n"
        "seeds: {paths: [/nowhere/families.py]}\n"
    )
    study = {"status": "finished", "created_ms": 0, "generations": 7}
    folder.joinpath("study.json").write_text(json.dumps(study))
    assert main.dispatch(["--home", str(tmp_path), "runs", "list", "--json"]) == 0
    (row,) = _output(capsys)["runs"]  # type: ignore[misc]
    assert (row["run_id"], row["generations"]) == ("one", 7)


def test_a_removed_run_does_not_keep_others_from_being_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("gone", "here"):
        Spool(tmp_path / "spool", name).append({"kind": "start", "key": name})
    folder = tmp_path / "runs" / "here"
    folder.mkdir(parents=True)
    folder.joinpath("config.yaml").write_text(
        "schema: 1\nname: here\ndataset: {venue: v, symbols: [A], interval: 1h}\n"
    )
    folder.joinpath("study.json").write_text(json.dumps({"status": "finished", "created_ms": 0}))
    shipped: list[str] = []

    def ship(_: Path, __: object, runs: list[str]) -> ShipReport:
        shipped.extend(runs)
        return ShipReport(1, 0)

    monkeypatch.setattr("genesis.evolution.tracking.ship", ship)
    assert main.dispatch(["--home", str(tmp_path), "runs", "sync", "--json"]) == 1
    assert shipped == ["here"]
    error = _output(capsys)["error"]
    assert isinstance(error, dict)
    assert "1 tracking events are still waiting, 1 were shipped" in error["what"]
    assert "run gone is gone" in error["why"]


def test_completion_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from genesis.cli.main import run; run()"],
        env={
            "PATH": "/usr/bin:/bin",
            "_GENESIS_COMPLETE": "complete_bash",
            "COMP_WORDS": "genesis ru",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["runs"], done.stderr
