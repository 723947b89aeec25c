"""A workspace with a small market and strategies in files, for the tests of paper commands."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from genesis.strategy.language import Market, ema, rsi
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.strategy.text import dump_strategy
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import call

DATASET = ("--dataset", "synth:SYN1,SYN2:4h", "--funding", "none")


def strategies() -> dict[str, Strategy]:
    """Two that trade often."""
    m = Market()
    fast, slow = ema(m.close, 3), ema(m.close, 10)
    trend = Rules(fast > slow, fast < slow)
    counter = Rules(rsi(m.close, 5) < 30, rsi(m.close, 5) > 70)
    return {
        "trend": Strategy(trend, PolicyParams(size=0.5, stop_atr=2.0, target_atr=3.0)),
        "counter": Strategy(counter, PolicyParams(size=0.2, time_stop=6, cooldown=2)),
    }


@dataclass(frozen=True)
class Home:
    """The workspace, and files of strategies beside it."""

    home: Path

    def file(self, name: str) -> str:
        """File of a strategy."""
        return str(self.home.parent / f"{name}.json")

    def call(self, *words: str) -> Answer:
        """Answer of a command line."""
        return call(self.home, *words)

    def run(self, name: str, *more: str, strategy: str = "trend") -> Answer:
        """Paper run on the stored market."""
        return self.call("paper", "run", self.file(strategy), *DATASET, "--run", name, *more)


def make_home(folder: Path) -> Home:
    """A fresh workspace."""
    home = Home(folder / "home")
    for name, strategy in strategies().items():
        Path(home.file(name)).write_text(json.dumps(dump_strategy(strategy)))
    synth = ("--assets", "2", "--bars", "240", "--interval", "4h", "--seed", "3")
    made = home.call("data", "synth", *synth)
    assert made.code == 0, made.err
    return home


def copy_of(home: Home, folder: Path) -> Home:
    """The same workspace for a test of its own."""
    shutil.copytree(home.home.parent, folder / "copy")
    return Home(folder / "copy" / "home")


@pytest.fixture(scope="session")
def paper_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One with a finished run ``whole``; read only for tests."""
    home = make_home(tmp_path_factory.mktemp("paper"))
    done = home.run("whole", "--mode", "backtest-validation", "--json")
    assert done.code == 0, done.out + done.err
    return home
