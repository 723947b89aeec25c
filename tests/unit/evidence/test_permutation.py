"""The rank of a search among its reruns, told early, kept on disk, and never run twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from genesis.domain.errors import ExecutorError, RefusedError
from genesis.evidence.campaign import Campaign
from genesis.evidence.permutation import (
    PermutationResult,
    exceeds,
    permutation_test,
    summarise,
)
from genesis.evidence.worker import _empty_block
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit
from genesis.validation.multiple import binomial_interval

Statistic = float | None


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows are written here; none has to survive a power cut."""
    monkeypatch.setattr("os.fsync", lambda _: None)


class FakeReruns:
    """Answers each rerun with a number given beforehand, in any order."""

    name = "fake"

    def __init__(
        self,
        statistics: Sequence[Statistic],
        *,
        workers: int = 1,
        backwards: bool = False,
        dies_after: int | None = None,
        forgets: bool = False,
    ) -> None:
        self.statistics = list(statistics)
        self.stats = ExecutorStats(workers=workers)
        self.backwards = backwards
        self.dies_after = dies_after
        self.forgets = forgets
        self.asked: list[int] = []
        self.bodies: list[dict[str, object]] = []

    def start(self, job: StudyJob) -> None:
        del job

    def close(self) -> None:
        return None

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        for unit in reversed(units) if self.backwards else units:
            body = json.loads(unit.genomes[0])
            if self.dies_after is not None and len(self.asked) >= self.dies_after:
                raise KeyboardInterrupt
            self.asked.append(body["index"])
            self.bodies.append(body)
            if self.forgets:
                return
            answer = {"statistic": self.statistics[body["index"]], "ledger_head": "x"}
            yield UnitResult(unit.unit, _empty_block(), 0.1, "fake", 0, 0, json.dumps(answer))


def run(
    campaign: Campaign,
    executor: FakeReruns,
    *,
    kind: str = "sign",
    draws: int = 19,
    seed: int = 1,
    level: float = 0.05,
    full: bool = True,
) -> PermutationResult:
    return permutation_test(
        campaign, executor, kind, draws=draws, seed=seed, level=level, full=full
    )


def observe(campaign: Campaign, value: Statistic) -> None:
    """Let the study have found this much."""
    campaign.__dict__["statistic"] = value


def wipe(campaign: Campaign) -> None:
    (campaign.folder / "surrogates.jsonl").unlink(missing_ok=True)


def random_case(seed: int) -> tuple[list[Statistic], Statistic, int]:
    """Statistics with ties and reruns that found nothing feasible."""
    rng = np.random.default_rng(seed)
    draws = int(rng.integers(19, 60))
    values: list[Statistic] = [
        None if rng.random() < 0.1 else float(v) for v in rng.integers(0, 12, draws)
    ]
    return values, (None if seed % 9 == 8 else float(rng.integers(6, 13))), draws


@pytest.mark.parametrize("seed", range(18))
def test_the_p_value_is_the_rank_of_the_study(campaign: Campaign, seed: int) -> None:
    values, observed, draws = random_case(seed)
    observe(campaign, observed)
    found = run(campaign, FakeReruns(values, workers=2, backwards=True), draws=draws)
    reached = sum(observed is None or (value is not None and value >= observed) for value in values)
    assert found.p == pytest.approx((1 + reached) / (1 + draws))
    assert found.null == tuple(values)
    assert found.planned == draws
    assert not found.decided_early
    assert found.interval == binomial_interval(reached, draws)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.08, 0.33])
@pytest.mark.parametrize("seed", range(10))
def test_stopping_early_never_changes_the_verdict(
    campaign: Campaign, seed: int, level: float
) -> None:
    values, observed, draws = random_case(seed)
    observe(campaign, observed)
    full = run(campaign, FakeReruns(values), draws=draws, level=level)
    wipe(campaign)
    executor = FakeReruns(values, workers=2)
    early = run(campaign, executor, draws=draws, level=level, full=False)
    assert (early.p <= level) == (full.p <= level)
    if not early.decided_early:
        assert early.p == full.p or early.p > level
    # What is left to run could not have changed the verdict, whatever came out.
    done = [exceeds(v, observed) for v in early.null]
    if early.decided_early:
        assert (1 + sum(done)) / (1 + draws) > level
        assert (1 + max(sum(done) - 2, 0)) / (1 + draws) <= level, "it could have stopped before"
        assert len(executor.asked) <= len(early.null) + 2 * 2


