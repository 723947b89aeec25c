"""Live driver: the same kernels as in research, fed block by block, with their state carried."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from genesis.domain.errors import DataError, StrategyError
from genesis.market.panel import Panel
from genesis.strategy.node import OPS, Array, Floats, Node
from genesis.strategy.series import field_array, fold, unique_nodes
from genesis.strategy.tape import Step, Tape

SCHEMA = 1


class BlockRunner:
    """Values of several nodes, block by block; equal bit for bit to one pass over the series.

    Parameters
    ----------
    nodes : sequence of Node
        What to compute; shared parts are computed once. The nodes of several strategies on one
        symbol are best given to one runner; none can be added later, since a kernel that starts
        later would not agree with research.
    panel : Panel, optional
        Where `advance` reads its bars; not needed for `feed`.
    symbol : int
        Place of the traded symbol in that panel.

    Attributes
    ----------
    bars : int
        Bars read so far.
    """

    def __init__(self, nodes: Sequence[Node], panel: Panel | None = None, symbol: int = 0) -> None:
        self.bars = 0
        self._nodes = tuple(nodes)
        self._panel = panel
        self._symbol = symbol
        self._fields: list[tuple[Node, int]] = []
        self._constants: list[tuple[Node, int]] = []
        self._steps: list[Step] = []
        found = unique_nodes(*nodes)
        found.sort(key=lambda node: node.op != "field")  # a bar's values come first
        self._places = {node.text: place for place, node in enumerate(found)}
        sizes = [OPS[n.op].state_size(n.params) if _computed(n) else 0 for n in found]
        self._state: Floats = np.zeros(sum(sizes))
        self._tape: Tape | None = None
        start = 0
        for place, (node, size) in enumerate(zip(found, sizes, strict=True)):
            if node.op == "field":
                self._fields.append((node, place))
            elif node.constant:
                self._constants.append((node, place))
            else:
                self._steps.append(self._step(node, place, start, size))
            start += size

    def _step(self, node: Node, place: int, start: int, size: int) -> Step:
        op = OPS[node.op]
        inputs: list[int | float] = [
            fold(a) if op.elementwise and a.constant else self._places[a.text] for a in node.args
        ]
        return Step(op, node, place, inputs, start, self._state[start : start + size])

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that a block must hold, such as ``close`` or ``close@ETHUSDT``."""
        return tuple(node.text for node, _ in self._fields)

    def feed(self, block: Mapping[str, Array], bars: int | None = None) -> list[Array]:
        """Read the next bars and return the block's values of each node, in the nodes' order.

        Parameters
        ----------
        block : mapping of field to array, each of shape (B,)
            One array for each of `fields`, NaN where the bar is missing; others are ignored.
        bars : int, optional
            B, needed only where no node reads a field.

        Returns
        -------
        list of read-only arrays, shape (B,)

        Raises
        ------
        DataError
            If a field is missing or the arrays differ in length. No state has changed then.
        """
        values: list[Array] = [np.empty(0)] * len(self._places)
        length = bars
        for node, place in self._fields:
            if node.text not in block:
                raise DataError(
                    f"the block has no field '{node.text}'", fix=f"give {', '.join(self.fields)}"
                )
            array = np.array(block[node.text], dtype=np.float64, ndmin=1)
            if array.ndim != 1 or length not in (None, array.size):
                raise DataError(f"field '{node.text}' has shape {array.shape}, not ({length},)")
            length = array.size
            values[place] = array
        if length is None:
            raise DataError("no field tells how long the block is", fix="pass bars")
        for node, place in self._constants:
            dtype = np.int8 if node.boolean else np.float64
            values[place] = np.full(length, fold(node), dtype=dtype)
        for step in self._steps:
            out: Array = np.empty(length, dtype=np.int8 if step.op.boolean else np.float64)
            inputs = [values[i] if isinstance(i, int) else i for i in step.inputs]
            step.op.run(inputs, step.node.params, step.state, out)
            values[step.place] = out
        self.bars += length
        return [self._view(values[self._places[n.text]]) for n in self._nodes]

    def feed_bar(self, bar: Sequence[float]) -> tuple[float | int, ...]:
        """Read the next bar: the same bits as `feed` on a block of one, many times faster.

        Parameters
        ----------
        bar : sequence of float
            One value for each of `fields`, in their order, NaN where the bar is missing.

        Returns
        -------
        tuple
            Value of each node in the nodes' order: a float, or 1, 0 or -1 of a condition.

        Raises
        ------
        DataError
            If the values are not as many numbers as there are fields. No state has changed then.

        Notes
        -----
        The first call of a process compiles what its cache folder does not hold yet. Bars and
        blocks can be fed in any mixture.
        """
        if self._tape is None:
            self._tape = Tape(
                self._steps,
                self._places,
                self._constants,
                len(self._fields),
                self._nodes,
                self._state,
            )
        values = self._tape.feed(bar)
        self.bars += 1
        return values

    @staticmethod
    def _view(array: Array) -> Array:
        view = array.view()
        view.flags.writeable = False
        return view

    def advance(self, stop: int) -> list[Array]:
        """Read the panel's bars up to `stop` (exclusive), from where the last block ended.

        Raises
        ------
        DataError
            If there is no panel, or the bars are not ahead of it or beyond its end.
        """
        if self._panel is None:
            raise DataError("the runner was made without a panel", fix="use feed")
        if not self.bars <= stop <= self._panel.bars:
            raise DataError(
                f"cannot advance to bar {stop}",
                why=f"{self.bars} of {self._panel.bars} bars are read",
            )
        start = self.bars
        block = {
            node.text: field_array(self._panel, self._symbol, node, start, stop)
            for node, _ in self._fields
        }
        return self.feed(block, stop - start)

    def snapshot(self) -> bytes:
        """State of every kernel: one line of JSON, then the states as little-endian float64."""
        head = {
            "schema": SCHEMA,
            "bars": self.bars,
            "nodes": [n.text for n in self._nodes],
            "states": [[s.node.text, s.state.size] for s in self._steps if s.state.size],
        }
        states = [s.state.astype("<f8").tobytes() for s in self._steps]
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + b"".join(states)

    @property
    def state_hash(self) -> str:
        """SHA-256 (hex) of `snapshot`."""
        return hashlib.sha256(self.snapshot()).hexdigest()

    def restore(self, data: bytes, state_hash: str | None = None) -> None:
        """Continue from a snapshot of a runner of the same nodes.

        Parameters
        ----------
        data : bytes
            From `snapshot`.
        state_hash : str, optional
            What the data must hash to.

        Raises
        ------
        StrategyError
            If the data is damaged, or from other nodes or another layout of their state. The
            runner is unchanged then.
        """
        if state_hash is not None and hashlib.sha256(data).hexdigest() != state_hash:
            raise StrategyError("the kernel state does not match its hash", fix=_REPLAY)
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            bars = head["bars"]
            found = (head["schema"], head["nodes"], head["states"])
        except (ValueError, KeyError, TypeError):
            raise StrategyError("not a snapshot of kernel state", fix=_REPLAY) from None
        own = json.loads(self.snapshot().partition(b"\n")[0])
        if found != (own["schema"], own["nodes"], own["states"]) or not _is_count(bars):
            raise StrategyError("the kernel state is of other nodes", fix=_REPLAY)
        if len(body) != 8 * sum(s.state.size for s in self._steps):
            raise StrategyError("the kernel state is cut off", fix=_REPLAY)
        values = np.frombuffer(body, dtype="<f8")
        start = 0
        for step in self._steps:
            step.state[:] = values[start : start + step.state.size]
            start += step.state.size
        self.bars = bars


def _computed(node: Node) -> bool:
    return node.op != "field" and not node.constant


_REPLAY = "run the strategy again from its anchor bar"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
