"""The node cache: series by node text, bounded in memory, least recently used out first."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict

import numpy as np

from genesis.strategy.node import Array

Scope = tuple[str, int, int, int]
Key = tuple[int, str]

BRIEF_BYTES = 2 << 20
"""Most bytes for brief entries: they are worth keeping only while a processor's cache has them."""
_SHARE = 8
_ENTRY_BYTES = 256
# References to an array that nobody else holds: the variable at hand and the call that counts.
_ALONE = 2


class NodeCache:
    """Arrays of nodes, shared by every genome that a worker evaluates on a symbol.

    Two tiers keep what is expensive. Results of kernels with state and conditions are *lasting*;
    elementwise arithmetic, cheap to redo and rarely shared between genomes, is *brief* and never
    displaces an indicator. Memory of arrays that were dropped is kept and handed out again, since
    touching fresh pages costs more than most kernels.

    Parameters
    ----------
    max_bytes : int
        Limit on the accounted bytes: 8 a bar for numbers, 1 for truth, and a fixed amount per
        entry, spare arrays included. An array that does not fit its tier is not kept.

    Attributes
    ----------
    hits, misses, evictions : int
        Counts since the cache was made.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"a cache cannot hold {max_bytes} bytes")
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._scopes: dict[Scope, int] = {}
        share = max_bytes // _SHARE
        self._limits = (max_bytes - share, min(share, BRIEF_BYTES))
        self._held = [0, 0]
        self._tiers: tuple[OrderedDict[Key, Array], OrderedDict[Key, Array]] = (
            OrderedDict(),
            OrderedDict(),
        )
        self._spare: defaultdict[tuple[int, int], list[Array]] = defaultdict(list)
        self._spare_bytes = 0

    def __len__(self) -> int:
        return len(self._tiers[0]) + len(self._tiers[1])

    @property
    def bytes(self) -> int:
        """Bytes accounted for now, spare arrays included, never above `max_bytes`."""
        return self._held[0] + self._held[1] + self._spare_bytes

    def scope(self, dataset_hash: str, start_ms: int, bars: int, symbol: int) -> int:
        """Number that keeps the entries of one symbol and stretch of data apart from others."""
        key = (dataset_hash, start_ms, bars, symbol)
        return self._scopes.setdefault(key, len(self._scopes))

    def get(self, key: Key) -> Array | None:
        """Array of (scope, node text), or None; counts a hit or a miss."""
        for tier in self._tiers:
            found = tier.get(key)
            if found is not None:
                tier.move_to_end(key)
                self.hits += 1
                return found
        self.misses += 1
        return None

    def empty(self, bars: int, *, truth: bool) -> Array:
        """An array with any contents, to be filled and `put`: int8 for truth, else float64."""
        spare = self._spare.get((1 if truth else 8, bars))
        if spare:
            array = spare.pop()
            self._spare_bytes -= array.nbytes + _ENTRY_BYTES
            return array
        return np.empty(bars, dtype=np.int8 if truth else np.float64)

    def put(self, key: Key, array: Array, *, brief: bool = False) -> None:
        """Keep an array, dropping the least recently used of its tier until it fits.

        The cache owns the array from now on. Whoever holds it or a view of it keeps it intact:
        memory is used again only when nobody does.
        """
        place = int(brief)
        tier, limit = self._tiers[place], self._limits[place]
        need = array.nbytes + _ENTRY_BYTES
        if need > limit or key in tier:
            return
        while self._held[place] + need > limit:
            _, old = tier.popitem(last=False)
            self._held[place] -= old.nbytes + _ENTRY_BYTES
            self.evictions += 1
            if sys.getrefcount(old) == _ALONE:
                self._keep_spare(old)
        tier[key] = array
        self._held[place] += need
        self._trim()

    def clear(self, scope: int | None = None) -> None:
        """Drop everything, or the entries of one scope when its symbol is done."""
        for place, tier in enumerate(self._tiers):
            for key in [k for k in tier if scope is None or k[0] == scope]:
                old = tier.pop(key)
                self._held[place] -= old.nbytes + _ENTRY_BYTES
                if sys.getrefcount(old) == _ALONE:
                    self._keep_spare(old)
        self._trim()

    def _keep_spare(self, array: Array) -> None:
        self._spare[array.itemsize, array.size].append(array)
        self._spare_bytes += array.nbytes + _ENTRY_BYTES

    def _trim(self) -> None:
        """Give spare memory back, longest kept sizes first, until the limit holds."""
        while self.bytes > self.max_bytes:
            size = next(iter(self._spare))
            if self._spare[size]:
                self._spare_bytes -= self._spare[size].pop().nbytes + _ENTRY_BYTES
            if not self._spare[size]:
                del self._spare[size]
