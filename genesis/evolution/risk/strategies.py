"""Strategies that risk genomes are bred on: good, mediocre, decayed and pure-noise ones.

A risk manager that was bred on good strategies only never met what it is for. So the strategies
come from the store and from the ledgers of finished runs, winners and losers alike, and are
topped up with random genomes where those are too few.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import NO_TRADES, VALID
from genesis.domain.errors import GenesisError, InputError
from genesis.evolution.randomness import stream_seed
from genesis.evolution.risk.paths import ROLES
from genesis.evolution.run import Run, list_runs
from genesis.evolution.store import StrategyStore
from genesis.market.panel import Panel
from genesis.strategy.genome import from_plain, random_genome, repair
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.series import unique_nodes
from genesis.strategy.strategy import NEVER, Strategy
from genesis.strategy.text import dump_strategy, load_strategy

CLASSES = ("good", "mediocre", "decayed", "noise")
"""Noise: random genomes that nobody selected, and archived ones that lose."""
SHARES = (0.30, 0.25, 0.20, 0.25)
"""Shares of the classes among the strategies that are bred on."""

SPLIT = (3, 1, 1)
"""Of five strategies of a class, how many go to each role: 60, 20 and 20 %."""

GOOD_SHARPE, MEDIOCRE_SHARPE = 0.5, -0.5
_ROWS_PER_RUN = 60
_BROODS = 12
_CACHE_BYTES = 256 << 20

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """A strategy and where it is from.

    Attributes
    ----------
    strategy : Strategy
    origin : str
        ``store``, ``run RUN`` or ``random``.
    kind : str
        One of `CLASSES`.
    role : str
        One of `ROLES`; empty before the split.
    """

    strategy: Strategy
    origin: str
    kind: str = ""
    role: str = ""

    @property
    def id(self) -> str:
        """Id of the strategy."""
        return self.strategy.id

    def to_plain(self) -> dict[str, Any]:
        """JSON form with the strategy itself."""
        return {
            "id": self.id,
            "origin": self.origin,
            "kind": self.kind,
            "role": self.role,
            "strategy": dump_strategy(self.strategy),
        }

    @staticmethod
    def from_plain(plain: Any) -> Found:
        """Strategy from `to_plain`."""
        return Found(
            load_strategy(plain["strategy"]), plain["origin"], plain["kind"], plain["role"]
        )


def gather(
    home: Path, panel: Panel, setup: EvaluationSetup, wanted: int, warm_up: int, seed: int
) -> tuple[list[Found], list[str]]:
    """Strategies for a campaign, split into roles.

    Parameters
    ----------
    home : Path
        Workspace.
    panel : Panel
        Searched bars, on which strategies are told apart by their net Sharpe ratios.
    setup : EvaluationSetup
    wanted : int
        How many, at least 15.
    warm_up : int
        Longest warm-up of a random strategy, in bars.
    seed : int
        Decides which are taken where there are more, and the random ones.

    Returns
    -------
    found : list of Found
        In order of their ids.
    notes : list of str
        What a reader of the result should know, random genomes above all.

    Raises
    ------
    InputError
        If not enough strategies trade at all on the dataset.
    """
    judge = _Judge(panel, setup)
    held: dict[str, Found] = {}
    for one in _archived(home):
        if one.id not in held and judge.fits(one.strategy):
            held[one.id] = one
    archived = judge.classed(list(held.values()))
    order = random.Random(stream_seed(seed, "risk strategies", 0))  # noqa: S311 repeatable
    order.shuffle(archived)
    pools = {kind: [f for f in archived if f.kind == kind] for kind in CLASSES}
    quotas = {k: round(s * wanted) for k, s in zip(CLASSES, SHARES, strict=True)}
    quotas[CLASSES[0]] += wanted - sum(quotas.values())
    _top_up(pools, quotas, judge, warm_up, seed)
    chosen = _fill(pools, quotas, wanted)
    if len(chosen) < wanted:
        raise InputError(
            f"only {len(chosen)} of {wanted} strategies trade on {panel.name}",
            why="even random ones hardly enter: the bars are too few for their windows",
            fix="use a longer span or a shorter interval",
        )
    return sorted(_split(chosen), key=lambda f: f.id), _notes(chosen, quotas, len(archived))


def _notes(chosen: Sequence[Found], quotas: dict[str, int], archived: int) -> list[str]:
    drawn = sum(f.origin == "random" for f in chosen)
    notes = []
    if drawn > quotas["noise"]:
        notes.append(
            f"{drawn} of {len(chosen)} strategies are random genomes: the workspace has {archived}"
            " that trade on this dataset, not enough of every class"
        )
    for kind, quota in quotas.items():
        count = sum(f.kind == kind for f in chosen)
        if count < quota:
            notes.append(f"{count} {kind} strategies were found where {quota} were wanted")
    return notes


def _archived(home: Path) -> Iterator[Found]:
    """Strategies of the store, then genomes of the ledgers of finished runs, best to worst."""
    store = StrategyStore(home / "strategies")
    for name in store.ids():
        yield Found(store.get(name).strategy, "store")
    for run in list_runs(home):
        if run.status != "finished":
            continue
        try:
            yield from _of_run(run)
        except GenesisError:
            continue  # a family that is gone or was changed: the run cannot be expressed


def _of_run(run: Run) -> Iterator[Found]:
    """Evenly spread over the fitness of a run's valid trials, so that losers are among them."""
    registry = SeedRegistry(run.config.seeds.paths)
    rows = {row["genome"]: row for row in run.trials_records() if row["status"] == "valid"}
    ranked = sorted(rows.values(), key=lambda r: (-r["objectives"][0], r["genome"]))
    step = max(len(ranked) / _ROWS_PER_RUN, 1.0)
    places = sorted({int(k * step) for k in range(min(_ROWS_PER_RUN, len(ranked)))})
    for place in places:
        strategy = registry.express(from_plain(ranked[place]["plain"]))
        yield Found(strategy, f"run {run.id}")


