"""Survivors come front by front, whatever the scores are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.selection import Survival, select
from genesis.strategy.genome import Genome

VALUES = st.integers(-3, 3).map(float)
SCORES = st.lists(
    st.tuples(
        st.tuples(VALUES, VALUES, VALUES),
        st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0]),
        st.sampled_from(["valid", "valid", "valid", "no_trades"]),
    ),
    min_size=1,
    max_size=40,
)


def _scores(drawn: list[tuple[tuple[float, ...], float, str]]) -> dict[str, Score]:
    return {
        f"k{i:02d}": Score(status, "", values if status == "valid" else (), violation, 1, f"{i}")
        for i, (values, violation, status) in enumerate(drawn)
    }


def _beats(a: Score, b: Score) -> bool:
    """Deb's constrained domination."""
    if a.violation or b.violation:
        return a.violation < b.violation
    return a.objectives != b.objectives and all(
        x >= y for x, y in zip(a.objectives, b.objectives, strict=True)
    )


@settings(max_examples=150, deadline=None)
@given(drawn=SCORES, count=st.integers(1, 45))
def test_nobody_is_chosen_before_one_that_beats_it(
    drawn: list[tuple[tuple[float, ...], float, str]], count: int
) -> None:
    scores = _scores(drawn)
    valid = [k for k in scores if scores[k].valid]
    chosen = select(list(scores), scores, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(valid))
    assert set(chosen) <= set(valid)
    for place, key in enumerate(chosen):
        later = set(valid) - set(chosen[:place])
        assert not any(_beats(scores[other], scores[key]) for other in later)


@settings(max_examples=100, deadline=None)
@given(drawn=SCORES, elite=st.floats(0, 1), size=st.integers(1, 20))
def test_population_is_valid_distinct_and_keeps_its_parents(
    drawn: list[tuple[tuple[float, ...], float, str]], elite: float, size: int
) -> None:
    candidates = [Candidate(Genome("rsi", {"n": i}), "random") for i in range(len(drawn))]
    by_name = _scores(drawn)
    scores = {c.key: by_name[f"k{i:02d}"] for i, c in enumerate(candidates)}
    half = len(candidates) // 2
    parents = [c for c in candidates[:half] if scores[c.key].valid][:size]
    kept = Survival(size, elite).survivors(parents, candidates[half:], scores)
    keys = [c.key for c in kept]
    assert len(set(keys)) == len(keys) <= size
    assert all(scores[k].valid for k in keys)
    wanted = min(-(-elite * size // 1), len(parents))
    assert sum(c.key in keys for c in parents) >= wanted
