"""Genetic feedback: what trading said about a stored strategy, where a later study can read it.

The record of a strategy (`genesis.evolution.store`) never changes after its search: its digest
covers it. What paper and live runs find out is therefore kept beside it, in
``strategies/feedback/ID.jsonl``: append-only, every row chained to the one before by its hash, and
``ID.end.json`` notes where the chain ends, so that a cut shows as well as a change.

Studies do not read it by themselves. One that does must put `FeedbackHistory.identity` into what
its configuration is hashed over: a study is a pure function of configuration, data and seed, and
the feedback that it read is then a part of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.evolution.files import append_lines, cut_torn_tail, read_json, write_json
from genesis.evolution.store import StrategyStore
from genesis.evolution.trials import GENESIS, chained_rows, linked
from genesis.market.atomic_file import exclusive

__all__ = ["Feedback", "FeedbackHistory", "read_feedback", "write_feedback"]

SCHEMA = 1
FOLDER = "feedback"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one run of a strategy says about it.

    Attributes
    ----------
    strategy : str
        Id of the stored strategy.
    run_id : str
        The trading run; of one run the latest row counts.
    mode : str
        ``replay``, ``simulation``, ``testnet``, ``backtest-validation`` …
    score : float or None
        Genetic feedback score in [0, 1]; None where there is nothing to judge.
    reason : str
        Why there is no score; empty if there is one.
    terms : mapping of str to float
        Weighted terms that add up to the score.
    measures : mapping
        Numbers behind the terms and beside them.
    fidelity : mapping
        Agreement with the shadow backtest; empty where none was run.
    dataset, dataset_hash, build, state_hash : str
        What the run traded on, the code that ran, and the state that it ended in.
    span_ms : tuple of int
        ``[start, end)`` of the bars traded.
    recorded_ms : int
        When the row was written; not part of what tells one outcome from another.
    """

    strategy: str
    run_id: str
    mode: str
    score: float | None
    reason: str = ""
    terms: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    dataset_hash: str = ""
    build: str = ""
    state_hash: str = ""
    span_ms: tuple[int, int] = (0, 0)
    recorded_ms: int = 0

    def same_outcome(self, other: Feedback) -> bool:
        """Whether it says the same, whenever it was written."""
        return canonical_json(asdict(replace(self, recorded_ms=0))) == canonical_json(
            asdict(replace(other, recorded_ms=0))
        )


@dataclass(frozen=True, slots=True)
class FeedbackHistory:
    """All feedback on one strategy.

    Attributes
    ----------
    strategy : str
        Its id.
    rows : tuple of Feedback
        Oldest first; a run that went on has several.
    head : str
        Hash of the chain after the last row.
    """

    strategy: str
    rows: tuple[Feedback, ...]
    head: str

    @property
    def by_run(self) -> dict[str, Feedback]:
        """Latest row of each run, in order of the runs' first rows."""
        return {row.run_id: row for row in self.rows}

    @property
    def latest(self) -> Feedback | None:
        """The row that was written last."""
        return self.rows[-1] if self.rows else None

    @property
    def score(self) -> float | None:
        """Mean score of the runs that have one; None if no run has."""
        scores = [row.score for row in self.by_run.values() if row.score is not None]
        return sum(scores) / len(scores) if scores else None

    def to_plain(self) -> dict[str, Any]:
        """JSON form: the mean score, the latest row of each run, and the chain's head."""
        runs = [{**asdict(row), "span_ms": list(row.span_ms)} for row in self.by_run.values()]
        return {"score": self.score, "head": self.head, "rows": len(self.rows), "runs": runs}

    def identity(self) -> dict[str, Any]:
        """What a study that read it must hash with its configuration."""
        return {"strategy": self.strategy, "rows": len(self.rows), "head": self.head}


def read_feedback(home: Path, strategy_id: str) -> FeedbackHistory:
    """Feedback on a stored strategy, verified; a strategy that never traded has no rows.

    Parameters
    ----------
    home : Path
        Workspace.
    strategy_id : str
        Id, or its unique beginning.

    Raises
    ------
    InputError
        If there is no such strategy.
    RefusedError
        If the feedback was changed or cut after it was written.
    """
    log = _Log(home, _stored_id(home, strategy_id))
    # Its end is read first: a writer adds the row before it moves the end.
    noted = log.noted_end()
    return log.history(noted)


