"""Which alerts are kept back: the same one again within the window of silence of its level.

The key is (level, component, title). The level is part of it, so that a warning never silences a
critical alert of the same title; critical and emergency have no window at all.
"""

from __future__ import annotations

from genesis.monitoring.alerts.levels import SILENCE_MS, AlertLevel


def is_told(level: AlertLevel, last_told_ms: int | None, now_ms: int) -> bool:
    """Whether an alert is told now.

    Parameters
    ----------
    level : AlertLevel
    last_told_ms : int or None
        When the same alert was told last, None if never.
    now_ms : int

    Notes
    -----
    A clock that stepped back is no reason for silence: an alert "told in the future" is told.
    """
    window = SILENCE_MS.get(level)
    if window is None or last_told_ms is None:
        return True
    return not 0 <= now_ms - last_told_ms < window
