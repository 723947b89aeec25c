"""The record types that vectorbt's Rust engine asks Python for, without importing vectorbt.

The engine of vectorbt-rust 1.2.0 imports ``vectorbt.portfolio.enums`` in every simulation, only to
read the numpy types `order_dt` and `log_dt`; that pulls in the whole package (plotly, quantstats,
scipy, ccxt) and takes 5 to 12 seconds in every worker. Inside `record_types` that name is a small
module with the two types, unless the real one is there already. A test holds them equal to
vectorbt's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np

ORDER = np.dtype(
    [(name, np.int64) for name in ("id", "col", "idx")]
    + [(name, np.float64) for name in ("size", "price", "fees")]
    + [("side", np.int64)],
    align=True,
)

_STATE = ("cash", "position", "debt", "free_cash", "val_price", "value")
_RATES = ("fees", "fixed_fees", "slippage", "min_size", "max_size", "size_granularity")

LOG = np.dtype(
    [(name, np.int64) for name in ("id", "group", "col", "idx")]
    + [(name, np.float64) for name in (*_STATE, "req_size", "req_price")]
    + [(name, np.int64) for name in ("req_size_type", "req_direction")]
    + [(f"req_{name}", np.float64) for name in (*_RATES, "reject_prob")]
    + [(f"req_{name}", np.bool_) for name in ("lock_cash", "allow_partial", "raise_reject", "log")]
    + [(f"new_{name}", np.float64) for name in _STATE]
    + [(f"res_{name}", np.float64) for name in ("size", "price", "fees")]
    + [(f"res_{name}", np.int64) for name in ("side", "status", "status_info")]
    + [("order_id", np.int64)],
    align=True,
)


def _small_modules() -> dict[str, ModuleType]:
    names = ("vectorbt", "vectorbt.portfolio", "vectorbt.portfolio.enums")
    package, portfolio, enums = (ModuleType(name) for name in names)
    package.portfolio = portfolio  # type: ignore[attr-defined]
    portfolio.enums = enums  # type: ignore[attr-defined]
    enums.order_dt, enums.log_dt = ORDER, LOG  # type: ignore[attr-defined]
    return dict(zip(names, (package, portfolio, enums), strict=True))


_MODULES = _small_modules()


@contextmanager
def record_types() -> Iterator[None]:
    """Answer an import of ``vectorbt.portfolio.enums`` with the two types, while inside.

    Does nothing where vectorbt is imported already. Not for several threads at once: an import of
    vectorbt by another thread meanwhile would meet the small module.
    """
    if "vectorbt" in sys.modules:
        yield
        return
    sys.modules.update(_MODULES)
    try:
        yield
    finally:
        for name in _MODULES:
            sys.modules.pop(name, None)
