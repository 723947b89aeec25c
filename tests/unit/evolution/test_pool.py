"""The pool: one course for one configuration, whatever happens around it."""

from __future__ import annotations

import random

import pytest

from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.checkpoint import load_checkpoint, save_checkpoint
from genesis.evolution.pool import families_of


def _broken(text: str) -> bool:
    return '"family":"rsi"' in text


def test_same_seed_same_archive_and_ledger(factory) -> None:
    first, second = factory.pool("a"), factory.pool("b")
    assert first.evolve().archive_hash == second.evolve().archive_hash
    assert first.ledger.head == second.ledger.head
    assert len(first.archive) > 1


def test_order_of_answers_does_not_matter(factory) -> None:
    plain = factory.pool("a").evolve().archive_hash
    shuffled = factory.pool("b", executor=factory.FormulaExecutor(shuffle=True)).evolve()
    assert shuffled.archive_hash == plain


def test_another_seed_finds_another_archive(factory) -> None:
    config = factory.config(evolution__seed=8)
    assert factory.pool("a").evolve().archive_hash != (
        factory.pool("b", config=config).evolve().archive_hash
    )


def test_random_arm_does_not_change_the_search(factory) -> None:
    config = factory.config(evolution__random_arm=False)
    without = factory.pool("b", config=config)
    assert factory.pool("a").evolve().archive_hash == without.evolve().archive_hash
    assert without.ledger.roles["random"] == 0


def test_callers_random_state_is_untouched(factory) -> None:
    random.seed(5)
    before = random.getstate()
    factory.pool().step()
    assert random.getstate() == before


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_resume_after_any_generation(factory, stop: int) -> None:
    whole = factory.pool("whole")
    whole.evolve()
    path = factory.folder / "checkpoint.json"
    first = factory.pool("parts")
    for _ in range(stop + 1):
        first.step()
    save_checkpoint(path, first.state())
    first.step()  # a generation that the checkpoint does not know: written to the ledger, then lost
    second = factory.pool("parts")
    config_hash = second.config.config_hash
    second.restore(
        load_checkpoint(path, config_hash=config_hash, dataset_hash="d" * 64, code_hash="c" * 64)
    )
    assert second.generation == stop
    assert second.evolve().archive_hash == whole.archive.archive_hash
    assert second.ledger.head == whole.ledger.head
    assert second.evaluations == whole.evaluations


def test_interrupted_in_mid_generation(factory) -> None:
    whole = factory.pool("whole")
    whole.evolve()
    path = factory.folder / "checkpoint.json"
    first = factory.pool("parts", executor=factory.FormulaExecutor(stop_after=9))
    with pytest.raises(KeyboardInterrupt):
        first.evolve([lambda _: save_checkpoint(path, first.state())])
    assert first.generation >= 0
    second = factory.pool("parts")
    second.restore(
        load_checkpoint(
            path,
            config_hash=second.config.config_hash,
            dataset_hash="d" * 64,
            code_hash="c" * 64,
        )
    )
    assert second.evolve().archive_hash == whole.archive.archive_hash
    assert second.ledger.head == whole.ledger.head


def test_checkpoint_of_another_ledger_is_refused(factory) -> None:
    first = factory.pool("a")
    first.step()
    state = first.state()
    with pytest.raises(RefusedError, match="rows"):
        factory.pool("empty").restore(state)
    other = factory.pool("c", config=factory.config(evolution__seed=9))
    other.step()
    other.step()
    with pytest.raises(RefusedError, match="not the one"):
        other.restore(state)


@pytest.mark.parametrize("what", ["config_hash", "dataset_hash", "code_hash"])
def test_checkpoint_of_another_study_is_refused(factory, what: str) -> None:
    pool = factory.pool()
    pool.step()
    path = factory.folder / "checkpoint.json"
    save_checkpoint(path, pool.state())
    hashes = {
        "config_hash": pool.config.config_hash,
        "dataset_hash": "d" * 64,
        "code_hash": "c" * 64,
    }
    load_checkpoint(path, **hashes)
    with pytest.raises(RefusedError, match=what.split("_")[0][:4]):
        load_checkpoint(path, **{**hashes, what: "0" * 64})
    path.write_text(path.read_text().replace('"generation": 0', '"generation": 3'))
    with pytest.raises(StorageError, match="damaged"):
        load_checkpoint(path, **hashes)