def write_feedback(home: Path, feedback: Feedback) -> bool:
    """Append feedback to a stored strategy's file; saying the same of a run again adds nothing.

    Returns
    -------
    bool
        Whether a row was written.

    Raises
    ------
    InputError
        If the strategy is not stored, or its score is no number within [0, 1].
    RefusedError
        If the file was changed or cut after it was written.
    StorageError
        If it cannot be written.
    """
    if feedback.score is not None and not 0.0 <= feedback.score <= 1.0:
        raise InputError(
            f"a feedback score of {feedback.score} for {feedback.strategy} is not possible",
            why="it is a weighted mean of shares",
            fix="give a number within [0, 1], or none with a reason",
        )
    log = _Log(home, _stored_id(home, feedback.strategy))
    with exclusive(log.path.with_suffix(".lock")):
        cut_torn_tail(log.path)
        known = log.history(log.noted_end())
        before = known.by_run.get(feedback.run_id)
        if before is not None and before.same_outcome(feedback):
            return False
        log.append(feedback, known)
    return True


def _stored_id(home: Path, prefix: str) -> str:
    store = StrategyStore(home / "strategies")
    return prefix if prefix in store.ids() else store.get(prefix).id


class _Log:
    """The file of one strategy."""

    def __init__(self, home: Path, strategy: str) -> None:
        self.strategy = strategy
        self.path = home / "strategies" / FOLDER / f"{strategy}.jsonl"
        self.end = self.path.with_suffix(".end.json")

    def noted_end(self) -> tuple[int, str]:
        """Rows, and the hash after them, that were noted last."""
        if not self.end.exists():
            return 0, GENESIS
        try:
            end = read_json(self.end)
            return int(end["size"]), str(end["head"])
        except (StorageError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"{self.end.name} cannot be read: {error}") from None

    def history(self, noted: tuple[int, str]) -> FeedbackHistory:
        """Read and verify every row; an unfinished last line is not there yet."""
        rows, heads = [], [GENESIS]
        for plain, _, link in chained_rows(self.path, self._broken):
            rows.append(self._row(plain, len(heads)))
            heads.append(link)
        if rows and not self.end.exists():  # it was there before the first row
            raise self._damaged(f"{self.end.name} is missing")
        size, head = noted
        if not 0 <= size <= len(rows) or heads[size] != head:
            raise self._damaged("rows at its end are missing or were written anew")
        return FeedbackHistory(self.strategy, tuple(rows), heads[-1])

    def append(self, feedback: Feedback, known: FeedbackHistory) -> None:
        """Write a row and move the end; the lock is held."""
        plain = {"schema": SCHEMA, **asdict(feedback)}
        plain["span_ms"] = list(feedback.span_ms)
        head = linked(known.head, canonical_json(plain))
        if not self.end.exists():  # from the first row on a missing end means a removed one
            write_json(self.end, {"schema": SCHEMA, "size": 0, "head": GENESIS})
        append_lines(self.path, [{**plain, "hash": head}])
        write_json(self.end, {"schema": SCHEMA, "size": len(known.rows) + 1, "head": head})

    def _row(self, plain: Mapping[str, Any], place: int) -> Feedback:
        try:
            row = msgspec.convert(dict(plain), Feedback)
        except msgspec.ValidationError as error:
            raise self._broken(place, f"it cannot be read: {error}") from None
        if row.strategy != self.strategy:
            raise self._broken(place, f"it is about {row.strategy}")
        return row

    def _broken(self, place: int, why: str) -> RefusedError:
        return self._damaged(f"row {place}: {why}")

    def _damaged(self, why: str) -> RefusedError:
        return RefusedError(
            f"the feedback on {self.strategy} was changed or cut after it was written",
            why=why,
            fix=f"restore {self.path} and {self.end.name} from a copy, or delete both: what the"
            " trading runs said of the strategy is lost then, not the strategy",
        )
