"""`genesis venue serve`: what the line says of dataset and market must fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.command_answers import call


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["synth:SYN1:1m"], "only a replay", "serve --market replay synth:SYN1:1m"),
        (["synth:SYN1:1m", "--market", "still"], "market is still", "replay synth:SYN1:1m"),
        (["--market", "replay"], "needs a dataset", "replay DATASET, such as"),
    ],
)
def test_a_dataset_belongs_to_a_replay(
    tmp_path: Path, words: list[str], what: str, fix: str
) -> None:
    answer = call(tmp_path, "venue", "serve", *words, "--json")
    assert answer.code == 2
    assert what in answer.error["what"]
    assert fix in answer.error["fix"]
