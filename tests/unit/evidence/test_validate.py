"""One validation: who is judged, in which order, when the sealed bars are opened, what is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.domain.errors import InterruptedRun, RefusedError
from genesis.domain.timeline import DAY_MS
from genesis.evidence import dossier_checks
from genesis.evidence import gates as gates_module
from genesis.evidence.dossier import promotable, read_dossier
from genesis.evidence.gates import GatesFile, parse_gates
from genesis.evidence.validate import Validation, validate
from genesis.evidence.worker import ENTRY
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.files import exclusive
from genesis.evolution.seals import SealRegistry
from genesis.evolution.trial_count import count_trials
from genesis.evolution.work import UnitResult, WorkUnit
from tests.unit.evidence.small_study import (
    GATES,
    StepClock,
    campaign_of,
    judge,
    lenient_gates,
)

pytestmark = pytest.mark.usefixtures("settled_code")
WITHOUT_RERUNS = GATES.replace("  permutation_sign: {at_most: 1.0, veto: false}\n", "")


def quick(changes: dict[str, str] | None = None) -> GatesFile:
    """Gates without reruns; single bounds may be changed."""
    text = WITHOUT_RERUNS
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    return parse_gates(text)


def openings(home: Path) -> list[Any]:
    return SealRegistry(home / "seals.json").openings()


def timeless(validation: Validation) -> list[dict[str, Any]]:
    """Dossiers without what says when they were made."""
    plain = []
    for one in validation.judged:
        facts = one.dossier.to_plain()
        for name in ("created_ms", "seconds", "digest"):
            facts.pop(name)
        plain.append(facts)
    return plain


def test_each_candidate_gets_a_dossier_that_is_read_back(home: Path) -> None:
    found = judge("base", home)
    assert len(found.judged) == 3
    candidates = {c.id for c in campaign_of("base", home).candidates(3)}
    assert {one.dossier.strategy for one in found.judged} == candidates
    for one in found.judged:
        assert read_dossier(one.path).digest == one.dossier.digest
        assert one.dossier.passed
        assert one.dossier.rehearsal
        assert promotable(home, one.dossier.strategy).digest == one.dossier.digest
    assert len(found.promotable) == 3
    facts = found.judged[0].dossier.facts
    study = campaign_of("base", home).facts
    for name in ("study", "dataset", "config", "code"):
        assert facts["hashes"][name] == study[f"{name}_hash"]
    assert facts["hashes"]["ledger_head"] == study["ledger_head"]
    assert facts["trials"] == found.trials
    measures = [g["measure"] for g in facts["gates"]]
    assert sorted(measures) == sorted(g.measure for g in lenient_gates().gates)
    assert [r.gate.measure for r in found.search] == ["permutation_sign", "lottery"]


def test_a_second_validation_gives_the_same_and_opens_and_runs_nothing(home: Path) -> None:
    first = judge("base", home)
    before = openings(home)
    journal = (home / "runs/base/evidence/surrogates.jsonl").read_bytes()
    again = judge("base", home)
    assert timeless(again) == timeless(first)
    assert openings(home) == before
    assert len(before) == 3
    assert (home / "runs/base/evidence/surrogates.jsonl").read_bytes() == journal


def test_evidence_is_no_trial(home: Path) -> None:
    def count() -> tuple[int, int]:
        campaign = campaign_of("base", home)
        found = count_trials(home, campaign.bases, campaign.material.searched_span)
        return found.total, found.unique

    before = count()
    judge("base", home)
    assert count() == before


def test_a_strategy_that_fails_early_is_not_opened(home: Path) -> None:
    found = judge("base", home, quick({"trades: {at_least: 5}": "trades: {at_least: 24}"}))
    passed = {one.dossier.strategy for one in found.judged if one.dossier.passed}
    assert 0 < len(passed) < 3
    assert {row.strategy for row in openings(home)} == passed
    for one in found.judged:
        late = [g for g in one.dossier.gates if g["stage"] == "G3"]
        if one.dossier.strategy in passed:
            assert all(g["verdict"] == "pass" for g in late)
        else:
            assert all(g["verdict"] == "not reached" for g in late)
            assert all("stopped by trades" in g["note"] for g in late)
            assert one.dossier.facts["stopped_by"] == ["trades"]
            with pytest.raises(RefusedError, match="did not pass"):
                promotable(home, one.dossier.strategy)


def test_a_search_that_fails_promotes_nothing(home: Path) -> None:
    found = judge("base", home, quick({"lottery: {at_least: 0}": "lottery: {at_least: 1.1}"}))
    assert found.promotable == []
    assert openings(home) == []
    assert [r.verdict for r in found.search] == ["fail"]


def test_a_gate_without_veto_stops_nobody(home: Path) -> None:
    gates = quick({"lottery: {at_least: 0}": "lottery: {at_least: 1.1, veto: false}"})
    found = judge("base", home, gates)
    assert len(found.promotable) == 3
    verdicts = {g["measure"]: g["verdict"] for g in found.judged[0].dossier.gates}
    assert verdicts["lottery"] == "reported"


def test_the_sturdiest_is_opened_first(home: Path) -> None:
    """By the paths of cross-validation; who has none comes last, the better ratio first."""
    found = judge("base", home, quick())

    def key(one: Any) -> tuple[float, float]:
        facts = one.dossier.facts
        gates = {g["measure"]: g["value"] for g in facts["gates"]}
        paths = gates["cpcv_p25"]
        return (
            -paths if paths is not None else float("inf"),
            -facts["details"]["sharpe"]["annual"],
        )

    keys = [key(one) for one in found.judged]
    assert keys == sorted(keys)
    assert len(set(keys)) == 3
    assert [row.strategy for row in openings(home)] == [o.dossier.strategy for o in found.judged]
    places = [o.dossier.facts["details"]["sealed"]["place"] for o in found.judged]
    assert places == [1, 2, 3]


def test_one_strategy_alone(home: Path) -> None:
    last = campaign_of("base", home).candidates(100)[-1].id
    found = judge(
        "base", home, quick({"trades: {at_least: 5}": "trades: {at_least: 0}"}), only=last
    )
    assert [one.dossier.strategy for one in found.judged] == [last]
    assert len(openings(home)) <= 1


def test_a_crash_after_the_opening_leaves_a_mended_second_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis.evidence import sealed

    whole = sealed.sealed_numbers

    def dies(*_: Any) -> Any:
        raise RuntimeError("power cut")

    monkeypatch.setattr(sealed, "sealed_numbers", dies)
    with pytest.raises(RuntimeError):
        judge("base", home, quick())
    (row,) = openings(home)
    assert row.numbers is None
    monkeypatch.setattr(sealed, "sealed_numbers", whole)
    found = judge("base", home, quick())
    rows = openings(home)
    assert [r.strategy for r in rows] == [o.dossier.strategy for o in found.judged]
    assert rows[0].ts_ms == row.ts_ms
    assert all(r.numbers is not None for r in rows)


class Stopping(InlineExecutor):
    """Stops as by Ctrl-C after some answers to requests."""

    def __init__(self, after: int) -> None:
        super().__init__(evaluator=ENTRY)
        self.left = after
        self.closed = False
        self.answered = 0

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        for result in super().run(units):
            if "statistic" in result.payload:
                self.left -= 1
                self.answered += 1
            yield result
            if self.left <= 0:
                raise KeyboardInterrupt

    def close(self) -> None:
        self.closed = True
        super().close()


def run_with(home: Path, executor: InlineExecutor, gates: GatesFile) -> Validation:
    return validate(campaign_of("base", home), executor, gates, clock=StepClock(1_800_000_000_000))


def test_an_interrupted_validation_keeps_its_reruns(home: Path, tmp_path: Path) -> None:
    other = shutil.copytree(home, tmp_path / "undisturbed")
    stopping = Stopping(7)
    with pytest.raises(InterruptedRun, match="finished reruns are kept") as caught:
        run_with(home, stopping, lenient_gates())
    assert caught.value.fix.endswith("genesis validate base")
    assert stopping.closed
    assert openings(home) == []
    assert list(home.glob("dossiers/*.json")) == []
    rest = Stopping(1000)
    resumed = run_with(home, rest, lenient_gates())
    assert rest.answered == 12
    assert timeless(resumed) == timeless(judge("base", other))


def test_that_it_stops_is_told_before_the_workers_end(home: Path) -> None:
    stopping = Stopping(1)
    told: list[tuple[str, bool]] = []
    with pytest.raises(InterruptedRun):
        validate(
            campaign_of("base", home),
            stopping,
            lenient_gates(),
            clock=StepClock(1_800_000_000_000),
            progress=lambda step, *_: told.append((step, stopping.closed)),
        )
    assert told[-1] == ("stopping", False)


def test_two_validations_of_one_study_do_not_meet(home: Path) -> None:
    campaign = campaign_of("base", home)
    campaign.folder.mkdir(parents=True, exist_ok=True)
    executor = Stopping(1000)
    with (
        exclusive(campaign.folder / ".lock", "the validation of 'base'"),
        pytest.raises(RefusedError, match="in use by process"),
    ):
        run_with(home, executor, quick())


@pytest.mark.parametrize(("asked", "done"), [(None, 19), (3, 19), (21, 21)])
def test_reruns_may_be_more_than_the_gates_ask_for_and_not_fewer(
    home: Path, asked: int | None, done: int
) -> None:
    found = judge("base", home, surrogates=asked, full=True)
    details = found.judged[0].dossier.facts["details"]["permutation_sign"]
    assert details["planned"] == 19  # what the p value is made of
    assert len(details["null"]) == done


def test_random_arm_and_lottery_are_of_the_study(home: Path) -> None:
    gates = quick(
        {
            "  lottery: {at_least: 0}": "  lottery: {at_least: 0}\n"
            "  random_arm: {at_least: -100, veto: false}"
        }
    )
    found = judge("base", home, gates)
    campaign = campaign_of("base", home)
    assert campaign.best_fitness is not None
    assert campaign.best_random is not None
    values = {r.gate.measure: r.value for r in found.search}
    assert values["random_arm"] == pytest.approx(campaign.best_fitness - campaign.best_random)
    details = found.judged[0].dossier.facts["details"]["lottery"]
    assert details["strategy"] == campaign.candidates(1)[0].id
    assert len(details["arms"]) == 5
    share = np.mean(np.array(details["arms"]) < details["sharpe"])
    assert values["lottery"] == pytest.approx(share)


def test_edited_reruns_are_refused_before_anything_is_computed(home: Path) -> None:
    judge("base", home)
    journal = home / "runs" / "base" / "evidence" / "surrogates.jsonl"
    rows = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*rows[:3], *rows[4:]]))
    told: list[str] = []
    with pytest.raises(RefusedError, match="row 4 does not fit"):
        judge("base", home, progress=lambda step, *_: told.append(step))
    assert told == []


def daily(home: Path, strategy: Any) -> np.ndarray:
    campaign = campaign_of("base", home)
    result = backtest_strategy(campaign.search, strategy, campaign.material.setup)
    marks: dict[int, float] = {}
    for ts, value in zip(result.ts_ms.tolist(), result.equity.tolist(), strict=True):
        marks[ts // DAY_MS] = value
    return np.diff([0.0, *marks.values()])


def production(text: str, monkeypatch: pytest.MonkeyPatch) -> GatesFile:
    gates = parse_gates(text.replace("rehearsal: true\n", ""))
    for where in (gates_module, dossier_checks):
        monkeypatch.setattr(where, "PRODUCTION_HASH", gates.hash)
    monkeypatch.setattr(gates_module, "PROMOTION_HASH", "")
    assert gates.counts
    return gates


def test_correlation_is_with_what_was_promoted_before_and_only_that(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = WITHOUT_RERUNS.replace("  cpcv_p25", "  correlation: {at_most: 1.0}\n  cpcv_p25")
    gates = production(text, monkeypatch)
    series = {c.id: daily(home, c.record.strategy) for c in campaign_of("base", home).candidates(3)}

    def highest(name: str, others: list[str]) -> float:
        found = [float(np.corrcoef(series[name], series[o])[0, 1]) for o in others if o != name]
        return max(found, default=0.0)

    def correlations(found: Validation) -> dict[str, float]:
        return {
            one.dossier.strategy: next(
                g["value"] for g in one.dossier.gates if g["measure"] == "correlation"
            )
            for one in found.judged
        }

    found = judge("base", home, gates)
    order = [one.dossier.strategy for one in found.judged]
    assert len(found.promotable) == 3
    expected = {name: highest(name, order[:place]) for place, name in enumerate(order)}
    assert correlations(found) == pytest.approx(expected)
    # A later validation of one of them sees both others, and not itself.
    again = judge("base", home, gates, only=order[0])
    assert correlations(again) == pytest.approx({order[0]: highest(order[0], order)})


def test_a_strategy_too_like_a_promoted_one_is_stopped_before_the_seal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = WITHOUT_RERUNS.replace("  cpcv_p25", "  correlation: {at_most: 0.0}\n  cpcv_p25")
    found = judge("base", home, production(text, monkeypatch))
    first, *others = found.judged
    assert first.dossier.passed
    stopped = [one for one in others if not one.dossier.passed]
    assert stopped
    for one in stopped:
        assert one.dossier.facts["stopped_by"] == ["correlation"]
    opened = {row.strategy for row in openings(home)}
    assert opened == {one.dossier.strategy for one in found.promotable}


def test_what_only_rehearsed_is_nobodys_rival(home: Path) -> None:
    text = WITHOUT_RERUNS.replace("  cpcv_p25", "  correlation: {at_most: 1.0}\n  cpcv_p25")
    judge("base", home, parse_gates(text))
    again = judge("base", home, parse_gates(text))
    gates = {g["measure"]: g for g in again.judged[0].dossier.gates}
    assert gates["correlation"]["value"] == 0.0
    assert gates["correlation"]["note"] == "no other strategy is promoted"


def test_gates_without_a_sealed_gate_leave_the_seal_alone(home: Path) -> None:
    """What nobody asks for is not spent."""
    text = WITHOUT_RERUNS.replace("  sealed_psr: {at_least: -1}\n", "")
    text = text.replace("  sealed_ratio: {at_least: -100}\n", "")
    found = judge("base", home, parse_gates(text))
    assert len(found.judged) == 3
    assert openings(home) == []


def test_progress_is_told_in_order(home: Path) -> None:
    told: list[tuple[str, int, int]] = []
    judge("base", home, progress=lambda *row: told.append(row))
    assert all(0 <= done <= total for _, done, total in told)
    steps = list(dict.fromkeys(step for step, _, _ in told))
    assert steps == ["trials", "noise", "candidates", "sample", "sign"]
    for step in steps:
        counts = [done for name, done, _ in told if name == step]
        assert counts == sorted(counts)
        assert counts[-1] == next(total for name, _, total in reversed(told) if name == step)


def test_a_dossier_is_plain_json(home: Path) -> None:
    found = judge("base", home, quick())
    plain = json.loads(found.judged[0].path.read_text())
    assert plain["kind"] == "dossier"
    assert plain["mark"] == "REHEARSAL"
    assert plain["searched_ms"][1] == plain["sealed_ms"][0]
