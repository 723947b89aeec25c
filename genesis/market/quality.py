"""Quality of bars: what is wrong, how bad it is, and which rows are left when it is removed.

An *error* makes a row unusable (impossible prices, duplicate or misplaced stamps). A *warning*
is worth a look and changes nothing: a gap is missing data, handled by the validity mask, and a
spike may be a genuine crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError
from genesis.domain.timeline import INTERVALS, format_ts, interval_ms, interval_name
from genesis.market.bars import PRICES, Bars

SPIKE_SDS = 12.0
REVERTED_SHARE = 0.8
_AROUND = 24
_MAD_TO_SD = 1.4826  # sd of a normal over its median absolute deviation
_SHOWN = 3
_ENOUGH = 10

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Issue:
    """One kind of flaw in a series.

    Attributes
    ----------
    kind : str
        ``not_finite``, ``non_positive_price``, ``impossible_ohlc``, ``negative_volume``,
        ``off_grid``, ``duplicate``, ``conflicting_duplicate``, ``unsorted``, ``wrong_interval``,
        ``gap``, ``spike``.
    severity : str
        ``error`` or ``warning``.
    rows : int64
        Places of the affected rows in the series as given (for a gap: the row after it).
    message : str
        One line for people.
    """

    kind: str
    severity: str
    rows: npt.NDArray[np.int64]
    message: str

    @property
    def count(self) -> int:
        """Number of affected rows."""
        return int(self.rows.size)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Flaws of one series of bars.

    Attributes
    ----------
    name : str
        What was checked.
    bars : int
        Rows looked at.
    issues : tuple of Issue
        Errors first.
    """

    name: str
    bars: int
    issues: tuple[Issue, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return not self.errors

    @property
    def errors(self) -> tuple[Issue, ...]:
        """The flaws that make rows unusable."""
        return tuple(issue for issue in self.issues if issue.severity == "error")

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """The flaws that are only worth a look."""
        return tuple(issue for issue in self.issues if issue.severity == "warning")


@dataclass(frozen=True, slots=True)
class CleanBars:
    """Bars sorted into good and refused.

    Attributes
    ----------
    good : Bars
        Sorted, unique, possible and on the grid.
    refused : Bars
        The other rows, as given.
    reasons : tuple of str
        One for each refused row.
    """

    good: Bars
    refused: Bars
    reasons: tuple[str, ...]


def check(bars: Bars, interval: str, name: str = "bars") -> QualityReport:
    """Look for every kind of flaw.

    Parameters
    ----------
    bars : Bars
        Rows in file order.
    interval : str
        The interval they claim to have.
    name : str
        What to call them in the report.
    """
    length = interval_ms(interval)
    issues = [*_row_issues(bars), *_time_issues(bars, length)]
    if not any(issue.severity == "error" for issue in issues):
        issues.extend(_warnings(bars, length))
    return QualityReport(name, len(bars), tuple(issues))


def clean(bars: Bars, interval: str, *, remove_spikes: bool = False) -> CleanBars:
    """Separate usable rows from the others.

    Rows out of order are sorted. Of equal rows one is kept; of rows with one stamp and different
    values none is, because nothing says which is right. Spikes stay unless asked for.

    Raises
    ------
    DataError
        If the series as a whole has another interval than it claims.
    """
    length = interval_ms(interval)
    for issue in _time_issues(bars, length):
        if issue.kind == "wrong_interval":
            raise DataError(issue.message, fix=_interval_fix(bars))
    reasons = np.full(len(bars), "", dtype=object)
    for issue in (*_row_issues(bars), *_time_issues(bars, length)):
        if issue.severity == "error" and issue.kind != "unsorted":
            fresh = issue.rows[reasons[issue.rows] == ""]
            reasons[fresh] = issue.kind
    kept = np.flatnonzero(reasons == "")
    kept = kept[np.argsort(bars.ts_ms[kept], kind="stable")]
    if remove_spikes and kept.size:
        spikes = kept[spike_rows(bars.take(kept))]
        reasons[spikes] = "spike"
        kept = kept[~np.isin(kept, spikes)]
    refused = np.flatnonzero(reasons != "")
    return CleanBars(bars.take(kept), bars.take(refused), tuple(str(r) for r in reasons[refused]))


def require_storable(bars: Bars, interval: str, name: str) -> None:
    """Refuse a series with any error, naming all of them.

    Raises
    ------
    DataError
    """
    if not len(bars):
        raise DataError(f"{name}: no rows", fix="import a file that has rows in it")
    report = check(bars, interval, name)
    if not report.ok:
        raise DataError(
            f"{name}: {sum(issue.count for issue in report.errors)} bad rows",
            why="; ".join(issue.message for issue in report.errors),
            fix="correct them at their source; of a file, genesis data import --quarantine stores "
            "the good rows and sets the bad ones aside"
            if all(issue.kind != "wrong_interval" for issue in report.errors)
            else _interval_fix(bars),
        )


def spike_rows(bars: Bars) -> npt.NDArray[np.int64]:
    """Rows whose close jumps and comes back with the next bar, in a sorted series.

    A jump is a log return beyond 12 robust standard deviations (1.4826 times the median absolute
    deviation) both of the series and of the 48 returns around it, so that a day on which every
    hour is wild is no string of spikes. It came back if the next return undoes at least 80 % of
    it; a crash that stays down is no spike.
    """
    if len(bars) < 3:
        return np.empty(0, dtype=np.int64)
    returns = np.diff(np.log(bars.close))
    jump, after = returns[:-1], returns[1:]
    reverted = (np.sign(after) == -np.sign(jump)) & (np.abs(after) >= REVERTED_SHARE * np.abs(jump))
    candidates = np.flatnonzero((np.abs(jump) > SPIKE_SDS * _robust_sd(returns)) & reverted)
    around = (returns[max(0, c - _AROUND) : c + _AROUND + 1] for c in candidates)
    local = np.array([_robust_sd(window) for window in around])
    return candidates[np.abs(jump[candidates]) > SPIKE_SDS * local] + 1


def _robust_sd(returns: npt.NDArray[np.float64]) -> float:
    return _MAD_TO_SD * float(np.median(np.abs(returns - np.median(returns))))


def dominant_spacing(ts_ms: npt.NDArray[np.int64]) -> int:
    """Most frequent positive distance of neighbouring stamps, 0 where there is none."""
    steps = np.diff(np.unique(ts_ms))
    if not steps.size:
        return 0
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def _row_issues(bars: Bars) -> Iterator[Issue]:
    prices = [getattr(bars, name) for name in PRICES]
    finite = np.isfinite(np.vstack([*prices, bars.volume])).all(axis=0)
    yield from _issue("not_finite", ~finite, bars, "have a value that is no finite number")
    positive = np.vstack(prices).min(axis=0, initial=np.inf) > 0
    yield from _issue("non_positive_price", finite & ~positive, bars, "have a price of 0 or less")
    top, bottom = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    possible = (bars.high >= top) & (bars.low <= bottom)
    message = "have a high below, or a low above, their open or close"
    yield from _issue("impossible_ohlc", finite & ~possible, bars, message)
    yield from _issue("negative_volume", finite & (bars.volume < 0), bars, "have negative volume")


def _time_issues(bars: Bars, length: int) -> Iterator[Issue]:
    ts = bars.ts_ms
    spacing = dominant_spacing(ts)
    # A handful of bars far apart may be a short series with gaps; bars too close never are.
    if spacing != length and (0 < spacing < length or np.unique(ts).size > _ENOUGH):
        message = (
            f"bars are {interval_name(spacing)} apart, not {interval_name(length)} "
            f"as the interval says"
        )
        yield Issue("wrong_interval", "error", np.arange(len(bars)), message)
        return
    grid = f"do not open on the {interval_name(length)} grid"
    yield from _issue("off_grid", ts % length != 0, bars, grid)
    yield from _duplicates(bars)
    back = np.concatenate([[False], np.diff(ts) < 0])
    yield from _issue("unsorted", back, bars, "come before an earlier row's time")


def _duplicates(bars: Bars) -> Iterator[Issue]:
    _, first, inverse, counts = np.unique(
        bars.ts_ms, return_index=True, return_inverse=True, return_counts=True
    )
    if len(bars) == 0 or counts.max() == 1:
        return
    repeated = counts[inverse] > 1
    differs = np.zeros(len(bars), dtype=bool)
    for column in bars.columns()[1:]:
        differs |= column != column[first[inverse]]
    conflicting = np.zeros(counts.size, dtype=bool)
    np.logical_or.at(conflicting, inverse, differs)
    clash = conflicting[inverse]
    again = repeated & ~clash
    again[first] = False
    yield from _issue("duplicate", again, bars, "repeat an earlier row")
    message = "share their time with a row of other values"
    yield from _issue("conflicting_duplicate", clash, bars, message)


def _warnings(bars: Bars, length: int) -> Iterator[Issue]:
    steps = np.diff(bars.ts_ms)
    rows = np.flatnonzero(steps > length) + 1
    if rows.size:
        missing = int((steps[rows - 1] // length - 1).sum())
        longest = int(steps.max() // length - 1)
        message = (
            f"{rows.size} gaps, {missing} bars missing, the longest {longest} bars before "
            f"{format_ts(int(bars.ts_ms[np.argmax(steps) + 1]))}"
        )
        yield Issue("gap", "warning", rows, message)
    spikes = np.zeros(len(bars), dtype=bool)
    spikes[spike_rows(bars)] = True
    message = f"jump by more than {SPIKE_SDS:g} robust sd and come back"
    yield from _issue("spike", spikes, bars, message, severity="warning")


def _issue(
    kind: str, flagged: Bools, bars: Bars, message: str, *, severity: str = "error"
) -> Iterator[Issue]:
    rows = np.flatnonzero(flagged)
    if not rows.size:
        return
    shown = ", ".join(format_ts(int(ts)) for ts in bars.ts_ms[rows[:_SHOWN]])
    more = ", …" if rows.size > _SHOWN else ""
    yield Issue(kind, severity, rows, f"{rows.size} bars {message} ({shown}{more})")


def _interval_fix(bars: Bars) -> str:
    name = interval_name(dominant_spacing(bars.ts_ms))
    if name in INTERVALS:
        return f"import it with --interval {name}"
    return f"resample the file to one of {', '.join(INTERVALS)}"
