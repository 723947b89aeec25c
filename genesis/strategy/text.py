"""Expressions and strategies as text and JSON: read without eval, written in one way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from genesis.domain.errors import StrategyError, did_you_mean
from genesis.strategy import primitives as _primitives  # noqa: F401  (registers the primitives)
from genesis.strategy.node import FIELDS, MAX_DEPTH, OPS, Node, Scalar, const, series
from genesis.strategy.strategy import SCHEMA, PolicyParams, Rules, Strategy

MAX_TEXT = 20_000
_NUMBER = re.compile(r"[+-]?(?:inf\b|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"@[^\s(),]+")
_SPACE = re.compile(r"\s*")

Json = float | int | str | list["Json"]


def parse(text: str) -> Node:
    """Read an expression in the form of `Node.text`; spaces are allowed between its parts.

    ``parse(node.text).text == node.text`` for every node.

    Raises
    ------
    StrategyError
        With the position, if the text is no expression of known primitives within the limits.
    """
    if len(text) > MAX_TEXT:
        raise StrategyError(f"expression of {len(text)} characters; at most {MAX_TEXT} are read")
    return _Reader(text).whole()


class _Reader:
    """Recursive descent over ``number | field | field@symbol | name(operand, …, parameter)``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def whole(self) -> Node:
        node = self.expression(1)
        self.skip()
        if self.place < len(self.text):
            raise self.error(f"unexpected '{self.text[self.place]}' after the expression")
        return node

    def error(self, what: str, *, fix: str = "") -> StrategyError:
        near = self.text[max(0, self.place - 20) : self.place + 20]
        return StrategyError(f"{what} at position {self.place} near '{near}'", fix=fix)

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place

    def take(self, pattern: re.Pattern[str]) -> str:
        self.skip()
        found = pattern.match(self.text, self.place)
        if found is None:
            return ""
        self.place = found.end()
        return found.group()

    def expect(self, character: str) -> None:
        self.skip()
        if self.text[self.place : self.place + 1] != character:
            raise self.error(f"expected '{character}'")
        self.place += 1

    def expression(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error(f"expression deeper than {MAX_DEPTH}")
        number = self.take(_NUMBER)
        if number:
            return const(float(number))
        start = self.place
        name = self.take(_NAME)
        if not name:
            raise self.error("expected a number, a field or a primitive")
        if name in FIELDS:
            symbol = self.take(_SYMBOL)
            return series(name, symbol[1:] if symbol else None)
        if name not in OPS:
            self.skip()
            called = self.text[self.place : self.place + 1] == "("
            self.place = start
            kind, known = ("primitive", list(OPS)) if called else ("field", list(FIELDS))
            raise self.error(
                f"unknown {kind} '{name}'{did_you_mean(name, known)}",
                fix=f"known: {', '.join(sorted(known))}",
            )
        return self.call(name, depth)

    def call(self, name: str, depth: int) -> Node:
        op = OPS[name]
        count = len(op.args) + len(op.params)
        self.expect("(")
        args: list[Node] = []
        params: list[Scalar] = []
        for place in range(count):
            if place:
                self.skip()
                if self.text[self.place : self.place + 1] == ")":
                    raise self.error(f"'{name}' takes {count} operands and parameters, not {place}")
                self.expect(",")
            if place < len(op.args):
                args.append(self.expression(depth + 1))
            else:
                params.append(self.parameter(name, op.params[place - len(op.args)]))
        self.skip()
        if self.text[self.place : self.place + 1] == ",":
            raise self.error(f"'{name}' takes no more than {count} operands and parameters")
        self.expect(")")
        return Node(name, tuple(args), tuple(params))

    def parameter(self, name: str, parameter: str) -> Scalar:
        number = self.take(_NUMBER)
        if number:
            return int(number) if number.lstrip("+-").isdecimal() else float(number)
        word = self.take(_NAME)
        if not word:
            raise self.error(f"expected the parameter '{parameter}' of '{name}'")
        return word


def to_json(node: Node) -> Json:
    """Nested lists: ``["gt", ["ema", "close", 20], 1.5]``; fields are words, constants numbers.

    An infinite constant is the word ``inf`` or ``-inf``, since JSON has no number for it.
    """
    if node.op == "const":
        value = float(node.params[0])
        return value if math.isfinite(value) else str(value)
    if node.op == "field":
        return node.text
    return [node.op, *(to_json(a) for a in node.args), *node.params]


def from_json(value: Any) -> Node:
    """Read a node from the nested lists of `to_json`.

    Raises
    ------
    StrategyError
        If the value has another form.
    """
    return _from_json(value, 1)


def _from_json(value: Any, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise StrategyError(f"expression deeper than {MAX_DEPTH}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return const(float(value))
    if isinstance(value, str):
        if value in ("inf", "-inf"):
            return const(float(value))
        name, _, symbol = value.partition("@")
        return series(name, symbol or None)
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise StrategyError(f"not an expression: {str(value)[:80]}")
    op = OPS.get(value[0])
    if op is None:
        raise StrategyError(f"unknown primitive '{value[0]}'{did_you_mean(value[0], OPS)}")
    split = 1 + len(op.args)
    params = value[split:]
    if any(isinstance(p, bool) or not isinstance(p, (int, float, str)) for p in params):
        raise StrategyError(f"parameters of '{op.name}' are numbers or words")
    args = tuple(_from_json(v, depth + 1) for v in value[1:split])
    return Node(op.name, args, tuple(params))


_KEYS = ("schema", "id", "family", "rules", "policy", "genome")


def dump_strategy(strategy: Strategy) -> dict[str, Any]:
    """Plain form of a strategy for JSON or YAML, complete without the code of its family."""
    return {
        **strategy.identity(),
        "id": strategy.id,
        "family": strategy.family,
        "genome": None if strategy.genome is None else dict(strategy.genome),
    }


def load_strategy(value: Any) -> Strategy:
    """Read a strategy from `dump_strategy`.

    Raises
    ------
    StrategyError
        For an unknown schema or key, a rule or policy that is not legal, or an id that is not the
        one of the content.
    """
    if not isinstance(value, Mapping):
        raise StrategyError("a strategy is a mapping", fix=f"with the keys {', '.join(_KEYS)}")
    _known_keys(value, _KEYS, "strategy")
    if value.get("schema") != SCHEMA:
        raise StrategyError(
            f"strategy schema {value.get('schema')!r} is not known",
            fix=f"this version reads schema {SCHEMA}",
        )
    strategy = Strategy(
        rules=_load_rules(value.get("rules")),
        policy=_load_policy(value.get("policy")),
        family=_word(value.get("family", "custom")),
        genome=_load_genome(value.get("genome")),
    )
    stated = value.get("id")
    if stated is not None and stated != strategy.id:
        raise StrategyError(
            f"the strategy's id is {stated} but its content makes {strategy.id}",
            why="the rules or the policy were changed after it was stored",
            fix="leave the key 'id' out to store it as a strategy of its own",
        )
    return strategy


def _known_keys(value: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in value:
        if key not in known:
            raise StrategyError(
                f"unknown key '{key}' in the {where}{did_you_mean(str(key), known)}",
                fix=f"allowed: {', '.join(known)}",
            )


def _load_rules(value: Any) -> Rules:
    if not isinstance(value, Mapping):
        raise StrategyError("a strategy needs 'rules', a mapping of rule to expression")
    names = tuple(spec.name for spec in fields(Rules))
    _known_keys(value, names, "rules")
    nodes: dict[str, Node] = {}
    for name, text in value.items():
        if not isinstance(text, str):
            raise StrategyError(f"the rule '{name}' is not a text")
        nodes[name] = parse(text)
    return Rules(**nodes)


def _load_policy(value: Any) -> PolicyParams:
    if not isinstance(value, Mapping):
        raise StrategyError("a strategy needs 'policy', a mapping of its parameters")
    names = tuple(spec.name for spec in fields(PolicyParams))
    _known_keys(value, names, "policy")
    for name, number in value.items():
        wanted = str if name == "direction" else (int, float)
        if isinstance(number, bool) or not isinstance(number, wanted):
            raise StrategyError(f"policy.{name} cannot be {number!r}")
    return PolicyParams(**value)


def _load_genome(value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise StrategyError("'genome' is a mapping or null")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise StrategyError("'family' is a name")
    return value
