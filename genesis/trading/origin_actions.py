"""What schedules and news ask for: flatten, pause, resume; without an action they are on record."""

from __future__ import annotations

from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.payloads import NewsReceived, Origin, ScheduleDue
from genesis.trading.planning import Planning
from genesis.trading.safety import Safety
from genesis.trading.worker import ExecutionWorker

FLATTEN, PAUSE, RESUME = "flatten", "pause", "resume"
ACTIONS = (FLATTEN, PAUSE, RESUME)

_BY_ORIGIN = ("schedule ", "news ")
"""Beginnings of the reasons of halts that an origin may lift again; a person's stay."""


class OriginActions:
    """Handles the origins besides the tick.

    Parameters
    ----------
    desk : Desk
    worker : ExecutionWorker
    planning : Planning
    safety : Safety
    """

    def __init__(
        self, desk: Desk, worker: ExecutionWorker, planning: Planning, safety: Safety
    ) -> None:
        self._desk = desk
        self._worker = worker
        self._planning = planning
        self._safety = safety

    def on_schedule(self, event: Event) -> None:
        """A schedule is due: its action applies to the deployments on its symbols."""
        data = event.data
        assert isinstance(data, ScheduleDue)
        origin = Origin("schedule", data.schedule_id, event.seq)
        self._act(event, data.action, data.symbols, origin, f"schedule {data.name}")

    def on_news(self, event: Event) -> None:
        """A news item came in: its action applies to the deployments on its symbols."""
        data = event.data
        assert isinstance(data, NewsReceived)
        origin = Origin("news", data.news_id, event.seq)
        self._act(event, data.action, data.symbols, origin, f"news {data.news_id}")

    def _act(
        self, event: Event, action: str, symbols: tuple[str, ...], origin: Origin, why: str
    ) -> None:
        desk = self._desk
        if action == FLATTEN:
            for deployment in desk.deployments.values():
                if not symbols or deployment.symbol in symbols:
                    self._worker.call_off(deployment)
                    if deployment.position != 0.0 and self._worker.give_way(deployment):
                        self._planning.leave(event, deployment, origin.kind, origin)
            return
        for symbol in desk.by_symbol:
            scope = f"symbol:{symbol}"
            if symbols and symbol not in symbols:
                continue
            if action == PAUSE:
                self._safety.halt(scope, why, level="info")
            elif action == RESUME and desk.halts.get(scope, "").startswith(_BY_ORIGIN):
                self._safety.resume(scope, why)
