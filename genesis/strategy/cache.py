"""The node cache: series by node text, bounded in memory, least recently used out first."""

from __future__ import annotations

from collections import OrderedDict

from genesis.strategy.node import Array

Scope = tuple[str, int, int, int]
Key = tuple[int, str]

BRIEF_SHARE = 8
"""One in so many bytes is for brief entries."""
_ENTRY_BYTES = 256


class NodeCache:
    """Arrays of nodes, shared by every genome that a worker evaluates on a symbol.

    Two tiers keep what is expensive. Results of kernels with state and conditions are *lasting*;
    elementwise arithmetic, cheap to redo and rarely shared between genomes, is *brief* and gets
    an eighth of the memory, so that it never displaces an indicator.

    Parameters
    ----------
    max_bytes : int
        Limit on the accounted bytes: 8 a bar for numbers, 1 for truth, and a fixed amount per
        entry. An array that does not fit its tier is not kept.

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
        brief = max_bytes // BRIEF_SHARE
        self._limits = (max_bytes - brief, brief)
        self._held = [0, 0]
        self._tiers: tuple[OrderedDict[Key, Array], OrderedDict[Key, Array]] = (
            OrderedDict(),
            OrderedDict(),
        )

    def __len__(self) -> int:
        return len(self._tiers[0]) + len(self._tiers[1])

    @property
    def bytes(self) -> int:
        """Bytes accounted for now, never above `max_bytes`."""
        return self._held[0] + self._held[1]

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

    def put(self, key: Key, array: Array, *, brief: bool = False) -> None:
        """Keep an array, dropping the least recently used of its tier until it fits."""
        place = int(brief)
        tier, limit = self._tiers[place], self._limits[place]
        need = array.nbytes + _ENTRY_BYTES
        if need > limit or key in tier:
            return
        while self._held[place] + need > limit:
            _, old = tier.popitem(last=False)
            self._held[place] -= old.nbytes + _ENTRY_BYTES
            self.evictions += 1
        tier[key] = array
        self._held[place] += need

    def clear(self, scope: int | None = None) -> None:
        """Drop everything, or the entries of one scope when its symbol is done."""
        for place, tier in enumerate(self._tiers):
            if scope is None:
                tier.clear()
                self._held[place] = 0
                continue
            for key in [k for k in tier if k[0] == scope]:
                self._held[place] -= tier.pop(key).nbytes + _ENTRY_BYTES
