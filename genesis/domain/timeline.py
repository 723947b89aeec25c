"""Time as int64 milliseconds UTC: bar intervals and the spelling of instants."""

from __future__ import annotations

from datetime import UTC, datetime

from genesis.domain.errors import InputError, did_you_mean

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS

INTERVALS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
}


def interval_ms(name: str) -> int:
    """Length of a bar interval in milliseconds.

    Raises
    ------
    InputError
        If the interval has no known length.
    """
    try:
        return INTERVALS[name]
    except KeyError:
        raise InputError(
            f"unknown bar interval '{name}'{did_you_mean(name, INTERVALS)}",
            fix=f"use one of {', '.join(INTERVALS)}",
        ) from None


def interval_name(length_ms: int) -> str:
    """Name of an interval length, or its count of milliseconds where it has none."""
    return next((name for name, ms in INTERVALS.items() if ms == length_ms), f"{length_ms}ms")


def bars_per_year(length_ms: int) -> float:
    """Bars in 365 days, the annualisation factor of every ratio."""
    return YEAR_MS / length_ms


def parse_ts(text: str) -> int:
    """Milliseconds UTC of an ISO date or date-time (no zone means UTC).

    Raises
    ------
    InputError
        If the text is no ISO instant.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"'{text}' is not a date", fix="write 2024-01-31 or 2024-01-31T12:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def format_ts(ts_ms: int) -> str:
    """``2024-01-31T12:00Z`` for an instant in milliseconds UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%MZ")
