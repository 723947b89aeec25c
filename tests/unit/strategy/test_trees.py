from __future__ import annotations

import random

import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.node import OPS
from genesis.strategy.text import parse
from genesis.strategy.trees import (
    MAX_HEIGHT,
    MAX_SIZE,
    MAX_WINDOWS,
    PRIMITIVES,
    Type,
    from_prefix,
    height_of,
    random_tree,
    reduce_tree,
    terminals,
    to_prefix,
    type_of,
    violation,
)


def test_every_production_builds_its_primitive() -> None:
    for primitive in PRIMITIVES.values():
        op = OPS[primitive.op]
        operands = [a for a in primitive.args if a not in (Type.WINDOW, Type.BOUND)]
        assert len(op.args) == len(operands)
        assert op.boolean == (primitive.result == Type.BOOL)


@pytest.mark.parametrize("result", [Type.BOOL, Type.RATIO])
def test_random_trees_are_legal_and_go_both_ways(result: Type) -> None:
    rng = random.Random(5)
    seen, used = set(), set()
    for _ in range(400):
        node = random_tree(rng, result)
        tokens = to_prefix(node)
        assert from_prefix(tokens) == node == parse(node.text)
        assert type_of(node) == result
        assert len(tokens) <= MAX_SIZE
        assert height_of(tokens) <= MAX_HEIGHT
        assert sum(isinstance(t, int) for t in tokens) <= MAX_WINDOWS
        assert reduce_tree(node) is node
        assert "funding" not in node.text
        seen.add(node.text)
        used.update(t for t in tokens if isinstance(t, str))
    assert len(seen) > 300
    wanted = {p.name for p in PRIMITIVES.values() if result == Type.BOOL or p.result != Type.BOOL}
    assert wanted <= used


def test_optional_fields_are_read_where_allowed() -> None:
    assert "funding" not in terminals()[Type.RATIO]
    assert "funding" in terminals(["funding"])[Type.RATIO]
    rng = random.Random(1)
    assert any("funding" in random_tree(rng, fields=["funding"]).text for _ in range(50))


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ([], "too early"),
        (["above_level", "price_rank", "close", 56], "too early"),
        (["above_level", "price_rank", "close", 56, 0.5, 1], "after its end"),
        (["above_level", "price_rank", "close", 57, 0.5], "no window"),
        (["above_level", "price_rank", "close", 56, 0.55], "no const"),
        (["above", "close", "open"], "is a price, a ratio is needed"),
        (["above_level", "price_mean", "close", 56, 0.5], "gives a price"),
        (["price_mean", "close", 56], "a condition or a ratio"),
        (["above_levle", "price_rank", "close", 56, 0.5], "did you mean 'above_level'"),
    ],
)
def test_ill_typed_lists_are_refused(tokens: list[str | int | float], says: str) -> None:
    with pytest.raises(StrategyError, match=says):
        from_prefix(tokens)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gt(close,open)", "no gt"),
        ("gt(close,0.5)", "no gt"),
        ("gt(div(close,volume),1)", "no div"),
        ("gt(ema(close,20),1)", "no ema"),
        ("gt(rank(close,21),0.5)", "off the grid"),
        ("sma(close,20)", "neither"),
        (
            "and(and(gt(roc(close,2),0),gt(roc(close,3),0)),and(gt(roc(close,4),0),"
            "gt(roc(close,5),0)))",
            "tokens",
        ),
        ("gt(sma(sma(sma(roc(close,2),3),4),5),0)", "windows"),
    ],
)
def test_violations_are_named(text: str, says: str) -> None:
    assert says in violation(parse(text))


def test_an_illegal_tree_is_reduced_to_its_largest_legal_part() -> None:
    large = parse(
        "and(and(gt(roc(close,2),0),gt(roc(close,3),0)),and(gt(roc(close,4),0),gt(rank(sma("
        "close,5),7),0)))"
    )
    part = reduce_tree(large)
    assert part is not None
    assert part.text == "and(gt(roc(close,4),0),gt(rank(sma(close,5),7),0))"
    assert reduce_tree(parse("gt(close,open)")) is None
