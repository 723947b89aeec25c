"""Which genes of a bred genome pay: each is set back to its default and missed, or not.

A gene whose removal costs less than the price of its distance changes nothing worth keeping. Such
genes are frozen at their defaults one after the other, the least missed first, because two genes
may stand in for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from genesis.evolution.risk.measures import Outcome
from genesis.evolution.risk.score import Weights, distance, relative_gains, scalar
from genesis.risk.genome import GENES, RiskGenome

Outcomes = Callable[[Sequence[RiskGenome]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class GeneRow:
    """One gene of the table.

    Attributes
    ----------
    gene, unit : str
    default, bred, kept : float
        Its default, what the search made of it, and what it is in the end.
    growth, cdar, cvar : float
        What its removal costs, in shares of the default manager's own numbers.
    cost : float
        What its removal costs in the scalar, the price of its distance not counted.
    price : float
        That price.
    verdict : str
        ``pays``, ``frozen`` (costs less than its price), ``inert`` (no number changes) or
        ``default`` (the search left it where it was).
    """

    gene: str
    unit: str
    default: float
    bred: float
    kept: float
    growth: float
    cdar: float
    cvar: float
    cost: float
    price: float
    verdict: str

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def eliminate(
    bred: RiskGenome, bases: Sequence[Outcome], outcomes: Outcomes, weights: Weights
) -> tuple[RiskGenome, list[GeneRow]]:
    """Set back every gene that does not pay.

    Parameters
    ----------
    bred : RiskGenome
    bases : sequence of Outcome
        Of the baselines on the scenarios that ``outcomes`` uses, the defaults first.
    outcomes : callable
        Outcomes of genomes, on scenarios that the search did not see.
    weights : Weights

    Returns
    -------
    genome : RiskGenome
    rows : list of GeneRow
        One a gene; the costs are those at the moment of the gene's freezing, or in the end.
    """
    default = RiskGenome()
    now = bred
    rows: dict[str, GeneRow] = {}
    while True:
        moved = [g.name for g in GENES if getattr(now.genes, g.name) != g.default]
        without = [now.replace(**{name: getattr(default.genes, name)}) for name in moved]
        whole, *found = outcomes([now, *without])
        fresh = {
            name: _row(name, bred, now, one, bases, (whole, outcome), weights)
            for name, one, outcome in zip(moved, without, found, strict=True)
        }
        idle = [row for row in fresh.values() if row.cost < row.price]
        if not idle:
            rows |= fresh
            break
        least = min(idle, key=lambda row: (row.cost - row.price, row.gene))
        rows[least.gene] = _frozen(least)
        now = now.replace(**{least.gene: least.default})
    for gene in GENES:
        rows.setdefault(gene.name, _untouched(gene.name, bred))
    return now, [rows[gene.name] for gene in GENES]


def _row(
    name: str,
    bred: RiskGenome,
    now: RiskGenome,
    without: RiskGenome,
    bases: Sequence[Outcome],
    pair: tuple[Outcome, Outcome],
    weights: Weights,
) -> GeneRow:
    whole, missed = pair
    free = replace(weights, penalty=0.0)
    gains, losses = relative_gains(whole, bases[0]), relative_gains(missed, bases[0])
    gene = next(g for g in GENES if g.name == name)
    return GeneRow(
        gene=name,
        unit=gene.unit,
        default=gene.default,
        bred=getattr(bred.genes, name),
        kept=getattr(now.genes, name),
        growth=gains[0] - losses[0],
        cdar=gains[1] - losses[1],
        cvar=gains[2] - losses[2],
        cost=scalar(whole, bases, now, free) - scalar(missed, bases, without, free),
        price=weights.penalty * (distance(now) - distance(without)),
        verdict="inert" if whole == missed else "pays",
    )


def _frozen(row: GeneRow) -> GeneRow:
    verdict = "inert" if row.verdict == "inert" else "frozen"
    return replace(row, kept=row.default, verdict=verdict)


def _untouched(name: str, bred: RiskGenome) -> GeneRow:
    gene = next(g for g in GENES if g.name == name)
    value = getattr(bred.genes, name)
    return GeneRow(name, gene.unit, gene.default, value, value, 0.0, 0.0, 0.0, 0.0, 0.0, "default")
