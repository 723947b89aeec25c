"""The paper exchange as a process of its own, for tests that kill it or its clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.config import paper_config
from genesis.exchange.paper.truth import payload_of
from genesis.trading.events import Event

CONFIG = paper_config([Instrument("X", "X")], CostModel(), 3.0)


class PaperProcess:
    """Starts, kills and restarts ``python -m genesis.exchange.paper.server``."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.truth = folder / "truth.jsonl"
        self.address = f"unix:{folder / 'paper.sock'}"
        self.config = folder / "paper.json"
        self.config.write_text(json.dumps(config or CONFIG))
        self.process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        place = ["--truth", str(self.truth), "--listen", self.address]
        config = [] if self.truth.exists() else ["--config", str(self.config)]
        return [sys.executable, "-m", "genesis.exchange.paper.server", *place, *config]

    def start(self) -> dict[str, Any]:
        """Start and wait until it says where it listens."""
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the exchange did not start"
        return dict(json.loads(line))

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait()


def told_events(path: Path) -> Iterator[tuple[int, Event]]:
    """Everything that an exchange told, with its number, from its truth file: for a judge."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for line in whole.splitlines():
        for told in json.loads(line).get("told", ()):
            data = payload_of(told["type"], told["data"])
            yield told["number"], Event(data, told["ts_ms"], told["aggregate"])
