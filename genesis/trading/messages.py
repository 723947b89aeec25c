"""Refused content as events, and the reading of raw messages that may be malformed."""

from __future__ import annotations

from typing import Any

import msgspec

from genesis.trading.events import Event
from genesis.trading.payloads import ConnectionChanged, InputQuarantined
from genesis.trading.plausible import IntakeRules


class Quarantine:
    """Makes the events that keep refused content.

    Parameters
    ----------
    source : str
        Name of the feed or exchange.
    limit : int
        Characters of content that are kept.
    """

    def __init__(self, source: str, limit: int) -> None:
        self._source = source
        self._limit = limit

    def event(self, what: str, why: str, content: str, ts_ms: int) -> Event:
        """Event for refused content; ``what`` is the symbol or channel that it came for."""
        if len(content) > self._limit:
            content = f"{content[: self._limit]}… ({len(content) - self._limit} more characters)"
        source = f"{self._source}:{what}" if what else self._source
        return Event(InputQuarantined(source, why, content), ts_ms, what)


class MessageReader:
    """Reads raw messages of the channels of one source.

    Parameters
    ----------
    source : str
    rules : IntakeRules, optional
    """

    def __init__(self, source: str, rules: IntakeRules | None = None) -> None:
        rules = rules or IntakeRules()
        self._source = source
        self._most = rules.unreadable
        self._quarantine = Quarantine(source, rules.content)
        self._unreadable: dict[str, int] = {}

    def decode(self, channel: str, raw: bytes | str, ts_ms: int) -> tuple[Any, list[Event]]:
        """Read a JSON message.

        Returns
        -------
        value
            What it says, None if it cannot be read (NaN and Infinity are no JSON).
        events : list of Event
            To be published.
        """
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return None, self.unreadable(channel, raw, str(error), ts_ms)
        return value, self.readable(channel, ts_ms)

    def unreadable(self, channel: str, raw: bytes | str, why: str, ts_ms: int) -> list[Event]:
        """Events for a message that cannot be read, or lacks what it must have."""
        text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
        count = self._unreadable.get(channel, 0) + 1
        self._unreadable[channel] = count
        events = [self._quarantine.event(channel, f"unreadable message: {why}", text, ts_ms)]
        if count == self._most:
            why = f"{count} messages in turn could not be read"
            events.append(self._connection(channel, False, why, ts_ms))
        return events

    def readable(self, channel: str, ts_ms: int) -> list[Event]:
        """Events for a message that could be read: the channel is back if it was lost."""
        if self._unreadable.pop(channel, 0) < self._most:
            return []
        return [self._connection(channel, True, "messages can be read again", ts_ms)]

    def _connection(self, channel: str, connected: bool, why: str, ts_ms: int) -> Event:
        name = f"{self._source}:{channel}"
        return Event(ConnectionChanged(name, connected, why), ts_ms, name)
