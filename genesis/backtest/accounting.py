"""vectorbt on the order axis: rows are orders, not bars. The only importer of vectorbt.

The Rust engine is called without `import vectorbt`, which takes seconds where `vectorbt_rust`
takes milliseconds (see `genesis.backtest.records`). Without the Rust wheel the numba engine of
vectorbt does the same work with the same numbers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.passes import O_FEE, O_PRICE, O_SIZE, O_SLIPPAGE
from genesis.backtest.records import ORDER, record_types
from genesis.domain.errors import ConfigError, GenesisError

Floats = npt.NDArray[np.float64]
Records = npt.NDArray[Any]

ENGINES = ("auto", "rust", "numba")

CASH = 1e15
"""Cash of each account: never binds, and enters no record."""

CHUNK = 16
"""Columns per call. Genomes are grouped by their number of orders, so padding stays small."""


def engine_name(wanted: str = "auto") -> str:
    """``rust`` or ``numba``: the engine that a wish comes down to on this machine.

    Raises
    ------
    ConfigError
        If the engine is unknown or not installed.
    """
    if wanted not in ENGINES:
        raise ConfigError(f"unknown engine '{wanted}'", fix=f"use one of {', '.join(ENGINES)}")
    has_rust = importlib.util.find_spec("vectorbt_rust") is not None
    if wanted == "rust" and not has_rust:
        raise ConfigError(
            "the Rust engine of vectorbt is not installed", fix="pip install vectorbt-rust"
        )
    if wanted == "auto":
        return "rust" if has_rust else "numba"
    return wanted


@cache
def _simulator(engine: str) -> Callable[..., Any]:
    if engine == "rust":
        from vectorbt_rust.portfolio import simulate_from_orders_rs

        return simulate_from_orders_rs  # type: ignore[no-any-return]
    from vectorbt.portfolio.nb import simulate_from_orders_nb

    return simulate_from_orders_nb  # type: ignore[no-any-return]


def _flex(value: Any, dtype: type) -> npt.NDArray[Any]:
    return np.array([[value]], dtype=dtype)


_AMOUNT, _BOTH = _flex(0, np.int64), _flex(2, np.int64)
_ZERO, _INF, _NAN = _flex(0.0, np.float64), _flex(np.inf, np.float64), _flex(np.nan, np.float64)
_FALSE, _TRUE = _flex(False, np.bool_), _flex(True, np.bool_)


def _arguments(size: Floats, price: Floats, fee: Floats, slippage: Floats) -> tuple[Any, ...]:
    """Positional arguments of vectorbt's ``simulate_from_orders``, in its order."""
    rows, accounts = size.shape
    return (
        (rows, accounts),
        np.ones(accounts, dtype=np.int64),
        np.full(accounts, CASH),
        np.zeros((rows, accounts), dtype=np.int64),
        size,
        price,
        _AMOUNT,
        _BOTH,
        fee,
        _ZERO,  # fixed fees
        slippage,
        _ZERO,  # least size
        _INF,  # greatest size
        _NAN,  # granularity: sizes are rounded before
        _ZERO,  # chance of rejection
        _FALSE,  # lock cash
        _TRUE,  # allow partial
        _FALSE,  # raise on rejection
        _FALSE,  # log
        _INF,  # valuation price: the order's own
        price,
    )


def simulate(size: Floats, price: Floats, fee: Floats, slippage: Floats, *, engine: str) -> Records:
    """Execute a rectangle of orders, one account a column, NaN size for no order.

    Parameters
    ----------
    size, price, fee, slippage : float64, shape (rows, accounts)
        Signed size in base units, reference price, fee and slippage rates.
    engine : {"rust", "numba"}

    Returns
    -------
    structured array
        vectorbt's order records in column order: id, col, idx, size, price, fees, side.
    """
    rows, accounts = size.shape
    arguments = _arguments(size, price, fee, slippage)
    run = _simulator(engine)
    with record_types():
        records, _ = run(*arguments, max_orders=rows * accounts, max_logs=0)
    return records  # type: ignore[no-any-return]


def account(books: Sequence[Floats], *, engine: str) -> list[Records]:
    """Execution records of each order book.

    Parameters
    ----------
    books : sequence of float64, shape (n_i, 4)
        Columns as in `genesis.backtest.passes`.
    engine : {"rust", "numba"}

    Returns
    -------
    list of structured arrays
        One record an order, in the order of the book.

    Raises
    ------
    GenesisError
        If an order was not executed as requested; vectorbt cuts or drops orders silently.
    """
    out: list[Records] = [np.empty(0, dtype=ORDER)] * len(books)
    by_length = sorted(range(len(books)), key=lambda i: len(books[i]))
    for start in range(0, len(books), CHUNK):
        part = by_length[start : start + CHUNK]
        rows = len(books[part[-1]])
        if rows == 0:
            continue
        grid = np.empty((4, rows, len(part)))
        grid[O_SIZE] = np.nan
        grid[O_PRICE] = 1.0
        grid[O_FEE:] = 0.0
        for column, i in enumerate(part):
            grid[:, : len(books[i]), column] = books[i].T
        records = simulate(
            grid[O_SIZE], grid[O_PRICE], grid[O_FEE], grid[O_SLIPPAGE], engine=engine
        )
        ends = np.cumsum([len(books[i]) for i in part])
        if len(records) != ends[-1]:
            raise _mismatch(f"{ends[-1]} orders were requested and {len(records)} executed")
        _check_sizes(records, np.concatenate([books[i][:, O_SIZE] for i in part]))
        for i, stop in zip(part, ends, strict=True):
            out[i] = records[stop - len(books[i]) : stop]
    return out


def _check_sizes(records: Records, wanted: Floats) -> None:
    signed = np.where(records["side"] == 0, records["size"], -records["size"])
    wrong = np.flatnonzero(signed != wanted)
    if wrong.size:
        k = int(wrong[0])
        raise _mismatch(f"an order asked for {wanted[k]!r} and got {signed[k]!r}")


def _mismatch(detail: str) -> GenesisError:
    return GenesisError(
        "the accounting engine did not execute an order as requested",
        why=detail,
        fix="report this with the strategy and dataset hash; no number of this block is valid",
    )
