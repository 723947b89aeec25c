"""Quiet hours and the hour of the heartbeat, in the time zone of the person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A part of each day; ``begin`` after ``end`` spans midnight.

    Attributes
    ----------
    begin, end : time
    zone : tzinfo
    """

    begin: time
    end: time
    zone: tzinfo

    def until(self, now_ms: int) -> int:
        """End of the quiet hours that hold now, ``now_ms`` itself if none do."""
        now = _local(now_ms, self.zone)
        clock = now.time()
        spans_midnight = self.begin > self.end
        if spans_midnight:
            quiet = clock >= self.begin or clock < self.end
        else:
            quiet = self.begin <= clock < self.end
        if not quiet:
            return now_ms
        day = now.date() + timedelta(days=1 if spans_midnight and clock >= self.begin else 0)
        return _ms(datetime.combine(day, self.end, self.zone))


def last_daily(at: time, zone: tzinfo, now_ms: int) -> int:
    """Latest instant, not after now, at which the clock of the zone showed ``at``."""
    now = _local(now_ms, zone)
    today = datetime.combine(now.date(), at, zone)
    if _ms(today) > now_ms:
        today = datetime.combine(now.date() - timedelta(days=1), at, zone)
    return _ms(today)


def _local(ts_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, tz=zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
