"""What the end-to-end tests share: a tiny study, and the shape of a command's answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = """
schema: 1
name: tiny
dataset: {venue: synth, symbols: [SYN1, SYN2], interval: 4h, funding: none}
split: {sealed: 0.2, folds: 2}
seeds: {families: [ema_cross, donchian, bollinger]}
evolution:
  population_size: 16
  generations: 3
  islands: 2
  migration_every: 2
  migrants: 1
  seed: 5
  ml_island: {enabled: false}
constraints: {min_trades: 5, min_trades_per_fold: 0, min_sharpe_2x: null}
executor: {kind: local}
tracking: {enabled: false}
"""


@dataclass
class Answer:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        lines = self.out.strip().splitlines()
        assert len(lines) == 1, self.out + self.err
        value: dict[str, Any] = json.loads(lines[0])
        assert value["schema"] == 1
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The error inside the object."""
        assert self.json["ok"] is False
        error: dict[str, Any] = self.json["error"]
        assert error["exit_code"] == self.code
        return error


Cli = Callable[..., Answer]


def command(home: Path, *words: str) -> list[str]:
    """Command line of the installed program."""
    program = Path(sys.executable).with_name("genesis")
    return [str(program), "--home", str(home), *words]


SYNTH = ("data", "synth", "--assets", "2", "--bars", "1500", "--interval", "4h", "--seed", "3")