def test_a_single_late_exceedance_of_many_reruns_decides_alike(campaign: Campaign) -> None:
    """One of thirty, the twenty-fifth: 1 / 25 would pass at 5 %, 2 / 31 does not."""
    values = [1.0] * 24 + [9.0] + [1.0] * 5
    observe(campaign, 5.0)
    early = run(campaign, FakeReruns(values), draws=30, level=0.05, full=False)
    assert early.p == pytest.approx(2 / 31)
    assert not early.decided_early


def test_besag_and_cliffords_p_value_by_hand() -> None:
    """Ten draws, over at the third that reaches 5: it came as the seventh, p = 3 / 7."""
    null = [1.0, 5.0, 2.0, 9.0, 0.0, None, 5.0, 7.0, 1.0, 1.0]
    found = summarise("sign", 5.0, null, 10, 3)
    assert found.p == pytest.approx(3 / 7)
    assert found.null == tuple(null[:7])
    assert found.decided_early
    assert found.interval == binomial_interval(3, 7)
    late = summarise("sign", 5.0, null, 10, 5)
    assert late.p == pytest.approx(5 / 11)
    assert late.null == tuple(null)
    assert not late.decided_early


def test_a_study_without_a_feasible_strategy_is_always_reached() -> None:
    assert exceeds(None, None)
    assert exceeds(1.0, None)
    assert not exceeds(None, 1.0)
    assert exceeds(1.0, 1.0)
    assert not exceeds(0.9, 1.0)


@pytest.mark.parametrize("p_low", [0.05])
def test_under_the_null_p_values_are_no_smaller_than_they_say(p_low: float) -> None:
    """A study that is one more surrogate: P(p <= a) <= a, stopped early or not."""
    rng = np.random.default_rng(3)
    hits = {1: 0, 20: 0}
    times = 4000
    for _ in range(times):
        values = rng.random(20)
        for stop_after in hits:
            found = summarise("sign", float(values[0]), values[1:].tolist(), 19, stop_after)
            hits[stop_after] += found.p <= p_low + 1e-12
    for count in hits.values():
        assert abs(count / times - p_low) < 4 * np.sqrt(p_low * (1 - p_low) / times)


def test_a_second_call_runs_nothing(campaign: Campaign) -> None:
    observe(campaign, 5.0)
    first = run(campaign, FakeReruns(range(19)))  # type: ignore[arg-type]
    again = FakeReruns([99.0] * 19)
    assert run(campaign, again) == first
    assert again.asked == []


def test_more_draws_run_only_what_is_new(campaign: Campaign) -> None:
    observe(campaign, 5.0)
    run(campaign, FakeReruns([1.0] * 19))
    more = FakeReruns([7.0] * 40)
    found = run(campaign, more, draws=40)
    assert sorted(more.asked) == list(range(19, 40))
    assert found.p == pytest.approx((1 + 21) / 41)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("done", [0, 1, 7, 18])
def test_an_interrupted_test_goes_on_where_it_was(
    campaign: Campaign, done: int, workers: int
) -> None:
    values = [float(v) for v in np.random.default_rng(done).normal(0, 1, 19)]
    observe(campaign, 0.5)
    whole = run(campaign, FakeReruns(values))
    wipe(campaign)
    with pytest.raises(KeyboardInterrupt):
        run(campaign, FakeReruns(values, workers=workers, backwards=True, dies_after=done))
    rest = FakeReruns(values, workers=workers)
    assert run(campaign, rest) == whole
    assert len(rest.asked) == 19 - done


def test_rows_of_other_studies_and_seeds_and_kinds_are_left_alone(campaign: Campaign) -> None:
    observe(campaign, 5.0)
    run(campaign, FakeReruns([9.0] * 19), seed=1)
    path = campaign.folder / "surrogates.jsonl"
    before = path.read_text()
    other = FakeReruns([1.0] * 19)
    assert run(campaign, other, seed=2).p == pytest.approx(1 / 20)
    assert len(other.asked) == 19
    assert {body["seed"] for body in other.bodies} == {2}
    third = FakeReruns([1.0] * 19)
    assert run(campaign, third, kind="shuffle", seed=1).p == pytest.approx(1 / 20)
    assert {body["kind"] for body in third.bodies} == {"shuffle"}
    campaign.facts["study_hash"] = "another study"
    fourth = FakeReruns([1.0] * 19)
    assert run(campaign, fourth, seed=1).p == pytest.approx(1 / 20)
    assert len(fourth.asked) == 19
    assert path.read_text().startswith(before)


