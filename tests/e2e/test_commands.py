"""The README's commands, on a small synthetic market."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.timeline import format_ts, interval_ms
from genesis.evolution.register import TrialRegister
from genesis.evolution.registration import HUMAN
from genesis.evolution.seals import SealRegistry
from genesis.evolution.trial_count import count_trials
from tests.e2e.command_line import CONFIG, Answer, Cli

Studied = tuple[Path, Answer]


def test_evolve_answers_with_its_result(studied: Studied) -> None:
    home, answer = studied
    result = answer.json
    assert result["ok"] is True
    assert result["run_id"] == "first"
    assert result["status"] == "finished"
    assert len(result["archive_hash"]) == len(result["dataset_hash"]) == 64
    assert result["evaluations"] > 0
    assert result["leaderboard"], "a planted trend of this size leaves survivors"
    assert Path(result["report"]).is_file()
    assert "generation 1/3" in answer.err, "plain lines without a terminal, on standard error"
    assert home.stat().st_mode & 0o077 == 0


def test_same_seed_same_archive_other_seed_another(
    studied: Studied, tmp_path: Path, cli: Cli
) -> None:
    home, first = studied
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    again = cli(home, "evolve", str(config), "--run", "again", "--json").json
    assert again["archive_hash"] == first.json["archive_hash"]
    other = cli(home, "evolve", str(config), "--run", "other", "--seed", "6", "--json").json
    assert other["archive_hash"] != first.json["archive_hash"]
    compared = cli(home, "runs", "compare", "first", "other", "--json").json
    assert compared["differences"] == {"evolution.seed": [5, 6]}
    assert compared["same_archive"] is False
    text = cli(home, "runs", "compare", "first", "again").out
    assert "equal to the bit" in text


def test_runs_list_and_show(studied: Studied, cli: Cli) -> None:
    home, answer = studied
    runs = {run["run_id"]: run for run in cli(home, "runs", "list", "--json").json["runs"]}
    assert runs["first"]["status"] == "finished"
    assert runs["first"]["generations_done"] == 3
    assert "first" in cli(home, "runs", "list").out
    shown = cli(home, "runs", "show", "fir", "--json").json
    assert shown["study"]["archive_hash"] == answer.json["archive_hash"]
    assert len(shown["metrics"]) == 3
    assert shown["config"]["name"] == "tiny"
    assert "leaderboard" in cli(home, "runs", "show", "first").out


def test_report_is_one_offline_page(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home, answer = studied
    page = tmp_path / "page.html"
    assert cli(home, "report", "first", "--out", str(page), "--json").json["report"] == str(page)
    html = page.read_text()
    assert answer.json["leaderboard"][0]["id"] in html
    assert 'src="http' not in html


def test_strategies_from_list_to_import(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home, answer = studied
    best = answer.json["leaderboard"][0]["id"]
    listed = cli(home, "strategies", "list", "--json").json["strategies"]
    assert best in {row["id"] for row in listed}
    explained = cli(home, "strategies", "explain", best, "--json").json
    assert len(explained["sentence"]) > 30
    assert explained["sentence"] in cli(home, "strategies", "explain", best).out
    assert cli(home, "strategies", "show", best[:-1], "--json").json["strategy"]["id"] == best
    file = tmp_path / "best.json"
    exported = cli(home, "strategies", "export", best, "--out", str(file), "--json").json
    assert exported["ledgers"] == str(tmp_path / "best.ledgers.zip")
    other = tmp_path / "other"
    imported = cli(other, "strategies", "import", str(file), "--json").json
    assert (imported["id"], imported["origin_problem"]) == (best, None)
    assert f"already here: {best}" in cli(other, "strategies", "import", str(file)).out
    assert f"imported {best}" in cli(tmp_path / "new", "strategies", "import", str(file)).out
    assert len(list(other.glob("origins/first-*/trials.jsonl"))) == 1
    assert cli(other, "strategies", "show", best, "--json").json["strategy"]["id"] == best

    document: dict[str, Any] = json.loads(file.read_text())
    document["strategy"]["policy"]["size"] /= 2
    file.write_text(json.dumps(document))
    changed = cli(tmp_path / "third", "strategies", "import", str(file), "--json")
    assert changed.code == 3
    assert "changed" in changed.error["what"]
    assert not list((tmp_path / "third").rglob("strat_*"))


def test_backtest_of_a_stored_and_an_exported_strategy(
    studied: Studied, tmp_path: Path, cli: Cli
) -> None:
    home, answer = studied
    best = answer.json["leaderboard"][0]["id"]
    dataset = ("--dataset", "synth:SYN1,SYN2:4h", "--funding", "none")
    page = tmp_path / "backtest.html"
    whole = cli(home, "backtest", best, *dataset, "--report", str(page), "--json").json["backtest"]
    assert whole["strategy"] == best
    assert set(whole["symbols"]) == {"SYN1", "SYN2"}
    assert best in page.read_text()
    file = tmp_path / "best.json"
    cli(home, "strategies", "export", best, "--out", str(file))
    same = cli(home, "backtest", str(file), *dataset, "--json").json["backtest"]
    assert same["metrics"] == whole["metrics"]
    dear = cli(home, "backtest", best, *dataset, "--taker", "0.005", "--json").json["backtest"]
    assert dear["metrics"]["total_return"] < whole["metrics"]["total_return"]
    assert "total return" in cli(home, "backtest", best, *dataset).out
    nowhere = tmp_path / "nowhere" / "page.html"
    refused = cli(home, "backtest", best, *dataset, "--report", str(nowhere), "--json")
    assert refused.code == 2
    assert "does not exist" in refused.error["what"]
    assert not nowhere.parent.exists()


def test_a_backtest_of_ones_own_is_a_trial(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home = shutil.copytree(studied[0], tmp_path / "home")
    best = studied[1].json["leaderboard"][0]["id"]
    options = ("--funding", "none", "--json", "--dataset")
    bases, span = ["synth:SYN1", "synth:SYN2"], (0, 10**14)
    (home / "register.jsonl").unlink()  # other tests try strategies in the shared workspace
    (home / "register.end.json").unlink()
    before = count_trials(home, bases, span)
    assert {row.source for row in before.studies} == {"ledger"}
    file = tmp_path / "own.json"
    assert cli(home, "strategies", "export", best, "--out", str(file)).code == 0
    document = json.loads(file.read_text())["strategy"]
    del document["id"]
    document["policy"]["size"] /= 2
    file.write_text(json.dumps(document))
    for dataset, trials in (("synth:SYN1,SYN2:4h", 1), ("synth:SYN1:4h", 2), ("synth:SYN1:4h", 2)):
        got = cli(home, "backtest", str(file), *options, dataset)
        assert got.code == 0, got.out
        after = count_trials(home, bases, span)
        assert (after.total, after.unique) == (before.total + trials, before.unique + trials)
    row = after.studies[-1]
    assert (row.source, row.run_id) == ("human", got.json["backtest"]["strategy"])


def test_a_backtest_of_what_a_study_found_on_its_bars_is_not(
    studied: Studied, tmp_path: Path, cli: Cli
) -> None:
    home = tmp_path / "home"
    for name in ("data", "strategies", "runs"):
        shutil.copytree(studied[0] / name, home / name)
    for name in ("seals.json", "register.jsonl", "register.end.json"):
        shutil.copy(studied[0] / name, home / name)
    best = studied[1].json["leaderboard"][0]["id"]
    options = ("--funding", "none", "--dataset")

    def humans() -> int:
        return sum(row.kind == HUMAN for row in TrialRegister(home).rows())

    known = humans()
    assert cli(home, "backtest", best, *options, "synth:SYN1,SYN2:4h").code == 0
    assert humans() == known
    # The sealed bars are others, and so is a part of the searched ones.
    line = (*options, "synth:SYN1,SYN2:4h:2020-01-08..", "--open-sealed")
    assert cli(home, "backtest", best, *line).code == 0
    assert humans() == known + 1


def test_a_backtest_leaves_sealed_bars_alone_unless_told(
    studied: Studied, tmp_path: Path, cli: Cli
) -> None:
    home = shutil.copytree(studied[0], tmp_path / "home")
    best = studied[1].json["leaderboard"][0]["id"]
    options = ("--funding", "none", "--dataset")
    registry = SealRegistry(home / "seals.json")
    seals = registry.seals()
    start = format_ts(seals[0].start_ms)
    cut = cli(home, "backtest", best, *options, "synth:SYN1,SYN2:4h", "--json").json["backtest"]
    assert cut["sealed_from"] == start
    assert "first" in cut["notice"]
    assert cut["dataset_hash"] != studied[1].json["dataset_hash"]
    last = format_ts(seals[0].start_ms - interval_ms("4h"))
    assert cut["dataset"] == f"synth:SYN1,SYN2:4h:..{last}"
    again = cli(home, "backtest", best, *options, cut["dataset"], "--json").json["backtest"]
    assert again["metrics"] == cut["metrics"]
    assert again["notice"] is None
    assert f"ends before {start}" in cli(home, "backtest", best, *options, "synth:SYN1:4h").out
    refused = cli(home, "backtest", best, *options, f"synth:SYN2:4h:{start}..", "--json")
    assert refused.code == 3
    assert "--open-sealed" in refused.error["fix"]
    assert registry.openings() == []
    for count in (1, 2):
        line = (*options, "synth:SYN1,SYN2:4h", "--open-sealed", "--json")
        whole = cli(home, "backtest", best, *line).json["backtest"]
        assert whole["dataset_hash"] == studied[1].json["dataset_hash"]
        assert whole["sealed_from"] == start
        openings = registry.openings()
        assert [(o.strategy, o.dataset) for o in openings] == [(best, "synth:SYN1,SYN2:4h")] * count
    assert "first" in openings[-1].studies
    assert registry.seals() == seals


def test_seeds(tmp_path: Path, cli: Cli) -> None:
    seeds = cli(tmp_path, "seeds", "list", "--json").json["seeds"]
    assert len(seeds) == 14
    breakouts = cli(tmp_path, "seeds", "list", "--kind", "breakout", "--json").json["seeds"]
    assert "donchian" in {seed["family"] for seed in breakouts}
    shown = cli(tmp_path, "seeds", "show", "donchian", "--json").json["seed"]
    assert {"channel", "exit_channel"} <= {gene["name"] for gene in shown["genes"]}
    assert shown["default"]["sentence"]
    assert "channel" in cli(tmp_path, "seeds", "show", "donchian").out
    assert "ema" in cli(tmp_path, "seeds", "list", "--primitives").out
    assert (
        cli(tmp_path, "seeds", "show", "donchain", "--json")
        .error["what"]
        .endswith("did you mean 'donchian'?")
    )


def test_a_family_of_ones_own(tmp_path: Path, cli: Cli) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    code = readme.split("```python\n")[1].split("```")[0]
    (tmp_path / "mine.py").write_text(code)
    shown = cli(
        tmp_path, "seeds", "show", "ema_lead", "--path", str(tmp_path / "mine.py"), "--json"
    )
    assert {gene["name"] for gene in shown.json["seed"]["genes"]} == {"fast", "slow", "band"}


def test_doctor(tmp_path: Path, shell: Cli) -> None:
    answer = shell(tmp_path / "home", "doctor", "--json")
    checks = {check["name"]: check["status"] for check in answer.json["checks"]}
    assert checks["python"] == "ok"
    assert answer.code == 0, answer.out
    assert answer.json["ok"] is True


@pytest.mark.parametrize("name", ["crypto_perps_1h", "demo", "hyperliquid_1h"])
def test_shipped_configurations_are_valid(name: str) -> None:
    from genesis.evolution.config import load_config

    config = load_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml")
    assert config.name == name


def test_the_example_documents_every_key() -> None:
    import yaml

    from genesis.evolution.config import load_config

    path = Path(__file__).parents[2] / "configs" / "crypto_perps_1h.yaml"

    def keys(value: object, prefix: str = "") -> set[str]:
        if not isinstance(value, dict):
            return set()
        own = {f"{prefix}{key}" for key in value}
        return own.union(*(keys(v, f"{prefix}{k}.") for k, v in value.items()))

    written = keys(yaml.safe_load(path.read_text()))
    assert keys(load_config(path).to_plain()) == written
