"""What is judged is what the study left: anything else is refused before it is computed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.evidence.campaign import Campaign
from genesis.evolution import material
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.run import load_run
from genesis.evolution.store import StrategyStore
from genesis.evolution.study import run_study
from genesis.evolution.trials import TrialLedger
from tests.unit.evidence.small_study import (
    StepClock,
    campaign_of,
    small_config,
    small_study,
    write_market,
)

pytestmark = pytest.mark.usefixtures("settled_code")


def test_an_untouched_study_is_taken(read_campaign: Campaign) -> None:
    assert read_campaign.run_id == "base"
    assert read_campaign.ledger.head == read_campaign.facts["ledger_head"]
    assert read_campaign.folder.name == "evidence"
    assert read_campaign.bases == ["synth:SYN1", "synth:SYN2"]


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_changed_configuration_is_refused(home: Path) -> None:
    path = home / "runs" / "base" / "config.yaml"
    text = path.read_text()
    assert "min_trades: 10" in text
    path.write_text(text.replace("min_trades: 10", "min_trades: 11"))
    with pytest.raises(RefusedError, match="the config of base changed"):
        campaign_of("base", home)


def test_what_is_no_part_of_the_identity_may_change(home: Path) -> None:
    path = home / "runs" / "base" / "config.yaml"
    path.write_text(path.read_text().replace("name: small", "name: other"))
    assert campaign_of("base", home).config.name == "other"


def test_changed_data_are_refused(home: Path) -> None:
    shutil.rmtree(home / "data")
    write_market(home, seed=8)
    with pytest.raises(RefusedError, match="the data of base changed"):
        campaign_of("base", home)


def test_missing_data_are_told(home: Path) -> None:
    for path in (home / "data").rglob("*.parquet"):
        path.unlink()
    with pytest.raises((InputError, StorageError)):
        campaign_of("base", home)


def test_changed_code_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "code_hash", lambda _: "f" * 64)
    with pytest.raises(RefusedError, match="the code of base changed") as caught:
        campaign_of("base", home)
    assert "f" * 12 in caught.value.why


def rows_of(home: Path) -> list[str]:
    return (home / "runs" / "base" / "trials.jsonl").read_text().splitlines(keepends=True)


def write_rows(home: Path, rows: list[str]) -> None:
    (home / "runs" / "base" / "trials.jsonl").write_text("".join(rows))


def test_a_shortened_ledger_is_refused(home: Path) -> None:
    """A chain that is whole but ends earlier: fewer trials would make everything look better."""
    write_rows(home, rows_of(home)[:-3])
    with pytest.raises(RefusedError, match="ledger of base is not the one"):
        campaign_of("base", home)


def test_a_ledger_that_goes_on_after_the_study_is_refused(home: Path) -> None:
    path = home / "runs" / "base" / "trials.jsonl"
    from tests.unit.evolution.trial_homes import trial

    TrialLedger(path).append([trial("late", "late")])
    with pytest.raises(RefusedError, match="ledger of base is not the one"):
        campaign_of("base", home)


def test_a_changed_row_is_told(home: Path) -> None:
    rows = rows_of(home)
    row = json.loads(rows[4])
    row["violation"] = 0.0 if row["violation"] else 1.0
    write_rows(home, [*rows[:4], json.dumps(row) + "\n", *rows[5:]])
    with pytest.raises(RefusedError, match="row 5 does not fit") as caught:
        campaign_of("base", home)
    config = home / "runs" / "base" / "config.yaml"
    assert f"genesis evolve {config}" in caught.value.fix


def test_a_missing_ledger_is_told_as_such(home: Path) -> None:
    (home / "runs" / "base" / "trials.jsonl").unlink()
    with pytest.raises(RefusedError, match="trial ledger of base is missing") as caught:
        campaign_of("base", home)
    assert str(home / "runs" / "base" / "trials.jsonl") in caught.value.why
    assert "genesis evolve" in caught.value.fix
    assert not (home / "runs" / "base" / "trials.jsonl").exists()


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_run_that_is_not_finished_is_not_judged(home: Path, status: str) -> None:
    edit_json(home / "runs" / "base" / "study.json", status=status)
    with pytest.raises(InputError, match="is not finished") as caught:
        Campaign.of_run(load_run("base", home), home)
    assert caught.value.fix == "go on with it first: genesis evolve --resume base"


def test_trials_phenotypes_and_the_best_are_those_of_the_ledger(
    bred: Path, read_campaign: Campaign
) -> None:
    rows = [json.loads(line) for line in rows_of(bred)]
    assert len(read_campaign.trials) == len(rows)  # search and random both count
    valid = [row for row in rows if row["status"] == "valid"]
    assert len(read_campaign.phenotypes) == len({row["phenotype"] for row in valid})
    assert len(set(read_campaign.phenotypes)) == len(read_campaign.phenotypes)
    for role, found in (
        ("search", read_campaign.best_fitness),
        ("random", read_campaign.best_random),
    ):
        own = [r["objectives"][0] for r in valid if r["role"] == role and r["violation"] == 0.0]
        assert found == max(own)


def test_the_job_is_the_studys(read_campaign: Campaign) -> None:
    job = read_campaign.job
    assert job.panel is read_campaign.search
    assert job.families == ("ema_cross", "donchian")
    assert job.setup == read_campaign.material.setup.plain()


def test_a_rerun_is_the_study_without_its_random_arm(read_campaign: Campaign) -> None:
    plain, rerun = read_campaign.config.to_plain(), read_campaign.rerun_config.to_plain()
    assert plain["evolution"].pop("random_arm") is True
    assert rerun["evolution"].pop("random_arm") is False
    assert rerun == plain


def test_candidates_are_the_feasible_survivors_best_first(
    bred: Path, read_campaign: Campaign
) -> None:
    found = read_campaign.candidates(100)
    feasible = {r.id for r in StrategyStore(bred / "strategies").list() if r.feasible}
    assert {c.id for c in found} == feasible
    assert len(found) > 5
    fitness = [c.score.fitness for c in found]
    assert fitness == sorted(fitness, reverse=True)
    assert all(c.score.feasible for c in found)
    assert [c.id for c in read_campaign.candidates(3)] == [c.id for c in found[:3]]
    registry = read_campaign.material.registry
    assert all(registry.express(c.genome).id == c.id for c in found)


def test_survivors_are_what_the_study_stored(bred: Path, read_campaign: Campaign) -> None:
    stored = StrategyStore(bred / "strategies").list()
    assert set(read_campaign.survivors) == {one.id for one in stored if one.feasible}


@pytest.mark.parametrize("place", [0, 2, -1])
def test_the_next_one_is_not_judged_in_the_place_of_one_that_is_gone(
    home: Path, place: int
) -> None:
    names = [c.id for c in campaign_of("base", home).candidates(100)]
    (home / "strategies" / f"{names[place]}.json").unlink()
    campaign = campaign_of("base", home)
    with pytest.raises(RefusedError, match="not stored any more") as caught:
        campaign.candidates(1)
    assert caught.value.exit_code == 3
    assert names[place] in caught.value.what
    assert f"1 of {len(names)}" in caught.value.what
    assert "genesis evolve --resume base" in caught.value.fix
    # Who asks for one strategy gets that one and no other.
    assert [c.id for c in campaign.candidates(1, names[1])] == [names[1]]


def test_what_the_refusal_tells_to_do_brings_the_strategy_back(home: Path) -> None:
    before = campaign_of("base", home).candidates(100)
    path = home / "strategies" / f"{before[0].id}.json"
    path.unlink()
    config = load_run("base", home).config
    run_study(
        config, home, clock=StepClock(), executor=InlineExecutor(), run_id="base", resume=True
    )
    assert campaign_of("base", home).candidates(100) == before


def test_a_survivor_that_broke_the_constraints_may_go(home: Path) -> None:
    before = campaign_of("base", home).candidates(100)
    (home / "strategies" / f"{infeasible(home)}.json").unlink()
    assert campaign_of("base", home).candidates(100) == before


def test_one_strategy_may_be_asked_for_whatever_its_place(read_campaign: Campaign) -> None:
    last = read_campaign.candidates(100)[-1]
    assert [c.id for c in read_campaign.candidates(1, last.id)] == [last.id]
    assert read_campaign.candidates(1, "strat_of_nobody") == []


def test_strategies_of_other_runs_are_no_candidates(home: Path) -> None:
    mine = {c.id for c in campaign_of("base", home).candidates(100)}
    symbols = write_market(home)
    small_study(small_config(symbols, seed=9), home, "other")
    assert {c.id for c in campaign_of("base", home).candidates(100)} == mine
    theirs = {c.id for c in campaign_of("other", home).candidates(100)}
    assert theirs - mine


def put_first(home: Path, strategy: str, **changes: Any) -> None:
    """Let another study have found a strategy first."""
    store = StrategyStore(home / "strategies")
    record = store.get(strategy)
    (store.root / f"{strategy}.json").unlink()
    store.put(replace(record, run_id="earlier", **changes))
    store.put(record)


def test_a_strategy_that_another_run_found_first_is_judged_by_this_ones_ledger(
    home: Path,
) -> None:
    """There it broke a constraint, on other data or under other limits; here it does not."""
    before = campaign_of("base", home).candidates(100)
    best = before[0].id
    put_first(home, best, feasible=False)
    after = campaign_of("base", home).candidates(100)
    assert [c.id for c in after] == [c.id for c in before]
    assert after[0].score == before[0].score
    put_first(home, best, feasible=False, genome="0" * 64)  # and as another genome
    assert [c.id for c in campaign_of("base", home).candidates(100)] == [c.id for c in before]


def infeasible(home: Path) -> str:
    """A survivor that breaks a constraint of the study."""
    store = StrategyStore(home / "strategies")
    names = [record.id for record in store.list() if not record.feasible]
    assert names, "every survivor is feasible: the case is not met"
    return names[0]


def test_one_that_breaks_a_constraint_here_is_no_candidate_whoever_found_it(home: Path) -> None:
    name = infeasible(home)
    before = [c.id for c in campaign_of("base", home).candidates(100)]
    assert name not in before
    for changes in ({}, {"genome": "0" * 64}):
        put_first(home, name, feasible=True, **changes)
        campaign = campaign_of("base", home)
        assert [c.id for c in campaign.candidates(100)] == before
        assert campaign.candidates(1, name) == []


def test_a_strategy_that_the_ledger_does_not_know_is_refused(home: Path) -> None:
    store = StrategyStore(home / "strategies")
    record = store.get(campaign_of("base", home).candidates(1)[0].id)
    policy = replace(record.strategy.policy, size=0.9)
    store.put(replace(record, strategy=replace(record.strategy, policy=policy)))
    with pytest.raises(RefusedError, match="has no genome that expresses to"):
        campaign_of("base", home).candidates(100)
