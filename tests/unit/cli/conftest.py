"""A small study, once a session; each test that writes gets a copy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import LENIENT, STRICT, STUDY, call


@dataclass(frozen=True)
class Small:
    """A workspace with the finished run ``small``, and files of gates beside it."""

    home: Path
    lenient: Path
    strict: Path

    def run(self, *words: str) -> Answer:
        """Answer of a command line on it."""
        return call(self.home, *words)

    def validate(self, name: str, gates: Path, *more: str) -> Answer:
        """Answer of `genesis validate`."""
        return self.run("validate", name, "--gates", str(gates), *more)


@pytest.fixture(scope="session")
def studied_small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Studied, not validated; read only for tests."""
    folder = tmp_path_factory.mktemp("small")
    small = Small(folder / "home", folder / "lenient.yaml", folder / "strict.yaml")
    small.lenient.write_text(LENIENT)
    small.strict.write_text(STRICT)
    (folder / "study.yaml").write_text(STUDY)
    synth = ("--assets", "1", "--bars", "900", "--interval", "4h", "--seed", "3")
    made = small.run("data", "synth", *synth, "--plant", "trend:0.003")
    assert made.code == 0, made.err
    done = small.run("evolve", str(folder / "study.yaml"), "--run", "small")
    assert done.code == 0, done.err
    return small


@pytest.fixture(scope="session")
def validated_small(studied_small: Small) -> tuple[Small, Answer]:
    """Validated with the lenient gates, and what that answered; read only for tests."""
    answer = studied_small.validate("small", studied_small.lenient, "--json", "--report")
    assert answer.code == 0, answer.out + answer.err
    return studied_small, answer


@pytest.fixture
def small(validated_small: tuple[Small, Answer], tmp_path: Path) -> Small:
    """A validated workspace of the test's own."""
    home = tmp_path / "home"
    shutil.copytree(validated_small[0].home, home)
    return Small(home, validated_small[0].lenient, validated_small[0].strict)