def test_raising_genomes_are_invalid_with_their_reason(factory) -> None:
    pools = [
        factory.pool(name, executor=factory.FormulaExecutor(broken=_broken, shuffle=shuffle))
        for name, shuffle in (("a", False), ("b", True))
    ]
    hashes = {pool.evolve().archive_hash for pool in pools}
    assert len(hashes) == 1
    pool = pools[0]
    broken = [k for k, c in pool.book.items() if c.genome.family == "rsi"]
    assert broken
    assert all("broken on purpose" in pool.scores[k].reason for k in broken)
    members = [c for island in pool.islands for c in island.population]
    assert members
    assert all(pool.scores[c.key].valid for c in members)
    assert all(e.score.valid for e in pool.archive.entries())


def test_each_genome_is_evaluated_once(factory) -> None:
    executor = factory.FormulaExecutor()
    pool = factory.pool(executor=executor)
    pool.evolve()
    distinct = set(pool.scores) | set(pool.random_scores)
    assert executor.genomes == 2 * len(distinct)
    assert pool.counters["search"] == len(pool.scores)
    assert pool.ledger.roles["search"] == len(pool.scores)
    # The random arm has the search's budget, generation by generation.
    assert pool.counters["random"] == pool.counters["search"]


def test_population_keeps_elites_and_size(factory) -> None:
    pool = factory.pool()
    pool.step()
    before = {i.name: {c.key for c in i.population} for i in pool.islands}
    pool.step()
    for island in pool.islands:
        assert len(island.population) <= 12
        kept = sum(c.key in before[island.name] for c in island.population)
        assert kept >= min(3, len(before[island.name]))  # ceil(0.2 * 12)


def test_search_climbs_the_formula(factory) -> None:
    pool = factory.pool(config=factory.config(evolution__generations=12))
    pool.evolve()
    best = pool.archive.best(1)[0]
    first = [s for k, s in pool.scores.items() if pool.book[k].origin in ("library", "random")]
    assert best.score.fitness > max(s.fitness for s in first)


def test_budget_cuts_the_last_brood(factory) -> None:
    pool = factory.pool(config=factory.config(evolution__budget=40))
    pool.evolve()
    assert pool.counters["search"] == 40
    assert pool.finished


def test_ml_island_has_its_own_budget(factory) -> None:
    config = factory.config(
        seeds__families=["ema_cross", "donchian", "linear_svc"],
        evolution__ml_island__population_size=4,
        evolution__ml_island__budget=10,
    )
    pool = factory.pool(config=config)
    pool.evolve()
    assert pool.counters["ml"] == 10
    ml = {c.genome.family for c in pool.ml_island.population}
    assert ml == {"linear_svc"}
    assert all(c.genome.family != "linear_svc" for i in pool.islands for c in i.population)


def test_families_that_need_funding_are_left_out_of_all(factory) -> None:
    config = factory.config(seeds__families="all")
    ordinary, fitting = families_of(config, factory.registry, factory.panel())
    assert "funding_carry" not in ordinary
    assert "donchian" in ordinary
    assert set(fitting) == set(factory.registry.names(ml=True))


def test_metrics_add_up(factory) -> None:
    pool = factory.pool()
    rows = []
    pool.evolve([rows.append])
    assert [m.generation for m in rows] == list(range(5))
    last = rows[-1]
    assert last.candidates == len(pool.scores)
    assert last.evaluations == 2 * len(pool.scores)
    assert last.worst <= last.median <= last.best
    assert 0.0 < last.genome_diversity <= 1.0
    assert last.eta_s == 0.0
    assert rows[0].eta_s > 0.0
    assert sum(i.evaluations for i in rows[0].islands) == rows[0].candidates
    assert last.cache_hits > 0
    assert 0.0 < last.worker_efficiency <= 1.0
