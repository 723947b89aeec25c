"""Runs the product's commands as a person would, and keeps what must be true of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

GENESIS = Path(sys.executable).with_name("genesis")
PATIENCE_S = 300.0


class Shell:
    """Commands on workspaces in a folder.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    checks : dict of str to bool
    figures : dict of str to object
        What was measured on the way.
    steps : list of dict
        Command, exit code and seconds of each command.
    home : Path
        Workspace of the commands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.checks: dict[str, bool] = {}
        self.figures: dict[str, Any] = {}
        self.steps: list[dict[str, Any]] = []
        self._children: list[subprocess.Popen[str]] = []

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def check(self, name: str, good: bool) -> None:
        """Keep what must be true."""
        self.checks[name] = self.checks.get(name, True) and bool(good)
        self.say(f"  {'ok  ' if good else 'FAIL'} {name}")

    def workspace(self, name: str) -> None:
        """Go on in a workspace of its own."""
        self.home = self.folder / name
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    # ---- commands --------------------------------------------------------------------------

    def run(
        self,
        *words: str,
        expects: int | None = 0,
        passphrase: bool = False,
        timeout_s: float = PATIENCE_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end.

        Parameters
        ----------
        *words : str
        expects : int or None
            Exit code that it must have; None for any.
        passphrase : bool
            Hand it the passphrase of the agent's key on descriptor 3.
        timeout_s : float
        """
        self.say(f"$ genesis {' '.join(words)}")
        began = time.monotonic()
        with self._passphrase(passphrase) as (more, descriptors):
            done = subprocess.run(
                self._line(*words, *more),
                capture_output=True,
                text=True,
                timeout=timeout_s,
                pass_fds=descriptors,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                check=False,
            )
        seconds = time.monotonic() - began
        self.steps.append(
            {"line": " ".join(words), "code": done.returncode, "seconds": round(seconds, 1)}
        )
        if expects is not None and done.returncode != expects:
            self.say(done.stdout[-2_000:] + done.stderr[-4_000:])
            raise SystemExit(
                f"genesis {' '.join(words)} ended with {done.returncode}, not {expects}"
            )
        return done

    def json(self, *words: str, **more: Any) -> dict[str, Any]:
        """Run one command with --json and read its answer."""
        return dict(json.loads(self.run(*words, "--json", **more).stdout))

    def refused(self, name: str, words: Sequence[str], naming: str) -> None:
        """Run a command that must be refused with exit code 3, naming something."""
        done = self.run(*words, expects=None)
        said = done.stdout + done.stderr
        for line in said.strip().splitlines()[:3]:
            self.say(f"    {line[:240]}")
        self.check(name, done.returncode == 3 and naming in said)

    def begin(self, *words: str, passphrase: bool = False) -> Running:
        """Begin a command that goes on beside the others."""
        self.say(f"$ genesis {' '.join(words)} &")
        log = (self.folder / f"process-{len(self._children)}.log").open("w+", encoding="utf-8")
        with self._passphrase(passphrase) as (more, descriptors):
            child = subprocess.Popen(
                self._line(*words, *more),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=descriptors,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
            )
        self._children.append(child)
        return Running(child, log)

    def until(self, what: str, so: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        ends = time.monotonic() + patience_s
        while not so():
            if time.monotonic() > ends:
                raise SystemExit(f"it did not come to be within {patience_s:.0f} s: {what}")
            time.sleep(0.1)

    def close(self) -> None:
        """End every process that was begun."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            try:
                child.wait(20.0)
            except subprocess.TimeoutExpired:
                child.kill()

    def _line(self, *words: str) -> list[str]:
        return [str(GENESIS), "--home", str(self.home), *words]

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1"}

    @staticmethod
    def _passphrase(wanted: bool) -> _Descriptor:
        return _Descriptor("a passphrase of the rehearsal" if wanted else "")


class Running:
    """A command that goes on beside the others."""

    def __init__(self, child: subprocess.Popen[str], log: IO[str]) -> None:
        self.child = child
        self._log = log

    def said(self) -> str:
        """What it printed until now."""
        self._log.flush()
        return Path(self._log.name).read_text(encoding="utf-8")

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Exit code, once it has ended."""
        return self.child.wait(timeout_s)


class _Descriptor:
    """A pipe with a secret, and the option that names it; neither where there is none."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._read = -1

    def __enter__(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if not self._secret:
            return (), ()
        self._read, write = os.pipe()
        os.write(write, self._secret.encode())
        os.close(write)
        return ("--passphrase-fd", str(self._read)), (self._read,)

    def __exit__(self, *_: object) -> None:
        if self._read >= 0:
            os.close(self._read)
