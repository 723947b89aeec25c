"""Sealed spans: data that a study kept back, and that no later study of others may search.

A span belongs to a base asset and a stretch of time, across venues and intervals, because BTC on
another exchange or at another interval is the same market. A study that asks for the same seal
again (same base, same start or earlier) is not refused: it keeps the span sealed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from genesis.domain.errors import RefusedError
from genesis.domain.timeline import format_ts
from genesis.evolution.files import read_json, write_json
from genesis.market.atomic_file import exclusive

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Seal:
    """Span ``[start_ms, end_ms)`` of a base asset, sealed by a study."""

    base: str
    start_ms: int
    end_ms: int
    study: str
    dataset: str


class SealRegistry:
    """Sealed spans of a workspace, in one JSON file.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def seals(self) -> list[Seal]:
        """All registered spans in the order of their registration."""
        if not self.path.exists():
            return []
        return [Seal(**row) for row in read_json(self.path)["seals"]]

    def register(
        self,
        study: str,
        dataset: str,
        bases: Sequence[str],
        searched: tuple[int, int],
        sealed: tuple[int, int],
    ) -> list[Seal]:
        """Seal a study's tail, unless its searched part reaches into another study's seal.

        Parameters
        ----------
        study : str
            Id of the run. Its own earlier seals never refuse it.
        dataset : str
            Spelling of the dataset, for people.
        bases : sequence of str
            Base assets of its symbols.
        searched, sealed : tuple of int
            Spans ``[start, end)`` in milliseconds UTC.

        Returns
        -------
        list of Seal
            The study's seals.

        Raises
        ------
        RefusedError
            If the searched span overlaps a span of another study on one of the bases.
        """
        with exclusive(self.path.with_suffix(".lock")):
            known = self.seals()
            _refuse_overlap(known, study, set(bases), searched)
            own = [Seal(base, sealed[0], sealed[1], study, dataset) for base in sorted(set(bases))]
            new = [seal for seal in own if seal not in known]
            if new and sealed[0] < sealed[1]:
                rows = [asdict(seal) for seal in (*known, *new)]
                write_json(self.path, {"schema": SCHEMA, "seals": rows})
            return own


def _refuse_overlap(
    known: Sequence[Seal], study: str, bases: set[str], searched: tuple[int, int]
) -> None:
    hits = [
        seal
        for seal in known
        if seal.study != study
        and seal.base in bases
        and seal.start_ms < searched[1]
        and searched[0] < seal.end_ms
    ]
    if not hits:
        return
    first = min(hits, key=lambda seal: (seal.start_ms, seal.base))
    who = sorted({seal.study for seal in hits})
    raise RefusedError(
        f"the searched part reaches into data sealed by {', '.join(who)}",
        why=f"{first.base} is sealed from {format_ts(first.start_ms)} to"
        f" {format_ts(first.end_ms)}; the study would search to {format_ts(searched[1])}",
        fix=f"end the dataset so that its searched part stops by {format_ts(first.start_ms)}",
    )
