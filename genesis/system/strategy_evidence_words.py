"""Words and numbers in which the evidence on a strategy is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from genesis.domain.timeline import format_ts

Rows = Sequence[tuple[str, str]]
Facts = Mapping[str, Any]

LATEST: Final = 30
"""Rows of a long table that the page shows, the latest; ``--json`` has all of them."""
MARKS: Final = {
    "pass": "✓ pass",
    "fail": "✗ fail",
    "reported": "○ reported",
    "not reached": "– not reached",
}
NONE: Final = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a section.

    Attributes
    ----------
    title : str
    columns : tuple of str
        A name that begins with ``#`` is one of numbers, with ``~`` one of long text, without its
        sign.
    rows : tuple of tuple of str
    note : str
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def stacks(self) -> bool:
        """Whether its rows become blocks on a telephone: it has long texts."""
        return any(name.startswith("~") for name in self.columns)


def instant(ts_ms: int | None) -> str:
    """An instant, a dash for none."""
    return format_ts(ts_ms) if ts_ms else NONE


def short(text: Any) -> str:
    """Beginning of a hash, a dash for none."""
    return str(text)[:12] if text else NONE


def figure(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits, no exponent in the usual range."""
    if value is None:
        return NONE
    number = float(value)
    if number.is_integer() and abs(number) < 1e15:
        return f"{int(number):,}"
    return f"{number:.{digits}g}"


def amount(text: str | None) -> str:
    """A size or price from its text, to eight significant digits; ``--json`` has all of them."""
    return NONE if text is None else f"{float(text):.8g}"


def signed(text: str | None) -> str:
    """Money from its text, with sign and cents."""
    return NONE if text is None else f"{float(text):+,.2f}"


def bp(value: float | None) -> str:
    """Basis points, positive where it cost money."""
    return NONE if value is None else f"{value:+.2f} bp"


def share(value: float | None, digits: int = 2) -> str:
    """A fraction as percent."""
    if value is None:
        return NONE
    return f"{value if round(value, digits + 2) else 0.0:.{digits}%}"


def counted(values: Mapping[str, int]) -> str:
    """``3 filled, 1 canceled``."""
    return ", ".join(f"{count:,} {name}" for name, count in values.items()) or "none"


def latest_rows(rows: Iterable[Any], title: str) -> tuple[list[Any], str]:
    """The latest rows of a table, and its title, which says so."""
    every = list(rows)
    if len(every) <= LATEST:
        return every, title
    return every[-LATEST:], f"{title}, the latest {LATEST} of {len(every):,}"


def gate_table(title: str, gates: Sequence[Facts]) -> Table:
    """Gates with value, bound and distance."""
    rows = tuple(
        (
            f"{one['stage']} {one['measure']}" + ("" if one["veto"] else " (reported only)"),
            one["value"],
            one["needs"],
            _distance(one["distance"]),
            MARKS[one["verdict"]],
            f"{one['what']}; {one['note']}" if one["note"] else one["what"],
        )
        for one in gates
    )
    columns = ("Gate", "#Value", "Needs", "#Distance", "Verdict", "~What it is")
    note = "The distance is positive where the bound is met, with that much room."
    return Table(title, columns, rows, note)


def _distance(value: float | None) -> str:
    return NONE if value is None else f"{value:+.3g}" if value else "0"
