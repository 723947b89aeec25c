"""Genomes: a family, its genes, and perhaps an evolved filter; what the search varies.

Genes of the family go by their attribute name (``fast``), those of the position policy by
``policy.<field>``; ``filter.threshold`` belongs to a filter that is a score. A genome becomes a
`Strategy` by `express`, and every operator's child goes through `repair` first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from genesis.domain.canonical import content_hash
from genesis.domain.errors import StrategyError
from genesis.strategy.genes import Choice, Float, Gene, GeneValue, Int, Levels, RandomSource, Window
from genesis.strategy.language import Market
from genesis.strategy.node import Node
from genesis.strategy.seed import Seed
from genesis.strategy.series import history_bars
from genesis.strategy.strategy import DIRECTIONS, NEVER, PolicyParams, Rules, Strategy
from genesis.strategy.text import parse
from genesis.strategy.trees import reduce_tree

if TYPE_CHECKING:
    from genesis.strategy.registry import SeedRegistry

F = TypeVar("F", bound=Callable[..., Any])

SCHEMA = 1
POLICY = "policy."
THRESHOLD = "filter.threshold"
_REPAIR_PASSES = 8


def _policy_genes() -> dict[str, Gene[Any]]:
    atr = "ATR"
    genes: dict[str, Gene[Any]] = {
        "direction": Choice(*DIRECTIONS, doc="Sides that may be entered."),
        "size": Float(
            0.005, 0.05, unit="fraction of capital", default=0.02, doc="Notional of an entry."
        ),
        "vol_target": Float(
            0.05, 0.40, step=0.01, off=True, unit="per year", doc="Volatility the size aims at."
        ),
        "vol_window": Window(10, 224, default=56, doc="Bars of the realised volatility."),
        "atr_window": Window(5, 56, default=14, doc="Bars of the ATR behind stops and targets."),
        "stop_atr": Float(0.5, 8, step=0.1, off=True, unit=atr, doc="Distance of the stop."),
        "target_atr": Float(0.5, 15, step=0.25, off=True, unit=atr, doc="Distance of the target."),
        "trail_atr": Float(
            0.5, 10, step=0.1, off=True, unit=atr, doc="Trailing distance from the best close."
        ),
        "breakeven_atr": Float(
            0.5, 5, step=0.1, off=True, unit=atr, doc="Gain after which the stop goes to entry."
        ),
        "time_stop": Int(1, 400, off=True, unit="bars", doc="Longest holding time."),
        "cooldown": Int(0, 50, default=0, unit="bars", doc="Bars without entry after an exit."),
    }
    return {POLICY + name: _named(POLICY + name, gene) for name, gene in genes.items()}


def _named(name: str, gene: Gene[Any]) -> Gene[Any]:
    gene.name = name
    return gene


POLICY_GENES: Mapping[str, Gene[Any]] = _policy_genes()
THRESHOLD_GENE = _named(
    THRESHOLD,
    Float(0.001, 3.0, log=True, off=True, doc="What a score must exceed; 0 is any agreement."),
)
FALLBACK_TIME_STOP = 112


def _remembered(function: F) -> F:
    """Remember the latest answers of a function of a genome's parts.

    Breeding asks for the same rules several times, most children share the genes of their rules
    with a parent, and evaluation reads the same genomes for each symbol.
    """
    # The stub of lru_cache refuses classes as arguments, and so does not keep the signature.
    return cast(F, lru_cache(maxsize=4096)(function))


@_remembered
def all_genes(family: type[Seed]) -> Mapping[str, Gene[Any]]:
    """Genes of a genome of a family: its own, the policy's, and the filter threshold."""
    return {**family.genes(), **POLICY_GENES, THRESHOLD: THRESHOLD_GENE}


def legal_genes(genes: Mapping[str, Any], family: type[Seed]) -> dict[str, Any]:
    """Every gene of a family at its nearest legal value; a missing one at its default."""
    return {name: spec.repair(genes.get(name)) for name, spec in all_genes(family).items()}


