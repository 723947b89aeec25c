"""Tables beside the events, in the same file and transaction, declared where they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = tuple[str, tuple[Any, ...]]
"""Name of a table and the values of all its columns, in their order."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the store.

    Attributes
    ----------
    name : str
    columns : mapping of str to str
        Column to SQLite type, in order. Money is TEXT (a Decimal's own spelling), times INTEGER.
    key : sequence of str
        Primary key: a later row with the same key replaces the earlier one.
    indexes : sequence of sequences of str
        Columns of further indexes.
    """

    name: str
    columns: Mapping[str, str]
    key: Sequence[str]
    indexes: Sequence[Sequence[str]] = ()
