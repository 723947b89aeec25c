"""Sealed spans: data that a study kept back, and that no later study of others may search.

A span belongs to a base asset and a stretch of time, across venues and intervals, because BTC on
another exchange or at another interval is the same market. A study that asks for the same seal
again (same base, same start or earlier) is not refused: it keeps the span sealed too.

Who looks at a sealed span on purpose leaves a record of it beside the seals, under ``openings``.

The trial register has all of this too, chained by hashes and written first. What is missing in
`seals.json`, or the whole file, comes back from there; what the register does not know, or knows
otherwise, was changed by hand and is refused. So no edit gives a spent budget back. Only a register
without any seal or look has nothing to say: the file of an earlier version is believed as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import read_json, write_json
from genesis.evolution.openings import Look, Opening, Seal, sealed_bases, sealed_names
from genesis.evolution.register import REGISTER, TrialRegister
from genesis.evolution.seal_overlap import refuse_reaching
from genesis.market.atomic_file import exclusive

__all__ = ["Opening", "Seal", "SealRegistry", "sealed_bases", "sealed_names"]

SCHEMA = 1


class SealRegistry:
    """Sealed spans of a workspace, in one JSON file and in the trial register beside it.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.

    Raises
    ------
    RefusedError
        From any method: if the file is damaged or says something else than the register.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._register = TrialRegister(path.parent)

    def seals(self) -> list[Seal]:
        """All registered spans in the order of their registration."""
        return self._known()[0]

    def openings(self) -> list[Opening]:
        """Every look at sealed bars, in order."""
        return self._known()[1]

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
        RefusedError
            If there is no such record.
        StorageError
            If it cannot be written.
        """
        with self._held():
            held = {known.look: known for known in self._register.openings()}.get(opening.look)
            if held is None:
                raise RefusedError(
                    f"there is no record of opening sealed bars for {opening.strategy}",
                    why=f"{REGISTER} of {self.path.parent} does not have it",
                    fix="validate again in the workspace in which the bars were opened",
                )
            if held.numbers is None:
                held = replace(held, numbers=numbers)
                self._register.keep((), [held])
            return held

    def _add(self, opening: Opening) -> Opening:
        with self._held():
            looks = {known.look for known in self._register.openings()}
            while opening.look in looks:  # two looks in one millisecond are two looks
                opening = replace(opening, ts_ms=opening.ts_ms + 1)
            self._register.keep((), [opening])
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
        refuse_reaching(self.seals(), study, set(bases), searched, end_ms)

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
        with self._held():
            refuse_reaching(self.seals(), study, set(bases), searched, sealed[1])
            return self._seal(study, dataset, bases, sealed)

    def adopt(
        self, study: str, dataset: str, bases: Sequence[str], sealed: tuple[int, int]
    ) -> list[Seal]:
        """Seal the tail of a study that was run elsewhere: what it searched is done already.

        Parameters as in `register`.
        """
        with self._held():
            return self._seal(study, dataset, bases, sealed)

    def take(self, seals: Sequence[Seal], openings: Sequence[Opening]) -> None:
        """Take over the seals of another workspace and what was opened there, in its order.

        What is here already stays as it is, so that doing it again changes nothing.
        """
        with self._held():
            looks = {known.look for known in self._register.openings()}
            # Numbers of a look that was not finished here are not taken from elsewhere.
            self._register.keep(seals, [one for one in openings if one.look not in looks])

    def _seal(
        self, study: str, dataset: str, bases: Sequence[str], sealed: tuple[int, int]
    ) -> list[Seal]:
        """Write the seals of a study that are not there yet; the lock is held."""
        own = [Seal(base, sealed[0], sealed[1], study, dataset) for base in sorted(set(bases))]
        if sealed[0] < sealed[1]:
            self._register.keep(own, ())
        return own

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the file for a change of the register, and write it anew if it says less after."""
        with exclusive(self.path.with_suffix(".lock")):
            # What an earlier version wrote is in the file only.
            self._register.keep(*self._known())
            yield
            known = self._known()
            if self._file() != known and any(known):
                seals, openings = ([asdict(one) for one in rows] for rows in known)
                write_json(self.path, {"schema": SCHEMA, "seals": seals, "openings": openings})

    def _known(self) -> tuple[list[Seal], list[Opening]]:
        """What is sealed and what was opened, in order."""
        # The file first: whatever another process adds to it is in the register before.
        seals, openings = self._file()
        known, looks = list(self._register.seals()), list(self._register.openings())
        if not known and not looks:
            return seals, openings
        by_look: dict[Look, Opening] = {one.look: one for one in looks}
        for opening in openings:
            held = by_look.get(opening.look)
            if held is None or (held != opening and not held.completes(opening)):
                raise self._refusal(f"the trial register knows no such look of {opening.strategy}")
        strange = [seal.study for seal in seals if seal not in known]
        if strange:
            raise self._refusal(f"the trial register knows no such seal of {strange[0]}")
        return known, looks

    def _file(self) -> tuple[list[Seal], list[Opening]]:
        if not self.path.exists():
            return [], []
        try:
            plain: Any = read_json(self.path)
            seals = msgspec.convert(plain["seals"], list[Seal])
            return seals, [Opening.from_plain(row) for row in plain.get("openings", [])]
        except (StorageError, AttributeError, KeyError, TypeError, ValueError) as error:
            why = error.why if isinstance(error, StorageError) else repr(error)
            raise self._refusal(f"it cannot be read: {why}") from None

    def _refusal(self, why: str) -> RefusedError:
        """Error of a file that is not what was written."""
        fix = (
            f"restore {self.path} from a copy, or work in another workspace: genesis --home FOLDER"
        )
        if self._register.seals() or self._register.openings():
            fix = f"delete {self.path}: every seal and every look comes back from {REGISTER}"
        return RefusedError(f"{self.path} was changed or damaged", why=why, fix=fix)
