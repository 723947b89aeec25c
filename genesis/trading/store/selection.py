"""Which events are wanted, as SQL for the live log and as a mask for archived segments."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from genesis.domain.errors import InputError
from genesis.trading.events import EventType

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions on events, all of which must hold.

    Attributes
    ----------
    types : tuple of str
        Any of these; empty for all.
    aggregate, correlation : str or None
    since_ms, until_ms : int or None
        Bounds of ``ts_ms``, both inclusive.
    """

    types: tuple[str, ...] = ()
    aggregate: str | None = None
    correlation: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        keys = (self.aggregate, self.correlation)
        return not self.types and keys == (None, None) and self.timeless

    @property
    def timeless(self) -> bool:
        """Whether it says nothing about time."""
        return self.since_ms is None and self.until_ms is None

    @property
    def keyed(self) -> bool:
        """Whether an index on a key finds its events."""
        return bool(self.types or self.aggregate or self.correlation)

    @property
    def span(self) -> tuple[int, int]:
        """Bounds of ``ts_ms``, open ends as the least and greatest integer."""
        since = _LEAST if self.since_ms is None else self.since_ms
        return since, _MOST if self.until_ms is None else self.until_ms

    def query(self, *, newest_first: bool) -> tuple[str, dict[str, object]]:
        """SQL of one page between two numbers, in the order of the log.

        Returns
        -------
        sql : str
            It wants three further bindings: ``low``, ``high`` and ``limit``.
        bindings : dict
            Values of its conditions.
        """
        order = "DESC" if newest_first else "ASC"
        common, values = self._conditions()
        direct = self.aggregate or self.correlation
        if not self.types or direct:
            if self.types:
                # The unary plus keeps SQLite at the index that narrows most.
                marks = ", ".join(f":type{i}" for i in range(len(self.types)))
                common.append(f"+type IN ({marks})")
            parts = [common]
        else:
            # One arm a type, merged in order: an index lookup each, and nothing is sorted.
            parts = [[f"type = :type{i}", *common] for i in range(len(self.types))]
        arms = " UNION ALL ".join(
            f"SELECT * FROM events WHERE {' AND '.join(conditions)}"  # noqa: S608
            for conditions in parts
        )
        return f"{arms} ORDER BY seq {order} LIMIT :limit", values

    def _conditions(self) -> tuple[list[str], dict[str, object]]:
        conditions = ["seq BETWEEN :low AND :high"]
        values: dict[str, object] = {f"type{i}": name for i, name in enumerate(self.types)}
        for name in ("aggregate", "correlation"):
            value = getattr(self, name)
            if value is not None:
                values[name] = value
                conditions.append(f"{name} = :{name}")
                if value:
                    conditions.append(f"{name} <> ''")  # what the partial index says
        if not self.timeless:
            values["since"], values["until"] = self.span
            conditions.append("+ts_ms BETWEEN :since AND :until")
        return conditions, values

    def mask(self, table: Any) -> Any:
        """Rows of an Arrow table of stored events that are wanted."""
        import pyarrow as pa
        import pyarrow.compute as pc

        conditions = []
        if self.types:
            conditions.append(pc.is_in(table["type"], value_set=pa.array(self.types, pa.string())))
        if self.aggregate is not None:
            conditions.append(pc.equal(table["aggregate"], self.aggregate))
        if self.correlation is not None:
            conditions.append(pc.equal(table["correlation"], self.correlation))
        if self.since_ms is not None:
            conditions.append(pc.greater_equal(table["ts_ms"], self.since_ms))
        if self.until_ms is not None:
            conditions.append(pc.less_equal(table["ts_ms"], self.until_ms))
        wanted = conditions[0]
        for condition in conditions[1:]:
            wanted = pc.and_(wanted, condition)
        return wanted


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Types that a wrong word may mean, the likeliest first: those that have it as a part, too."""
    word = name.lower()
    parts = [one for one in known if word and word in one]
    likely = difflib.get_close_matches(word, parts, n=len(parts) or 1, cutoff=0.0)
    return likely or difflib.get_close_matches(word, known, n=3, cutoff=0.6)


def type_names(types: Collection[str] | None) -> tuple[str, ...]:
    """Names of event types, in a fixed order.

    Raises
    ------
    InputError
        For a word that names none.
    """
    known = [kind.value for kind in EventType]
    for name in types or ():
        if name not in known:
            near = _near(name, known)
            raise InputError(
                f"there is no event type {name!r}"
                + (f" - did you mean {near[0]!r}?" if near else ""),
                fix=f"use one of: {', '.join(near or known)}",
            )
    return tuple(sorted({str(EventType(name)) for name in types or ()}))
