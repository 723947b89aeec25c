"""How urgent an alert is, and what follows from that: silence, escalation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from genesis.domain.errors import InputError, did_you_mean

MINUTE_MS: Final = 60_000


class AlertLevel(IntEnum):
    """Level of an alert; more is more urgent."""

    INFO = 0
    WARNING = 1
    HIGH = 2
    CRITICAL = 3
    EMERGENCY = 4

    @property
    def word(self) -> str:
        """Name in files, on screens and in events."""
        return self.name.lower()


_WORDS: Final[Mapping[str, AlertLevel]] = {
    **{level.word: level for level in AlertLevel},
    "informational": AlertLevel.INFO,
    "urgent": AlertLevel.HIGH,
}

SILENCE_MS: Final[Mapping[AlertLevel, int]] = {
    AlertLevel.INFO: 60 * MINUTE_MS,
    AlertLevel.WARNING: 30 * MINUTE_MS,
    AlertLevel.HIGH: 15 * MINUTE_MS,
}
"""After one was told, how long the same alert is kept back. Critical and emergency: never."""

ESCALATION: Final[Mapping[AlertLevel, tuple[AlertLevel, int]]] = {
    AlertLevel.WARNING: (AlertLevel.CRITICAL, 30 * MINUTE_MS),
    AlertLevel.HIGH: (AlertLevel.CRITICAL, 30 * MINUTE_MS),
    AlertLevel.CRITICAL: (AlertLevel.EMERGENCY, 15 * MINUTE_MS),
}
"""What an alert that nobody acknowledges becomes, and after how long. Emergency is the last."""


def level_of(word: str) -> AlertLevel:
    """Level that a word means; one that nobody knows is critical: rather told than lost."""
    return _WORDS.get(word.strip().lower(), AlertLevel.CRITICAL)


def is_level(word: str) -> bool:
    """Whether the word names a level."""
    return word.strip().lower() in _WORDS


def parse_level(word: str) -> AlertLevel:
    """Level that a person wrote.

    Raises
    ------
    InputError
        If there is no such level.
    """
    if not is_level(word):
        raise InputError(
            f"there is no alert level {word!r}{did_you_mean(word, _WORDS)}",
            fix=f"write {', '.join(level.word for level in AlertLevel)}",
        )
    return level_of(word)
