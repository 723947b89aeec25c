"""Sentences: every primitive has words, and they say what the rule does."""

from __future__ import annotations

import pytest

from genesis.strategy import primitives
from genesis.strategy.explain import phrase, sentence
from genesis.strategy.language import (
    Market,
    always,
    atr,
    cross_up,
    ema,
    persist,
    rsi,
    stoch,
    zscore,
)
from genesis.strategy.node import OPS, Node, const
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.strategy.text import parse

M = Market()
OWN = sorted(n for n, op in OPS.items() if op.run.__module__.startswith(primitives.__name__))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            ema(M.close, 20) > ema(M.close, 56) * 1.013,
            "the 20-bar EMA of the close is above 1.013 times the 56-bar EMA of the close",
        ),
        (M.close > M.open * (1 - 0.8), "the close is above 0.2 times the open"),
        (~(rsi(M.close, 14) > 70), "the 14-bar RSI of the close is not above 70"),
        (
            (M.close - M.open) / atr(M, 14) < 2,
            "(the close minus the open) divided by the 14-bar ATR is below 2",
        ),
        (stoch(M.other("BTC"), 14) >= 80, "the 14-bar stochastic %K of BTC is at or above 80"),
        (
            cross_up(M.close, M.other("BTC").open),
            "the close crosses above the open of BTC",
        ),
        (
            ((M.close > 1) | (M.open > 1)) & (M.low > 1),
            "(the close is above 1 or the open is above 1) and the low is above 1",
        ),
        (persist(M.funding < 0.01, 3), "the funding rate is below 0.01 for 3 bars in a row"),
        (always(), "always"),
    ],
)
def test_phrases(node: Node, words: str) -> None:
    assert phrase(node) == words


@pytest.mark.parametrize("name", OWN)
def test_every_primitive_has_words_for_all_operands_and_parameters(name: str) -> None:
    op = OPS[name]
    operands = [f"<operand {k}>" for k in range(len(op.args))]
    words = op.sentence.format(*operands, **{p: f"<{p}>" for p in op.params})
    for piece in [*operands, *(f"<{p}>" for p in op.params)]:
        assert piece in words


def test_a_strategy_reads_as_rules_and_policy() -> None:
    strategy = Strategy(
        Rules(long=zscore(M.close, 20) < -2, short=M.close < 1, exit_long=M.close > 1),
        PolicyParams(
            direction="long", size=0.03, vol_target=0.2, stop_atr=2.5, trail_atr=3, cooldown=5
        ),
    )
    assert sentence(strategy).splitlines() == [
        "Enter long when the 20-bar z-score of the close is below -2.",
        "Leave a long position when the close is above 1.",
        "An entry is 3 % of the symbol's capital, scaled to a volatility of 20 % a year"
        " measured over 56 bars.",
        "Stop 2.5 ATR from the fill, within 2 % and 15 %; trailing stop 3 ATR from the best close"
        " (ATR of 14 bars).",
        "After an exit it waits 5 bars before it enters again.",
    ]


def test_a_stop_that_comes_nearer_is_said_so() -> None:
    words = sentence(Strategy(Rules(), PolicyParams(stop_atr=2, tighten_bars=6)))
    assert "stop nearer to the entry price by a quarter of its first distance every 6 bars" in words


def test_rules_that_cannot_fire_are_said_so() -> None:
    words = sentence(Strategy(Rules(), PolicyParams(time_stop=9)))
    assert words.startswith("No rule can fire")
    assert "closed after 9 bars" in words
    unknown = (const(1.0) / const(0.0)) > const(0.0)
    assert sentence(Strategy(Rules(long=unknown), PolicyParams())).startswith("No rule can fire")


def test_one_bar_is_singular_and_eleven_are_not() -> None:
    assert phrase(parse("lag(high,1)")).endswith("1 bar ago")
    assert phrase(parse("lag(high,11)")).endswith("11 bars ago")