@dataclass(frozen=True, eq=False)
class Genome:
    """One candidate of the search; equal when `key` is equal.

    Attributes
    ----------
    family : str
        Name of the seed family.
    genes : mapping
        Gene name to number, word or truth value. Missing genes mean their defaults.
    filter : Node, optional
        Evolved tree: a condition that both entries must meet besides, or a number (score) that
        must exceed ``filter.threshold`` for longs and fall below its negative for shorts.
    """

    family: str
    genes: Mapping[str, GeneValue]
    filter: Node | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "genes", dict(sorted(self.genes.items())))

    @cached_property
    def key(self) -> str:
        """Content hash (SHA-256, hex) of `plain`: the genome's identity."""
        return content_hash(self.plain())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genome) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def plain(self) -> dict[str, Any]:
        """JSON form: schema, family, genes and the filter's text."""
        return {
            "schema": SCHEMA,
            "family": self.family,
            "genes": dict(self.genes),
            "filter": self.filter.text if self.filter is not None else None,
        }

    def to_text(self) -> str:
        """Canonical JSON text: sorted keys, no spaces, shortest exact numbers."""
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def with_genes(self, **changes: GeneValue) -> Genome:
        """Return a copy with some family genes changed (not repaired)."""
        return replace(self, genes={**self.genes, **changes})


