"""An exchange as a process of its own, that can be killed and goes on from its files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A process that says on standard output when it listens.

    Parameters
    ----------
    words : sequence of str
        Arguments of the interpreter.
    address : str
    truth : Path
        File of what it did.
    """

    def __init__(self, words: Sequence[str], address: str, truth: Path) -> None:
        self.address = address
        self.truth = truth
        self._words = list(words)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Start, or go on from the files; returns when it listens."""
        self._process = subprocess.Popen(
            [sys.executable, *self._words], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the exchange did not start")

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