def test_reruns_of_another_version_are_run_again(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a surrogate is drawn is no part of the study's own hashes."""
    observe(campaign, 5.0)
    run(campaign, FakeReruns([9.0] * 19))
    monkeypatch.setattr("genesis.evidence.permutation.source_hash", lambda *_: "later")
    later = FakeReruns([1.0] * 19)
    assert run(campaign, later).p == pytest.approx(1 / 20)
    assert len(later.asked) == 19


def test_a_torn_last_line_is_one_rerun_that_did_not_finish(campaign: Campaign) -> None:
    observe(campaign, 5.0)
    whole = run(campaign, FakeReruns([1.0] * 19))
    path = campaign.folder / "surrogates.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    rest = FakeReruns([1.0] * 19)
    assert run(campaign, rest) == whole
    assert rest.asked == [18]
    assert len(path.read_text().splitlines()) == 19
    nothing = FakeReruns([1.0] * 19)
    assert run(campaign, nothing) == whole
    assert nothing.asked == []


def test_reruns_that_were_edited_are_refused_until_they_are_run_again(campaign: Campaign) -> None:
    """On noise a search passes when its reruns are made worse than they were."""
    observe(campaign, 5.0)
    honest = run(campaign, FakeReruns([9.0] * 19))
    path = campaign.folder / "surrogates.jsonl"
    path.write_text(path.read_text().replace('"statistic":9.0', '"statistic":1.0'))
    again = FakeReruns([9.0] * 19)
    with pytest.raises(RefusedError, match="row 1 does not fit the chain") as caught:
        run(campaign, again)
    assert caught.value.exit_code == 3
    assert again.asked == []
    assert caught.value.fix.startswith(f"delete {path}")
    path.unlink()
    assert run(campaign, again) == honest
    assert len(again.asked) == 19


def test_the_result_names_its_reruns_whatever_their_order(campaign: Campaign) -> None:
    values = [float(v) for v in range(19)]
    found = run(campaign, FakeReruns(values))
    wipe(campaign)
    turned = run(campaign, FakeReruns(values, workers=3, backwards=True))
    assert turned.digest == found.digest != ""
    wipe(campaign)
    assert run(campaign, FakeReruns([*values[:-1], 0.5])).digest != found.digest


def test_a_rerun_is_evidence_and_no_trial(campaign: Campaign) -> None:
    run(campaign, FakeReruns([1.0] * 19))
    rows = [json.loads(x) for x in (campaign.folder / "surrogates.jsonl").read_text().splitlines()]
    assert {row["role"] for row in rows} == {"surrogate"}
    assert [row["index"] for row in rows] == list(range(19))


def test_a_rerun_that_is_not_answered_stops_the_test(campaign: Campaign) -> None:
    with pytest.raises(ExecutorError, match="not answered"):
        run(campaign, FakeReruns([1.0] * 19, forgets=True))


def test_progress_counts_what_is_finished(campaign: Campaign) -> None:
    run(campaign, FakeReruns([1.0] * 5 + [1.0] * 14), draws=19)
    told: list[tuple[str, int, int]] = []
    permutation_test(
        campaign,
        FakeReruns([1.0] * 21),
        "sign",
        draws=21,
        seed=1,
        level=0.05,
        full=True,
        progress=lambda *row: told.append(row),
    )
    assert told == [("sign", 19, 21), ("sign", 20, 21), ("sign", 21, 21)]


def test_a_second_look_with_more_reruns_changes_no_verdict(campaign: Campaign) -> None:
    """Whoever failed could else ask for more until one look passes."""
    values = [1.0] * 20 + [0.0] * 80
    values[3] = 9.0  # one of the first 19 reaches the study: p 0.10
    observe(campaign, 5.0)
    once = run(campaign, FakeReruns(values), draws=19)
    again = permutation_test(
        campaign, FakeReruns(values), "sign", draws=19, more=80, seed=1, level=0.05, full=True
    )
    assert once.p == again.p == pytest.approx(2 / 20)
    assert len(again.null) == 99
    assert again.interval[1] < once.interval[1]