@_remembered
def from_text(text: str) -> Genome:
    """Read a genome from `Genome.to_text`.

    Raises
    ------
    StrategyError
        If the text is no genome of a known schema.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StrategyError("a genome is not valid JSON", why=str(error)) from None
    return from_plain(value)


def from_plain(value: Any) -> Genome:
    """Read a genome from `Genome.plain`.

    Raises
    ------
    StrategyError
        If the value is no genome of a known schema.
    """
    if not isinstance(value, Mapping) or set(value) != {"schema", "family", "genes", "filter"}:
        raise StrategyError("a genome needs exactly the keys schema, family, genes, filter")
    if value["schema"] != SCHEMA:
        raise StrategyError(
            f"genome schema {value['schema']!r} is not known", fix=f"this version reads {SCHEMA}"
        )
    genes, text = value["genes"], value["filter"]
    if not isinstance(value["family"], str) or not isinstance(genes, Mapping):
        raise StrategyError("a genome's family is a name and its genes a mapping")
    if not all(isinstance(v, (int, float, str)) for v in genes.values()):
        raise StrategyError("a gene's value is a number, a word, true or false")
    if text is not None and not isinstance(text, str):
        raise StrategyError("a genome's filter is the text of an expression, or null")
    return Genome(value["family"], genes, None if text is None else parse(text))


def default_genome(family: type[Seed]) -> Genome:
    """Genome of a family with every gene at its default, no filter."""
    return Genome(family.family, {name: g.default for name, g in all_genes(family).items()})


def random_genome(family: type[Seed], rng: RandomSource) -> Genome:
    """Draw every gene of a family, no filter; not yet repaired."""
    return Genome(family.family, {name: g.sample(rng) for name, g in all_genes(family).items()})


def express(genome: Genome, family: type[Seed]) -> Strategy:
    """Build the strategy of a genome.

    The filter (or score) joins the entries only. In a one-sided genome the family's opposite
    entry closes the position, because it would have reversed it in a two-sided one; the filter
    does not apply to it, so that a filter can never forbid an exit.

    Raises
    ------
    StrategyError
        If the family cannot write its rules.
    """
    genes = legal_genes(genome.genes, family)
    rules = _rules(genes, genome.filter, family)
    return Strategy(rules, _policy(genes), family.family, genome.plain())


def _own_genes(genes: Mapping[str, Any], family: type[Seed]) -> tuple[tuple[str, Any], ...]:
    return tuple([(name, genes[name]) for name in family.genes() if name in genes])


def _rules(genes: Mapping[str, Any], tree: Node | None, family: type[Seed]) -> Rules:
    scored = tree is not None and not tree.boolean
    return _joined_rules(
        family,
        _own_genes(genes, family),
        genes[POLICY + "direction"],
        tree,
        genes[THRESHOLD] if scored else 0.0,
    )


@_remembered
def _joined_rules(
    family: type[Seed],
    own: tuple[tuple[str, Any], ...],
    direction: str,
    tree: Node | None,
    threshold: float,
) -> Rules:
    rules = written_rules(family(**dict(own)), Market())
    return _directed(rules, _filtered(rules, tree, threshold), direction)


def _policy(genes: Mapping[str, Any]) -> PolicyParams:
    return _policy_of(tuple([genes[name] for name in POLICY_GENES]))


@_remembered
def _policy_of(values: tuple[Any, ...]) -> PolicyParams:
    names = [name.removeprefix(POLICY) for name in POLICY_GENES]
    return PolicyParams(**dict(zip(names, values, strict=True)))


def written_rules(built: Seed, market: Any) -> Rules:
    """Rules of a family instance, with whatever its code raises told as a strategy error.

    Raises
    ------
    StrategyError
        If the family's code fails or returns something else.
    """
    try:
        rules = built.rules(market)
    except StrategyError as error:
        raise StrategyError(
            f"family '{built.family}' cannot write its rules: {error.what}",
            why=error.why,
            fix=error.fix,
        ) from error
    except Exception as error:
        raise StrategyError(
            f"family '{built.family}' cannot write its rules",
            why=f"{type(error).__name__}: {error}",
        ) from error
    if not isinstance(rules, Rules):
        raise StrategyError(
            f"rules of family '{built.family}' returned {type(rules).__name__}",
            fix="return Rules(long=..., short=..., exit_long=..., exit_short=...)",
        )
    return rules


def _filtered(rules: Rules, tree: Node | None, threshold: float) -> tuple[Node, Node]:
    if tree is None:
        return rules.long, rules.short
    agree_long = tree if tree.boolean else tree > threshold
    agree_short = tree if tree.boolean else tree < -threshold
    return (
        rules.long if rules.long == NEVER else rules.long & agree_long,
        rules.short if rules.short == NEVER else rules.short & agree_short,
    )


def _directed(rules: Rules, entries: tuple[Node, Node], direction: str) -> Rules:
    if direction == "long":
        return Rules(long=entries[0], exit_long=_either(rules.exit_long, rules.short))
    if direction == "short":
        return Rules(short=entries[1], exit_short=_either(rules.exit_short, rules.long))
    return replace(rules, long=entries[0], short=entries[1])


def _either(first: Node, second: Node) -> Node:
    if first in (NEVER, second):
        return second
    return first if second == NEVER else first | second


def repair(genome: Genome, registry: SeedRegistry, max_warmup: int | None = None) -> Genome:
    """Return the nearest legal genome.

    Steps: values clipped to their bounds and snapped to their grids (unknown genes dropped,
    missing ones set to defaults), the filter reduced to the tree limits, the family's orderings,
    a way out of every position, the warm-up limit, dormant genes set to defaults. Repairing a
    repaired genome changes nothing.

    Parameters
    ----------
    genome : Genome
    registry : SeedRegistry
    max_warmup : int, optional
        Most bars before the first possible signal. Windows are shortened, longest first, until
        the strategy fits; then the filter goes. What is still too long is left for the evaluator
        to refuse with its reason.

    Raises
    ------
    StrategyError
        If the family is unknown or cannot write its rules.
    """
    family = registry.get(genome.family)
    genes = legal_genes(genome.genes, family)
    tree = reduce_tree(genome.filter) if genome.filter is not None else None
    for _ in range(_REPAIR_PASSES):
        before = dict(genes), tree
        genes.update(_ordered(genes, family))
        if _may_never_exit(genes, tree, family):
            genes[POLICY + "time_stop"] = FALLBACK_TIME_STOP
        if max_warmup is not None:
            tree = _shorten(genes, tree, family, max_warmup)
        for name in _dormant(genes, tree, family):
            genes[name] = all_genes(family)[name].default
        if (genes, tree) == before:
            break
    return Genome(genome.family, genes, tree)


def _ordered(genes: Mapping[str, Any], family: type[Seed]) -> dict[str, Any]:
    return family.ordered({name: genes[name] for name in family.genes()})


def _may_never_exit(genes: Mapping[str, Any], tree: Node | None, family: type[Seed]) -> bool:
    """Whether a position could stay open for ever."""
    exits = ("stop_atr", "target_atr", "trail_atr", "time_stop")
    if any(genes[POLICY + name] for name in exits):
        return False
    rules = _rules(genes, tree, family)
    stuck_long = rules.long != NEVER and rules.exit_long == NEVER and rules.short == NEVER
    stuck_short = rules.short != NEVER and rules.exit_short == NEVER and rules.long == NEVER
    return stuck_long or stuck_short


def _shorten(
    genes: dict[str, Any], tree: Node | None, family: type[Seed], limit: int
) -> Node | None:
    """Shorten windows among the genes until the warm-up fits; return the tree if it may stay."""
    specs = all_genes(family)
    stuck: set[str] = set()
    if tree is not None and history_bars(tree) > limit:
        tree = None
    while _warmup(_rules(genes, tree, family), _policy(genes)) > limit:
        windows = sorted(
            (-int(genes[name]), name)
            for name, spec in specs.items()
            if isinstance(spec, (Window, Levels)) and spec.unit == "bars" and name not in stuck
        )
        if not windows:
            return None
        name = windows[0][1]
        spec = specs[name]
        shorter = {**genes, name: spec.at(spec.index(genes[name]) - 1)}
        shorter.update(_ordered(shorter, family))
        if shorter[name] == genes[name]:
            stuck.add(name)
        else:
            genes.update(shorter)
    return tree


def dormant_genes(genome: Genome, family: type[Seed]) -> tuple[str, ...]:
    """Names of genes that have no effect at the genome's values, sorted."""
    return tuple(sorted(_dormant(genome.genes, genome.filter, family)))


