"""Taking alerts into the outbox: each gets an id, and those that repeat are kept back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from genesis.domain.ids import Ids
from genesis.monitoring.alerts.levels import is_level, level_of
from genesis.monitoring.alerts.outbox import Sitting
from genesis.monitoring.alerts.rows import AlertRow, ThrottleRow
from genesis.monitoring.alerts.sink import RaisedAlert
from genesis.monitoring.alerts.throttle import is_told
from genesis.trading.payloads.alerts import AlertEntered

PREFIX: Final = "ALR"
MOST_TITLE, MOST_TEXT = 200, 4_000
"""Characters; what is longer is cut and says so."""


def enter(sitting: Sitting, alerts: Iterable[RaisedAlert]) -> list[AlertRow]:
    """Take alerts in; they are stored with the next commit.

    Returns
    -------
    list of AlertRow
        One each, in their order, those that are kept back included.
    """
    windows: dict[tuple[str, str, str], ThrottleRow | None] = {}
    return [_enter(sitting, one, windows) for one in alerts]


def _enter(
    sitting: Sitting,
    raised: RaisedAlert,
    windows: dict[tuple[str, str, str], ThrottleRow | None],
) -> AlertRow:
    level, now, seq = level_of(raised.level), sitting.now_ms, sitting.next_seq
    title, text = one_line(raised.title), printable(raised.text)
    if not is_level(raised.level):
        text = f"{text}\n(raised with the unknown level {one_line(raised.level)!r})".strip()
    key = (level.word, one_line(raised.component), title)
    if key not in windows:
        where = "level = ? AND component = ? AND title = ?"
        windows[key] = sitting.first(ThrottleRow, where, key)
    window = windows[key]
    told = is_told(level, None if window is None else window.told_ms, now)
    waiting = 0 if window is None else window.suppressed
    told_ms = now if window is None or told else window.told_ms
    windows[key] = ThrottleRow(*key, told_ms, 0 if told else waiting + 1)
    row = AlertRow(
        alert_id=Ids(seq - 1).new(PREFIX, now),
        seq=seq,
        raised_level=level.word,
        rank=level,
        component=key[1],
        title=title,
        text=text,
        source=one_line(raised.source),
        source_seq=raised.source_seq,
        happened_ms=raised.happened_ms or now,
        entered_ms=now,
        told=int(told),
        suppressed=waiting if told else 0,
        unrouted=int(told),
    )
    payload = AlertEntered(
        row.alert_id,
        level.word,
        row.component,
        title,
        text,
        row.source,
        row.source_seq,
        told,
        row.suppressed,
    )
    sitting.add(payload, row.alert_id)
    sitting.put(row)
    stored = windows[key]
    assert stored is not None
    sitting.put(stored)
    return row


def one_line(text: str) -> str:
    """Text as a title: one line, no control characters, not endless."""
    return _cut(" ".join(printable(text).split()), MOST_TITLE)


def printable(text: str) -> str:
    """Text without what would steer a terminal; line ends and tabs stay."""
    kept = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return _cut(kept, MOST_TEXT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 6]} (cut)"
