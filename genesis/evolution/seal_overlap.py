"""Which studies may search where: none inside the bars that another one sealed."""

from __future__ import annotations

from collections.abc import Sequence

from genesis.domain.errors import RefusedError
from genesis.domain.timeline import DAY_MS, format_ts
from genesis.evolution.openings import Seal


def refuse_reaching(
    known: Sequence[Seal], study: str, bases: set[str], searched: tuple[int, int], end_ms: int
) -> None:
    """Refuse a searched span that reaches into a seal of another study.

    Parameters
    ----------
    known : sequence of Seal
    study : str
        Id of the run. Its own seals never refuse it.
    bases : set of str
    searched : tuple of int
        Span ``[start, end)``.
    end_ms : int
        End of the dataset.

    Raises
    ------
    RefusedError
    """
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
