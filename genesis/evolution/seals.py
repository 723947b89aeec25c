"""Sealed spans: data that a study kept back, and that no later study of others may search.

A span belongs to a base asset and a stretch of time, across venues and intervals, because BTC on
another exchange or at another interval is the same market. A study that asks for the same seal
again (same base, same start or earlier) is not refused: it keeps the span sealed too.

Who looks at a sealed span on purpose leaves a record of it beside the seals, under ``openings``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError, StorageError
from genesis.domain.timeline import DAY_MS, format_ts
from genesis.evolution.files import read_json, write_json
from genesis.evolution.openings import Opening, Seal
from genesis.market.atomic_file import exclusive
from genesis.market.panel import Panel

__all__ = ["Opening", "Seal", "SealRegistry", "sealed_bases", "sealed_names"]

SCHEMA = 1


def sealed_bases(panel: Panel) -> list[str]:
    """Names under which a panel's symbols are sealed and their trials counted."""
    return sealed_names(panel.venue, [series.instrument.base for series in panel.symbols])


def sealed_names(venue: str, bases: Sequence[str]) -> list[str]:
    """Names of a venue's base assets; synthetic ones share names, not markets, with real ones."""
    prefix = "synth:" if venue == "synth" else ""
    return [prefix + base for base in bases]


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
        return [Seal(**row) for row in self._document()["seals"]]

    def openings(self) -> list[Opening]:
        """Every look at sealed bars, in order."""
        rows = self._document().get("openings", [])
        return [Opening.from_plain(row) for row in rows]

    def openings_of(self, bases: Sequence[str], span: tuple[int, int]) -> list[Opening]:
        """Every look at sealed bars of some bases within a span, in order.

        A look by hand counts by the seals that it opened.
        """
        seals = self.seals()
        wanted = set(bases)

        def meets(opening: Opening) -> bool:
            spans = [(set(opening.bases), opening.start_ms, opening.end_ms)]
            if opening.purpose != "gate":
                spans = [
                    ({seal.base}, seal.start_ms, seal.end_ms)
                    for seal in seals
                    if seal.study in opening.studies
                ]
            return any(
                held & wanted and start < span[1] and span[0] < end for held, start, end in spans
            )

        return [opening for opening in self.openings() if meets(opening)]

    def reached(self, bases: Sequence[str], span: tuple[int, int]) -> list[Seal]:
        """Seals on any of the bases that a span ``[start, end)`` overlaps, earliest first."""
        hits = [
            seal
            for seal in self.seals()
            if seal.base in bases and seal.start_ms < span[1] and span[0] < seal.end_ms
        ]
        return sorted(hits, key=lambda seal: (seal.start_ms, seal.base, seal.study))

    def open_sealed(
        self, strategy: str, dataset: str, seals: Sequence[Seal], clock: Clock
    ) -> Opening:
        """Put on record that a strategy is about to be tried on sealed bars.

        Parameters
        ----------
        strategy : str
            Its id.
        dataset : str
            Spelling of the dataset.
        seals : sequence of Seal
            The seals that are opened.
        clock : Clock
            Gives the record its time.

        Raises
        ------
        StorageError
            If the record cannot be written; nothing may be looked at then.
        """
        studies = tuple(sorted({seal.study for seal in seals}))
        return self._add(Opening(strategy, dataset, clock.now_ms(), studies))

    def open_for_gate(
        self,
        strategy: str,
        dataset: str,
        bases: Sequence[str],
        span: tuple[int, int],
        clock: Clock,
    ) -> Opening:
        """Put on record that the sealed gate is about to try a strategy; `close` follows.

        Raises
        ------
        StorageError
            If the record cannot be written; nothing may be looked at then.
        """
        studies = tuple(sorted({seal.study for seal in self.reached(bases, span)}))
        held = tuple(sorted(set(bases)))
        return self._add(
            Opening(strategy, dataset, clock.now_ms(), studies, "gate", held, span[0], span[1])
        )

    def close(self, opening: Opening, numbers: dict[str, Any]) -> Opening:
        """Add what a gate's look gave to its record; what another process added first stays.

        Raises
        ------
        StorageError
            If the record is gone or cannot be written.
        """
        with exclusive(self.path.with_suffix(".lock")):
            document = self._document()
            rows = document.get("openings", [])
            for place, row in enumerate(rows):
                held = Opening.from_plain(row)
                if held.look != opening.look:
                    continue
                if held.numbers is None:
                    held = replace(held, numbers=numbers)
                    rows[place] = asdict(held)
                    write_json(self.path, document)
                return held
        raise StorageError(
            f"the record of opening sealed bars for {opening.strategy} is gone",
            why=f"{self.path} was changed meanwhile",
            fix="restore the file from a copy",
        )

    def _add(self, opening: Opening) -> Opening:
        with exclusive(self.path.with_suffix(".lock")):
            document = self._document()
            document.setdefault("openings", []).append(asdict(opening))
            write_json(self.path, document)
        return opening

    def refuse_overlap(
        self, study: str, bases: Sequence[str], searched: tuple[int, int], end_ms: int
    ) -> None:
        """Refuse what `register` would refuse, and write nothing.

        Parameters
        ----------
        study, bases, searched
            As for `register`.
        end_ms : int
            End of the dataset.

        Raises
        ------
        RefusedError
        """
        _refuse_overlap(self.seals(), study, set(bases), searched, end_ms)

    def _document(self) -> dict[str, Any]:
        if not self.path.exists():
            return {"schema": SCHEMA, "seals": []}
        document: dict[str, Any] = read_json(self.path)
        return document

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
            _refuse_overlap(self.seals(), study, set(bases), searched, sealed[1])
            return self._seal(study, dataset, bases, sealed)

    def adopt(
        self, study: str, dataset: str, bases: Sequence[str], sealed: tuple[int, int]
    ) -> list[Seal]:
        """Seal the tail of a study that was run elsewhere: what it searched is done already.

        Parameters as in `register`.
        """
        with exclusive(self.path.with_suffix(".lock")):
            return self._seal(study, dataset, bases, sealed)

    def take(self, seals: Sequence[Seal], openings: Sequence[Opening]) -> None:
        """Take over the seals of another workspace and what was opened there, in its order.

        What is here already stays as it is, so that doing it again changes nothing.
        """
        with exclusive(self.path.with_suffix(".lock")):
            document = self._document()
            held = {Seal(**row) for row in document["seals"]}
            rows = document.setdefault("openings", [])
            looks = {Opening.from_plain(row).look for row in rows}
            new = [asdict(seal) for seal in seals if seal not in held]
            more = [asdict(opening) for opening in openings if opening.look not in looks]
            if new or more:
                document["seals"] += new
                rows += more
                write_json(self.path, document)

    def _seal(
        self, study: str, dataset: str, bases: Sequence[str], sealed: tuple[int, int]
    ) -> list[Seal]:
        """Write the seals of a study that are not there yet; the lock is held."""
        document = self._document()
        known = [Seal(**row) for row in document["seals"]]
        own = [Seal(base, sealed[0], sealed[1], study, dataset) for base in sorted(set(bases))]
        new = [seal for seal in own if seal not in known]
        if new and sealed[0] < sealed[1]:
            document["seals"] += [asdict(seal) for seal in new]
            write_json(self.path, document)
        return own


def _refuse_overlap(
    known: Sequence[Seal], study: str, bases: set[str], searched: tuple[int, int], end_ms: int
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
        fix=f"{_earlier_end(first.start_ms, searched, end_ms)}or, for data that has nothing to do"
        f" with {', '.join(who)}, work in another workspace: genesis --home FOLDER evolve CONFIG",
    )


def _earlier_end(seal_ms: int, searched: tuple[int, int], end_ms: int) -> str:
    """Latest whole day on which the dataset may end, so that its searched part stops in time."""
    start = searched[0]
    if seal_ms <= start:
        return "choose a dataset whose searched part lies outside that span, "
    # The searched part keeps its share of the dataset; a day less covers the rounding to bars.
    whole = (seal_ms - start) * (end_ms - start) // (searched[1] - start)
    day = (start + whole) // DAY_MS * DAY_MS - DAY_MS
    if day <= start:
        return f"end the dataset so that its searched part stops by {format_ts(seal_ms)}, "
    return f"end the dataset by {format_ts(day)[:10]} (dataset.to), "