class _Judge:
    """Tells strategies apart on the searched bars."""

    def __init__(self, panel: Panel, setup: EvaluationSetup) -> None:
        self._panel = panel
        self._symbols = {s.symbol for s in panel.symbols}
        self._evaluator = Evaluator(panel, setup, _CACHE_BYTES)

    def fits(self, strategy: Strategy) -> bool:
        """Whether the dataset has every symbol that it reads."""
        nodes = [node for _, node in strategy.rules.named() if node != NEVER]
        return all(
            str(node.params[1]) in self._symbols
            for node in unique_nodes(*nodes)
            if node.op == "field" and len(node.params) > 1
        )

    def classed(self, found: Sequence[Found]) -> list[Found]:
        """Those that trade, with their class.

        The mean net Sharpe ratio over symbols and folds decides; *decayed* are those whose first
        half was good and whose second half lost.
        """
        if not found:
            return []
        strategies = [f.strategy for f in found]
        halves = []
        alive = np.zeros(len(found), dtype=bool)
        for symbol in range(len(self._panel.symbols)):
            block = self._evaluator.evaluate(symbol, strategies)
            alive |= block.status == VALID
            folds = block.fold_sharpe.copy()
            folds[block.status == NO_TRADES] = 0.0
            half = folds.shape[1] // 2
            halves.append(np.stack([_mean(folds[:, :half]), _mean(folds[:, half:])], axis=1))
            self._evaluator.forget(symbol)
        means = _mean(np.stack(halves, axis=2).reshape(len(found) * 2, -1)).reshape(-1, 2)
        return [
            Found(one.strategy, one.origin, class_of(first, second))
            for one, lives, (first, second) in zip(found, alive, means, strict=True)
            if lives and np.isfinite(first) and np.isfinite(second)
        ]


def _mean(rows: Floats) -> Floats:
    """Mean of the finite values of each row, NaN where there is none."""
    finite = np.isfinite(rows)
    count = finite.sum(axis=1)
    total = np.where(finite, rows, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(rows), np.nan), where=count > 0))


def class_of(first: float, second: float) -> str:
    """Class of a strategy by its net Sharpe ratios in the two halves of the searched bars."""
    if first >= GOOD_SHARPE and second < 0.0:
        return "decayed"
    whole = 0.5 * (first + second)
    if whole >= GOOD_SHARPE:
        return "good"
    return "mediocre" if whole >= MEDIOCRE_SHARPE else "noise"


def _top_up(
    pools: dict[str, list[Found]],
    quotas: dict[str, int],
    judge: _Judge,
    warm_up: int,
    seed: int,
) -> None:
    """Draw random genomes until every class is full, or a dozen broods did not fill it.

    Noise is drawn first and not selected: whatever trades is taken. The other classes get the
    random genomes that happened to fare like them.
    """
    registry = SeedRegistry()
    families = registry.names(ml=False)
    for brood in range(_BROODS):
        if all(len(pools[kind]) >= quotas[kind] for kind in CLASSES):
            return
        rng = random.Random(stream_seed(seed, "risk random strategies", brood))  # noqa: S311
        drawn: dict[str, Found] = {}
        for place in range(2 * sum(quotas.values())):
            family = registry.get(families[place % len(families)])
            genome = repair(random_genome(family, rng), registry, warm_up)
            one = Found(registry.express(genome), "random")
            if judge.fits(one.strategy):
                drawn.setdefault(one.id, one)
        known = {f.id for pool in pools.values() for f in pool}
        for one in judge.classed(list(drawn.values())):
            if one.id in known:
                continue
            if len(pools["noise"]) < quotas["noise"]:
                pools["noise"].append(replace(one, kind="noise"))
            elif len(pools[one.kind]) < quotas[one.kind]:
                pools[one.kind].append(one)


def _fill(pools: dict[str, list[Found]], quotas: dict[str, int], wanted: int) -> list[Found]:
    """Quota of each class, and what is missing from the classes that have more."""
    chosen = [f for kind in CLASSES for f in pools[kind][: quotas[kind]]]
    spare = [f for kind in CLASSES for f in pools[kind][quotas[kind] :]]
    both = chosen + spare[: wanted - len(chosen)]
    return sorted(both, key=lambda f: CLASSES.index(f.kind))


def _split(chosen: Sequence[Found]) -> list[Found]:
    """Deal the strategies to the roles, class after class, 3 : 1 : 1.

    Every five consecutive ones give each role its share, so that all roles have all classes.
    """
    deal = [role for role, count in zip(ROLES, SPLIT, strict=True) for _ in range(count)]
    # Interleaved, so that the last ones of a class do not all go to training.
    turn = [deal[(2 * place) % len(deal)] for place in range(len(deal))]
    return [replace(f, role=turn[place % len(turn)]) for place, f in enumerate(chosen)]
