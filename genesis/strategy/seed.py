"""Seeds: a family of strategies is a class with typed genes and a method that writes its rules.

    @seed(kind=SeedKind.MOMENTUM)
    class EmaCross(Seed):
        \"\"\"Follow the fast average while it leads the slow one.\"\"\"
        fast = Window(5, 40)
        slow = Window(20, 224)

        def rules(self, m: Market) -> Rules:
            return Rules(long=ema(m.close, self.fast) > ema(m.close, self.slow))

The decorator checks the class and gives it its name; nothing is registered globally. A
`SeedRegistry` collects families from modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from genesis.domain.errors import StrategyError, did_you_mean
from genesis.strategy.genes import Gene, GeneValue
from genesis.strategy.strategy import Rules

if TYPE_CHECKING:
    from genesis.strategy.language import Market

S = TypeVar("S", bound="type[Seed]")


class SeedKind(StrEnum):
    """What a family trades on."""

    TREND = "trend"
    MOMENTUM = "momentum"
    MEAN_REVERSION = "mean_reversion"
    BREAKOUT = "breakout"
    VOLATILITY = "volatility"
    CARRY = "carry"
    RISK = "risk"
    ML = "ml"


class Ordering(NamedTuple):
    """The relation ``smaller <= ratio * larger`` between two genes of a family."""

    smaller: str
    larger: str
    ratio: float = 1.0


class Seed:
    """Base of every family; an instance holds one value per gene.

    Attributes
    ----------
    family : str
        Name of the family, unique in a registry.
    kind : SeedKind
    ml : bool
        Whether the rules fit models, which costs much more work per bar.
    needs : tuple of str
        Fields without which the family can never signal (``funding``).
    orderings : sequence of Ordering
        Relations that repair enforces.

    Parameters
    ----------
    **genes
        Values by gene name; a missing gene takes its default and every value is repaired.

    Raises
    ------
    StrategyError
        For a gene that the family does not have.
    """

    family: ClassVar[str] = ""
    kind: ClassVar[SeedKind]
    ml: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    orderings: ClassVar[Sequence[Ordering]] = ()
    _gene_table: ClassVar[Mapping[str, Gene[Any]]]

    def __init__(self, **genes: GeneValue) -> None:
        known = self.genes()
        for name, value in genes.items():
            if name not in known:
                raise StrategyError(
                    f"family '{self.family}' has no gene '{name}'{did_you_mean(name, known)}",
                    fix=f"its genes are {', '.join(known) or 'none'}",
                )
            self.__dict__[name] = known[name].repair(value)

    def rules(self, m: Market) -> Rules:
        """Write the four conditions in terms of a market's series."""
        raise NotImplementedError

    def dormant(self) -> Collection[str]:
        """Names of genes that have no effect at this instance's values.

        Repair sets them to their defaults, so that strategies that trade alike hash alike.
        """
        return ()

    @classmethod
    def genes(cls) -> dict[str, Gene[Any]]:
        """Genes by name, in the order of their definition, inherited ones first."""
        # Looked up for every genome of the search, so kept on the class that it belongs to.
        if "_gene_table" not in vars(cls):
            cls._gene_table = _genes_of(cls)
        return dict(cls._gene_table)

    @classmethod
    def idea(cls) -> str:
        """First sentence of the class docstring."""
        lines = (cls.__doc__ or "").strip().split("\n\n")[0].split()
        return " ".join(lines)

    @classmethod
    def ordered(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return legal gene values with every ordering enforced.

        The smaller side gives way; only where it is already at its lower bound the larger side is
        raised. Values that satisfy the orderings come back unchanged.
        """
        genes, result = cls.genes(), dict(values)
        # One pass settles a chain of n relations only if they are written in its order.
        for _ in range(len(cls.orderings) + 1):
            for smaller, larger, ratio in cls.orderings:
                if result[smaller] <= ratio * result[larger]:
                    continue
                fitting = [v for v in genes[smaller].values if v <= ratio * result[larger]]
                if fitting:
                    result[smaller] = fitting[-1]
                    continue
                result[smaller] = genes[smaller].low
                result[larger] = next(
                    v for v in genes[larger].values if result[smaller] <= ratio * v
                )
        return result


def seed(
    *,
    kind: SeedKind,
    name: str | None = None,
    ml: bool = False,
    needs: Sequence[str] = (),
) -> Callable[[S], S]:
    """Declare a class as a seed family.

    Parameters
    ----------
    kind : SeedKind
    name : str, optional
        Family name; the class name in snake case if absent (``EmaCross`` is ``ema_cross``).
    ml : bool
        The family fits models and belongs on the ML island.
    needs : sequence of str
        Fields without which it can never signal.

    Raises
    ------
    StrategyError
        If the class is no `Seed`, writes no rules, or its genes and orderings make no sense.
    """

    def declare(cls: S) -> S:
        if not (isinstance(cls, type) and issubclass(cls, Seed)):
            raise StrategyError(
                f"@seed needs a subclass of Seed, not {cls!r}", fix="write class MyFamily(Seed)"
            )
        if cls.rules is Seed.rules:
            raise StrategyError(
                f"family {cls.__name__} has no rules", fix="define rules(self, m: Market) -> Rules"
            )
        _check_gene_names(cls)
        cls.family = name or _snake_case(cls.__name__)
        cls.kind = SeedKind(kind)
        cls.ml = ml
        cls.needs = tuple(needs)
        _check_orderings(cls)
        return cls

    return declare


def _check_gene_names(cls: type[Seed]) -> None:
    for gene in cls.genes():
        if gene in vars(Seed) or gene == "kind":
            raise StrategyError(
                f"family {cls.__name__} has a gene named '{gene}', a word that Seed itself uses",
                fix="rename the gene",
            )


def _check_orderings(cls: type[Seed]) -> None:
    genes = cls.genes()
    for smaller, larger, ratio in cls.orderings:
        for gene in (smaller, larger):
            if gene not in genes:
                raise StrategyError(
                    f"an ordering of '{cls.family}' names the gene '{gene}',"
                    f" which it does not have{did_you_mean(gene, genes)}"
                )
        if genes[smaller].low > ratio * genes[larger].high:
            raise StrategyError(
                f"'{cls.family}' can never satisfy {smaller} <= {ratio} * {larger}",
                fix="widen the bounds of one of the two genes",
            )
    defaults = {gene: spec.default for gene, spec in genes.items()}
    if cls.ordered(defaults) != defaults:
        raise StrategyError(
            f"the default genes of '{cls.family}' break its orderings",
            fix="give the genes defaults that satisfy them",
        )


def _genes_of(cls: type[Seed]) -> Mapping[str, Gene[Any]]:
    found: dict[str, Gene[Any]] = {}
    for owner in reversed(cls.__mro__):
        for name, value in vars(owner).items():
            if isinstance(value, Gene):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def _snake_case(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()
