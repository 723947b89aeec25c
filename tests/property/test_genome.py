from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.strategy.genome import Genome, all_genes, express, from_text, repair, warmup_bars
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import NEVER
from genesis.strategy.trees import violation

REGISTRY = SeedRegistry()
ANYTHING = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(),
    st.booleans(),
    st.sampled_from(["both", "long", "short", "signal", "mean", "", "nan"]),
)
FILTERS = st.sampled_from(
    [None, "gt(rank(close,56),0.5)", "zscore(close,20)", "gt(close,open)", "gt(roc(close,21),0)"]
)


@st.composite
def wild_genomes(draw: st.DrawFn) -> Genome:
    from genesis.strategy.text import parse

    family = REGISTRY.get(draw(st.sampled_from(REGISTRY.names())))
    genes = {}
    for name, spec in all_genes(family).items():
        kind = draw(st.integers(0, 9))
        if kind == 0:
            continue
        # Legal values mostly: a genome of nonsense only would always repair to the defaults.
        genes[name] = draw(ANYTHING) if kind < 3 else spec.at(draw(st.integers(0, len(spec) - 1)))
    if draw(st.booleans()):
        genes["unknown"] = 1
    text = draw(FILTERS)
    return Genome(family.family, genes, None if text is None else parse(text))


@settings(max_examples=150, deadline=None)
@given(wild_genomes(), st.sampled_from([None, 40, 200, 1000]))
def test_repair_is_closed_idempotent_and_expressible(wild: Genome, limit: int | None) -> None:
    fixed = repair(wild, REGISTRY, limit)
    again = repair(fixed, REGISTRY, limit)
    assert again == fixed
    assert again.to_text() == fixed.to_text()
    assert from_text(fixed.to_text()).key == fixed.key

    family = REGISTRY.get(fixed.family)
    specs = all_genes(family)
    assert set(fixed.genes) == set(specs)
    for name, spec in specs.items():
        assert fixed.genes[name] in spec.values
        assert type(fixed.genes[name]) is type(spec.repair(fixed.genes[name]))
    for smaller, larger, ratio in family.orderings:
        assert fixed.genes[smaller] <= ratio * fixed.genes[larger]  # type: ignore[operator]
    assert fixed.filter is None or not violation(fixed.filter)

    strategy = express(fixed, family)
    assert strategy.rules.long != NEVER or strategy.rules.short != NEVER
    if limit == 1000:
        assert warmup_bars(strategy) <= limit
