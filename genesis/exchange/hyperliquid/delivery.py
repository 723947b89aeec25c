"""From the event loop to the bus, by one thread.

A full bus blocks that thread and never the sockets.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from genesis.domain.clock import Clock
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import Sink

FULL = 10_000
"""Events that may wait before who reads from a socket has to wait too."""


class Delivery:
    """Events in the order in which they were put.

    Parameters
    ----------
    clock : Clock
        Stamps what has no time of its own.
    name : str
        Of the thread.
    """

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._name = name
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._handing = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._sink: Sink | None = None
        self.failure: BaseException | None = None
        self.delivered = 0
        self.watch: Callable[[Event], None] | None = None

    def start(self, sink: Sink) -> None:
        """Begin to hand over."""
        self._sink = sink
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def tell(self, data: Payload, aggregate: str, ts_ms: int = 0) -> None:
        """Put an event; returns at once."""
        self.put(Event(data, ts_ms or self._clock.now_ms(), aggregate))

    def put(self, event: Event) -> None:
        """Put an event; returns at once."""
        with self._changed:
            if not self._ended:
                self._events.append(event)
                self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether whoever has a choice should wait."""
        return len(self._events) > FULL

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything was handed over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._events and not self._handing, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Hand over what waits, then end."""
        self.drain(timeout_s)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        sink = self._sink
        assert sink is not None
        while True:
            with self._changed:
                self._handing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._events or self._ended)
                if not self._events:
                    return
                event = self._events.popleft()
                self._handing = True
            try:
                sink(event)
                self.delivered += 1
            except Exception as error:
                # The bus is closed: the run is over, and nobody is left to tell.
                self.failure = error
                with self._changed:
                    self._ended, self._handing = True, False
                    self._events.clear()
                    self._changed.notify_all()
                return
