"""The panel in memory that processes share: anonymous, so that nothing can be left behind.

The segment has no name. Workers inherit its file descriptor and map it read-only; the kernel
frees it with the last descriptor, however the processes end. Named segments would survive a
killed driver.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.instrument import Instrument
from genesis.market.panel import ARRAYS, Panel, SymbolSeries

_ALIGNMENT = 64

Array = npt.NDArray[Any]


def share_panel(panel: Panel) -> tuple[int, dict[str, Any]]:
    """Copy a panel's arrays into an anonymous segment.

    Returns
    -------
    descriptor : int
        Of the segment; the caller closes it.
    layout : dict
        Plain description from which `attach_panel` rebuilds the panel.

    Raises
    ------
    OSError
        If there is not enough memory.
    """
    arrays: dict[str, Array] = {"ts_ms": panel.ts_ms}
    for place, series in enumerate(panel.symbols):
        arrays |= {f"{place}.{name}": getattr(series, name) for name in ARRAYS}
    spans: dict[str, list[Any]] = {}
    size = 0
    for key, array in arrays.items():
        size = -(-size // _ALIGNMENT) * _ALIGNMENT
        spans[key] = [size, array.dtype.str, array.size]
        size += array.nbytes
    size = max(size, _ALIGNMENT)
    descriptor = _anonymous_segment(size)
    with mmap.mmap(descriptor, size) as segment:
        for key, array in arrays.items():
            offset = spans[key][0]
            segment[offset : offset + array.nbytes] = np.ascontiguousarray(array).tobytes()
    layout = {
        "size": size,
        "spans": spans,
        "name": panel.name,
        "venue": panel.venue,
        "interval_ms": panel.interval_ms,
        "dataset_hash": panel.dataset_hash,
        "symbols": [
            {
                "instrument": asdict(s.instrument),
                "first": s.first,
                "last": s.last,
                "has_funding": s.has_funding,
            }
            for s in panel.symbols
        ],
    }
    return descriptor, layout


def attach_panel(descriptor: int, layout: Mapping[str, Any]) -> Panel:
    """Map a shared panel; its arrays are read-only views."""
    segment = mmap.mmap(descriptor, layout["size"], access=mmap.ACCESS_READ)

    def array(key: str) -> Array:
        offset, dtype, count = layout["spans"][key]
        return np.frombuffer(segment, dtype=np.dtype(dtype), count=count, offset=offset)

    return Panel(
        name=layout["name"],
        venue=layout["venue"],
        interval_ms=layout["interval_ms"],
        ts_ms=array("ts_ms"),
        symbols=tuple(
            SymbolSeries(
                instrument=Instrument(**meta["instrument"]),
                first=meta["first"],
                last=meta["last"],
                has_funding=meta["has_funding"],
                **{name: array(f"{place}.{name}") for name in ARRAYS},
            )
            for place, meta in enumerate(layout["symbols"])
        ),
        dataset_hash=layout["dataset_hash"],
    )


def _anonymous_segment(size: int) -> int:
    """Descriptor of ``size`` bytes that no name leads to."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("genesis-panel")
    else:  # not on every POSIX system; a file that is already unlinked serves as well
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
