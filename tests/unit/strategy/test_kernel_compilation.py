"""One specialisation a kernel: what one call compiled is all that any expression needs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np

from genesis.market.panel import Panel
from genesis.strategy import kernels, primitives
from genesis.strategy.cache import NodeCache
from genesis.strategy.language import Market, always, clip, cross_up, ema, since, stoch
from genesis.strategy.node import OPS, Node, Op
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.stream import BlockRunner

M = Market()


def run_once(op: Op) -> None:
    """Run a primitive on a block of two bars."""
    sample = {"n": 2, "kernel": 0, "lo": 0.0, "hi": 1.0}
    params = tuple(sample[name] for name in op.params)
    numbers, truth = np.array([1.0, 2.0]), np.array([1, 0], dtype=np.int8)
    out = np.empty(2, dtype=np.int8 if op.boolean else np.float64)
    inputs = [truth if kind == "b" else numbers for kind in op.args]
    op.run(inputs, params, np.zeros(op.state_size(params)), out)


def signatures() -> dict[str, int]:
    """Compiled variants of each kernel."""
    found = {}
    for info in pkgutil.iter_modules(kernels.__path__):
        module = importlib.import_module(f"{kernels.__name__}.{info.name}")
        for name, item in vars(module).items():
            if hasattr(item, "nopython_signatures"):
                found[f"{info.name}.{name}"] = len(item.nopython_signatures)
    return found


def test_nothing_is_compiled_after_each_primitive_ran_once(
    random_panel: Callable[..., Panel],
) -> None:
    built_in = [op for op in OPS.values() if op.run.__module__.startswith(primitives.__name__)]
    assert {"ema", "gt", "stoch", "latch"} <= {op.name for op in built_in}
    for op in built_in:
        run_once(op)
    before = signatures()
    entered = {name: count for name, count in before.items() if "._" not in name}
    assert set(entered.values()) == {1}
    panel = random_panel(60, 1, 0.1)
    for array in (panel.symbols[0].close, panel.symbols[0].high):
        array.flags.writeable = False
    nodes: list[Node] = [
        (ema(M.close, 5) * 1.01 > 2.0 - M.open) & ~cross_up(stoch(M, 5), 20.0),
        (since(M.close > 1, 5) < clip(M.volume, 0, 5)) | always(),
        (1.0 / M.funding >= M.other("ETHUSDT").close) | always(False),
    ]
    series = SeriesEvaluator(panel.sliced(3, 50), 0, NodeCache(1 << 20))
    runner = BlockRunner(nodes, panel)
    values: list[Any] = [series.value(node) for node in nodes]
    assert len(values) == len(runner.advance(1)) == len(runner.advance(60))
    bar = [1.0] * len(runner.fields)
    assert len(BlockRunner(nodes).feed_bar(bar)) == len(nodes)
    assert signatures() == before