def _dormant(genes: Mapping[str, Any], tree: Node | None, family: type[Seed]) -> set[str]:
    found = set(_dormant_own(family, _own_genes(genes, family)))
    if not genes.get(POLICY + "vol_target"):
        found.add(POLICY + "vol_window")
    if not any(genes.get(POLICY + name) for name in _ATR_RULES):
        found.add(POLICY + "atr_window")
    if tree is None or tree.boolean:
        found.add(THRESHOLD)
    return found


@_remembered
def _dormant_own(family: type[Seed], own: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
    return tuple(family(**dict(own)).dormant())


_ATR_RULES = ("stop_atr", "target_atr", "trail_atr", "breakeven_atr")


def complexity(genome: Genome, registry: SeedRegistry) -> int:
    """Count what had to be chosen: active genes off their switch, plus the filter's nodes.

    A gene counts when it is not dormant, not switched off, and has more than one legal value.
    """
    family = registry.get(genome.family)
    asleep = set(dormant_genes(genome, family))
    count = sum(
        1
        for name, spec in all_genes(family).items()
        if name not in asleep
        and len(spec) > 1
        and spec.active(genome.genes.get(name, spec.default))
    )
    return count + (genome.filter.size if genome.filter is not None else 0)


def warmup_bars(strategy: Strategy) -> int:
    """Bars before a strategy's first possible entry, its policy's windows included."""
    return _warmup(strategy.rules, strategy.policy)


def _warmup(rules: Rules, policy: PolicyParams) -> int:
    needs = [history_bars(*[node for _, node in rules.named()])]
    if any(getattr(policy, name) for name in _ATR_RULES):
        needs.append(policy.atr_window)
    if policy.vol_target:
        needs.append(policy.vol_window + 1)
    return max(needs)
