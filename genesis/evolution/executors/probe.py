"""The probe: fixed computations whose bits every worker of a study must agree on.

Processors and builds of the math library may differ in the last bit of a logarithm, and a search
amplifies a bit into another population. So each worker evaluates the same small market with every
primitive, family and pass that the study can use, and shows the hash. In the driver the same
computation compiles the kernels once, before workers start and load them from the cache.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import BlockResult
from genesis.domain.canonical import array_hash, content_hash
from genesis.domain.errors import GenesisError
from genesis.domain.instrument import Instrument
from genesis.evolution.work import StudyJob
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.cache import NodeCache
from genesis.strategy.genome import Genome, default_genome, random_genome, repair
from genesis.strategy.node import OPS, Node, Op, Scalar, series
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import Strategy
from genesis.strategy.trees import Type, random_tree

BARS = 1_200
_HOUR_MS = 3_600_000
_START_MS = 1_577_836_800_000
_FILTERED = 8
_CACHE_BYTES = 32 << 20
_PARAMS: dict[str, Scalar] = {"n": 14, "lo": -0.5, "hi": 0.5}

Floats = npt.NDArray[np.float64]


def probe_hash(job: StudyJob, registry: SeedRegistry) -> str:
    """SHA-256 (hex) of the probe's results for the families that a job names.

    Parameters
    ----------
    job : StudyJob
        Its setup is used; its panel is not, so that the probe costs the same for every study.
    registry : SeedRegistry
        With the user's families loaded.
    """
    panel = probe_panel()
    parts: list[object] = [_math_hash(panel), *_primitive_hashes(panel)]
    strategies, refusals = _strategies(job, registry)
    parts += refusals
    for block in _blocks(job, panel, strategies):
        parts.append(list(block.reasons))
        parts.append(
            array_hash(block.status, block.metrics, block.fold_sharpe, block.marks, block.phenotype)
        )
    return content_hash(parts)


def _strategies(job: StudyJob, registry: SeedRegistry) -> tuple[list[Strategy], list[str]]:
    """Strategies of the probe's genomes, and why the others have none."""
    strategies: list[Strategy] = []
    refusals: list[str] = []
    for genome in probe_genomes(registry, job.families):
        try:
            strategies.append(registry.express(genome))
        except GenesisError as error:
            refusals.append(error.what)  # the same text everywhere, or no worker of this study
    return strategies, refusals


def _blocks(job: StudyJob, panel: Panel, strategies: list[Strategy]) -> Iterator[BlockResult]:
    evaluator = Evaluator(panel, EvaluationSetup.from_plain(job.setup), cache_bytes=_CACHE_BYTES)
    for symbol in range(len(panel.symbols)):
        yield evaluator.evaluate(symbol, strategies)


def probe_genomes(registry: SeedRegistry, families: Sequence[str]) -> Iterator[Genome]:
    """Default genome of each family, a random one of the built-in, and some with random filters.

    A user's code is only called with its defaults, as the registry did when it loaded the file:
    what it does with other genes must not happen in the driver. ML families take part only where
    they are named: their kernels are slow to compile.
    """
    rng = random.Random(20200101)  # noqa: S311 - a fixed sequence, not a secret
    for name in families or registry.names(ml=False):
        family = registry.get(name)
        yield default_genome(family)
        if registry.origin(name) == "built in":
            yield repair(random_genome(family, rng), registry, BARS // 2)
    simple = default_genome(registry.get("ema_cross"))
    for number in range(_FILTERED):
        kind = Type.RATIO if number % 4 == 3 else Type.BOOL
        yield repair(
            Genome(simple.family, simple.genes, random_tree(rng, kind)), registry, BARS // 2
        )


def probe_panel() -> Panel:
    """Two symbols of pseudo-random hourly bars with gaps and funding.

    Made with integer arithmetic, one multiplication and one addition a bar, so that the input is
    the same on every machine by IEEE 754 and only what is probed can differ. The arrays are
    read-only like those that workers share.
    """
    ts_ms = _START_MS + np.arange(BARS, dtype=np.int64) * _HOUR_MS
    ts_ms.flags.writeable = False
    symbols = tuple(_series(name, place) for place, name in enumerate(("PROBEAUSDT", "PROBEBUSDT")))
    return Panel("probe:PROBEA,PROBEB:1h", "probe", _HOUR_MS, ts_ms, symbols, "0" * 64)


def _series(symbol: str, place: int) -> SymbolSeries:
    draws = [_uniform(BARS, 8 * place + column) for column in range(6)]
    close = 100.0 * np.cumprod(1.0 + 0.03 * (draws[0] - 0.5))
    open_ = np.concatenate(([100.0], close[:-1])) * (1.0 + 0.001 * (draws[1] - 0.5))
    valid = draws[5] > 0.01
    first, last = 7 * place, BARS - 1 - 5 * place
    valid[:first] = False
    valid[last + 1 :] = False
    valid[[first, last]] = True
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * (1.0 + 0.01 * draws[2]),
        "low": np.minimum(open_, close) * (1.0 - 0.01 * draws[3]),
        "close": close,
        "volume": 10.0 + 90.0 * draws[4],
    }
    for column in columns.values():
        column[~valid] = np.nan
    rate = np.where(np.arange(BARS) % 8 == 0, 0.0004 * (draws[1] - 0.4), 0.0)
    known = np.repeat(rate[::8], 8)[:BARS]
    arrays = {
        **columns,
        "valid": valid,
        "funding_due": rate,
        "funding": known,
        "sentiment": 100.0 * draws[3],
    }
    for array in arrays.values():
        array.flags.writeable = False
    return SymbolSeries(
        instrument=Instrument(symbol, symbol.removesuffix("USDT"), tick=0.01, lot=0.001),
        first=first,
        last=last,
        has_funding=True,
        **arrays,
    )


def _uniform(count: int, stream: int) -> Floats:
    """Numbers in [0, 1) from the SplitMix64 sequence of a stream (Steele et al., 2014)."""
    mask = (1 << 64) - 1
    state = stream * 0x9E3779B97F4A7C15 & mask
    out = np.empty(count, dtype=np.float64)
    for i in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        out[i] = ((z ^ (z >> 31)) >> 11) * 2.0**-53
    return out


def _math_hash(panel: Panel) -> str:
    """Functions of numpy whose last bit depends on the processor or the build."""
    x = panel.symbols[0].volume
    x = x[np.isfinite(x)]
    ratio = x / 50.0
    sums = np.array([x.sum(), x.mean(), x.std(ddof=1), np.median(x), float(np.dot(x, ratio))])
    return array_hash(
        np.log(x), np.exp(ratio), np.sqrt(x), np.sin(x), np.tanh(ratio), x**0.37, sums
    )


def _primitive_hashes(panel: Panel) -> Iterator[str]:
    """Hash of each primitive that can be called with ordinary operands."""
    values = SeriesEvaluator(panel, 0, NodeCache(_CACHE_BYTES))
    for name in sorted(OPS):
        node = _sample_node(OPS[name])
        if node is not None:
            yield f"{node.text} {array_hash(values.value(node))}"


def _sample_node(op: Op) -> Node | None:
    """Apply a primitive to the bars' fields; None if it has parameters of a special kind."""
    if any(name not in _PARAMS for name in op.params):
        return None
    numbers = iter([series(f) for f in ("high", "low", "close", "volume")])
    rising = series("close") > series("open")
    busy = series("volume") > 50.0
    truths = iter([rising, busy])
    operands = tuple(next(numbers) if kind == "n" else next(truths) for kind in op.args)
    return Node(op.name, operands, tuple(_PARAMS[name] for name in op.params))
