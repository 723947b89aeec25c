"""A strategy in English: one sentence for each rule and for the position policy."""

from __future__ import annotations

import re

from genesis.strategy.node import OPS, Node, Scalar, number_text
from genesis.strategy.series import fold
from genesis.strategy.strategy import STOP_BOUNDS, TARGET_BOUNDS, PolicyParams, Strategy

_ARITHMETIC = frozenset({"add", "sub", "mul", "div"})
_LOGIC = frozenset({"and", "or"})
_NEGATED = {
    "gt": "{0} is not above {1}",
    "ge": "{0} is below {1}",
    "lt": "{0} is not below {1}",
    "le": "{0} is above {1}",
    "between": "{0} is not between {1} and {2}",
}
# Indicators that everybody reads off the bars themselves: operands are left out if they are these.
_BAR_FIELDS = {
    "tr": ("the true range", ("high", "low", "close")),
    "atr": ("the {n}-bar ATR", ("high", "low", "close")),
    "adx": ("the {n}-bar ADX", ("high", "low", "close")),
    "stoch": ("the {n}-bar stochastic %K", ("high", "low", "close")),
    "midpoint": ("the middle of the {n}-bar high-low channel", ("high", "low")),
    "vwap": ("the {n}-bar VWAP", ("high", "low", "close", "volume")),
}
_FIELD_WORDS = {
    "open": "the open",
    "high": "the high",
    "low": "the low",
    "close": "the close",
    "volume": "the volume",
    "funding": "the funding rate",
    "sentiment": "the sentiment index",
}
_RULES = {
    "long": "Enter long",
    "short": "Enter short",
    "exit_long": "Leave a long position",
    "exit_short": "Leave a short position",
}


_ONE = re.compile(r"(?<![\d.])1 bars\b")


def phrase(node: Node) -> str:
    """Words for a node, for example ``the 20-bar EMA of the close is above the open``."""
    if node.op == "const":
        return _spoken(node.params[0])
    if node.op == "field":
        words = _FIELD_WORDS[str(node.params[0])]
        return words if len(node.params) == 1 else f"{words} of {node.params[1]}"
    if node.constant and node.boolean:
        return {1.0: "always", 0.0: "never"}.get(fold(node), "unknown")
    if node.op == "not" and node.args[0].op in _NEGATED:
        inner = node.args[0]
        return _NEGATED[inner.op].format(*(_operand(a, inner) for a in inner.args))
    op = OPS[node.op]
    params = {name: _spoken(value) for name, value in zip(op.params, node.params, strict=True)}
    if node.op in _BAR_FIELDS:
        words, fields = _BAR_FIELDS[node.op]
        symbols = {str(a.params[1]) if len(a.params) == 2 else "" for a in node.args}
        named = tuple(str(a.params[0]) for a in node.args if a.op == "field")
        if named == fields and len(symbols) == 1:
            symbol = symbols.pop()
            return words.format(**params) + (f" of {symbol}" if symbol else "")
    args = node.args
    if node.op == "mul" and args[1].op == "const":
        args = (args[1], args[0])
    words = op.sentence.format(*(_operand(a, node) for a in args), **params)
    return _ONE.sub("1 bar", words)


def _spoken(value: Scalar) -> str:
    """A number as people write it: 0.2 for the 0.19999999999999996 that 1 - 0.8 gives."""
    return number_text(float(f"{value:.12g}") if isinstance(value, float) else value)


def _operand(node: Node, parent: Node) -> str:
    """Words for an operand, in brackets where the order of reading would be in doubt."""
    words = phrase(node)
    if node.constant:
        return words
    compound = node.op in _ARITHMETIC and not OPS[parent.op].boolean
    mixed = node.op in _LOGIC and node.op != parent.op
    return f"({words})" if compound or mixed else words


def sentence(strategy: Strategy) -> str:
    """Sentences for the rules that can fire and for the policy, one a line."""
    skipped = {"long": "short", "short": "long"}.get(strategy.policy.direction, "")
    lines = []
    for name, node in strategy.rules.named():
        if skipped and name.endswith(skipped):
            continue
        if node.constant and fold(node) != 1.0:
            continue
        lines.append(f"{_RULES[name]} when {phrase(node)}.")
    if not lines:
        lines.append("No rule can fire, so it never trades.")
    return "\n".join([*lines, *_policy_sentences(strategy.policy)])


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.4g} %"


def _policy_sentences(policy: PolicyParams) -> list[str]:
    size = f"An entry is {_percent(policy.size)} of the symbol's capital"
    if policy.vol_target > 0.0:
        size += (
            f", scaled to a volatility of {_percent(policy.vol_target)} a year measured over"
            f" {policy.vol_window} bars"
        )
    lines = [f"{size}."]
    levels = _levels(policy)
    if levels:
        text = "; ".join(levels)
        lines.append(f"{text[0].upper()}{text[1:]} (ATR of {policy.atr_window} bars).")
    if policy.time_stop > 0:
        lines.append(_ONE.sub("1 bar", f"A position is closed after {policy.time_stop} bars."))
    if policy.cooldown > 0:
        wait = f"After an exit it waits {policy.cooldown} bars before it enters again."
        lines.append(_ONE.sub("1 bar", wait))
    return lines


def _levels(policy: PolicyParams) -> list[str]:
    """Price levels that protect a position, each as a clause."""
    parts = []
    if policy.stop_atr > 0.0:
        low, high = (_percent(b) for b in STOP_BOUNDS)
        parts.append(f"stop {policy.stop_atr:g} ATR from the fill, within {low} and {high}")
    if policy.target_atr > 0.0:
        low, high = (_percent(b) for b in TARGET_BOUNDS)
        parts.append(f"target {policy.target_atr:g} ATR from the fill, within {low} and {high}")
    if policy.trail_atr > 0.0:
        parts.append(f"trailing stop {policy.trail_atr:g} ATR from the best close")
    if policy.breakeven_atr > 0.0:
        parts.append(f"stop to the entry price after {policy.breakeven_atr:g} ATR in favour")
    if policy.tighten_bars > 0:
        every = _ONE.sub("1 bar", f"{policy.tighten_bars} bars")
        parts.append(
            f"stop nearer to the entry price by a quarter of its first distance every {every}"
        )
    return parts
