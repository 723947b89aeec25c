"""Text and JSON of expressions and strategies."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import StrategyError
from genesis.strategy import primitives
from genesis.strategy.language import Market, always, clip, ema, nw, rsi
from genesis.strategy.node import FIELDS, MAX_DEPTH, OPS, Node, const, series
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.strategy.text import dump_strategy, from_json, load_strategy, parse, to_json

M = Market()
OWN = sorted(n for n, op in OPS.items() if op.run.__module__.startswith(primitives.__name__))
SYMBOLS = (None, "BTCUSDT", "BTC/USDC:USDC", "kPEPE", "BTC-PERP", "1INCH")


def grow(rng: random.Random, boolean: bool, depth: int) -> Node:
    """A random expression of any primitives, constants and fields."""
    if boolean and depth < 0:
        return M.close > rng.uniform(-1.0, 1.0)
    if not boolean and (depth <= 0 or rng.random() < 0.2):
        if rng.random() < 0.4:
            scale = 10.0 ** rng.randint(-9, 20)
            return const(rng.choice([0.0, 1.0, -3.0, rng.uniform(-1.0, 1.0) * scale]))
        return series(rng.choice(FIELDS), rng.choice(SYMBOLS))
    op = OPS[rng.choice([n for n in OWN if OPS[n].boolean == boolean])]
    args = tuple(grow(rng, kind == "b", depth - 1) for kind in op.args)
    low = rng.uniform(-5, 0)
    params = {"n": rng.randint(2, 320), "kernel": rng.randint(0, 1), "lo": low, "hi": -low}
    return Node(op.name, args, tuple(params[p] for p in op.params))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), boolean=st.booleans(), depth=st.integers(0, 4))
def test_round_trips_are_exact(seed: int, boolean: bool, depth: int) -> None:
    node = grow(random.Random(seed), boolean, depth)
    assert parse(node.text).text == node.text
    assert parse(node.text.replace(",", " ,  ").replace("(", "( ")).text == node.text
    again = from_json(json.loads(json.dumps(to_json(node), allow_nan=False)))
    assert again == node
    assert (again.size, again.depth, again.boolean) == (node.size, node.depth, node.boolean)


@settings(max_examples=300)
@given(st.floats(allow_nan=False))
def test_constants_keep_their_value(value: float) -> None:
    node = M.close > value
    bound = parse(node.text).args[1].params[0]
    assert bound == value
    assert from_json(to_json(node)).args[1].params[0] == value


@settings(max_examples=300)
@given(st.text(alphabet="emaclose(),.@ 0123456789-+inf_é\x00", max_size=40))
def test_any_text_is_read_or_refused_on_purpose(text: str) -> None:
    try:
        node = parse(text)
    except StrategyError:
        return
    assert parse(node.text) == node


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emaa(close,20)", "unknown primitive 'emaa' - did you mean 'ema'.*position 0"),
        ("ema(clos,20)", "unknown field 'clos' - did you mean 'close'.*position 4"),
        ("ema(close)", "takes 2 operands and parameters, not 1"),
        ("ema(close,20,3)", "takes no more than 2"),
        ("ema(close,20", r"expected '\)' at position 12"),
        ("ema(close,20) x", "unexpected 'x' after the expression at position 14"),
        ("ema(close,)", "expected the parameter 'n'"),
        ("ema(close,20.5)", "a window of 20.5 bars is not possible"),
        ("ema(close,0)", "a window of 0 bars"),
        ("sma(close,1000000000)", "a window of 1000000000 bars"),
        ("sma(close,inf)", "a window of inf bars"),
        ("nw(close,5,2)", "kernel 0"),
        ("clip(close,2,1)", "lo <= hi"),
        ("and(close,open)", "must be a condition"),
        ("gt(gt(close,1),1)", "must be a number"),
        ("", "expected a number, a field or a primitive at position 0"),
        ("nan", "unknown field 'nan'"),
        ("__import__(os)", "unknown primitive '__import__'"),
        ("abs(" * 60 + "close" + ")" * 60, f"deeper than {MAX_DEPTH}"),
        ("close" + " " * 30_000, "30005 characters"),
    ],
)
def test_refusals_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        {},
        [],
        [1],
        ["ema"],
        ["ema", "close"],
        ["ema", "close", None],
        ["emaa", "close", 3],
        ["ema", "close", True],
        "closee",
        float("nan"),
        ["gt", "close", float("nan")],
    ],
)
def test_json_of_another_form_is_refused(value: object) -> None:
    with pytest.raises(StrategyError):
        from_json(value)


def test_deep_json_is_refused_before_the_stack_ends() -> None:
    value: object = "close"
    for _ in range(5000):
        value = ["abs", value]
    with pytest.raises(StrategyError, match="deeper"):
        from_json(value)


@pytest.fixture
def strategy() -> Strategy:
    long = (ema(M.close, 20) > ema(M.close, 56) * 1.013) & (rsi(M.close, 14) < 70.0)
    return Strategy(
        rules=Rules(long=long, exit_long=~long, short=nw(clip(M.open, 0.5, 1e9), 5, 1) > 0.1),
        policy=PolicyParams(direction="long", stop_atr=2.0, size=0.03, time_stop=40),
        family="ema_cross",
        genome={"family": "ema_cross", "genes": {"fast": 20}},
    )


def test_a_strategy_survives_json(strategy: Strategy) -> None:
    plain = json.loads(json.dumps(dump_strategy(strategy)))
    again = load_strategy(plain)
    assert again.id == strategy.id
    assert again.rules == strategy.rules
    assert again.policy == strategy.policy
    assert (again.family, again.genome) == (strategy.family, strategy.genome)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rulez": {}}, "unknown key 'rulez' in the strategy - did you mean 'rules'"),
        ({"schema": 99}, "schema 99 is not known"),
        ({"rules": {"long": "gt(close,1)", "shrt": "gt(close,1)"}}, "did you mean 'short'"),
        ({"rules": {"long": "gt(close,2)"}}, "its content makes"),
        ({"rules": {"long": "close"}}, "is not a condition"),
        ({"rules": {"long": 3}}, "is not a text"),
        ({"rules": None}, "needs 'rules'"),
        ({"policy": {"stop_art": 1.0}}, "did you mean 'stop_atr'"),
        ({"policy": {"size": "0.1"}}, "policy.size cannot be '0.1'"),
        ({"policy": {"size": True}}, "policy.size cannot be True"),
        ({"policy": {"size": 5.0}}, "within"),
        ({"policy": []}, "needs 'policy'"),
        ({"family": 3}, "'family' is a name"),
        ({"genome": [1]}, "'genome' is a mapping"),
        ({"id": "strat_000000000000"}, "the strategy's id is strat_000000000000"),
    ],
)
def test_a_changed_strategy_is_refused(
    strategy: Strategy, change: dict[str, object], message: str
) -> None:
    with pytest.raises(StrategyError, match=message):
        load_strategy({**dump_strategy(strategy), **change})


def test_a_strategy_by_hand_needs_only_rules_and_policy() -> None:
    strategy = load_strategy({"schema": 1, "rules": {"long": "gt(close, 5)"}, "policy": {}})
    assert strategy.family == "custom"
    assert strategy.rules.short == Rules().short
    with pytest.raises(StrategyError, match="mapping"):
        load_strategy([1])


def test_constant_conditions_have_a_text() -> None:
    assert parse(always().text) == always()


def test_a_rule_that_came_later_is_in_the_id_only_where_it_is_used(strategy: Strategy) -> None:
    # The id that this strategy had before policies could tighten their stop.
    bare = replace(strategy, genome=None)
    assert bare.id == "strat_e8167d9a7ab2"
    assert "tighten_bars" not in dump_strategy(bare)["policy"]
    tight = replace(bare, policy=replace(bare.policy, tighten_bars=6))
    assert tight.id != bare.id
    plain = json.loads(json.dumps(dump_strategy(tight)))
    assert plain["policy"]["tighten_bars"] == 6
    assert load_strategy(plain) == tight
    off = {**dump_strategy(bare), "policy": {**dump_strategy(bare)["policy"], "tighten_bars": 0}}
    assert load_strategy(off) == bare
