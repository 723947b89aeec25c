"""A command line in this process, and a workspace small enough to validate in seconds."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from genesis.cli import main
from genesis.domain.canonical import content_hash
from tests.e2e.command_line import Answer

STUDY = """
schema: 1
name: small
dataset: {venue: synth, symbols: [SYN1], interval: 4h, funding: none}
split: {sealed: 0.2, folds: 2}
seeds: {families: [donchian, ema_cross]}
evolution:
  population_size: 8
  generations: 2
  islands: 1
  seed: 4
  ml_island: {enabled: false}
constraints: {min_trades: 5, min_trades_per_fold: 0, min_sharpe_2x: null}
executor: {kind: local, workers: 1}
tracking: {enabled: false}
"""

LENIENT = """
schema: 1
name: lenient
rehearsal: true
settings:
  {surrogates: 19, lottery_arms: 5, sample_genomes: 10, noise_draws: 3, candidates: 2}
gates:
  prefix_invariance: {at_most: 0}
  trades: {at_least: 1}
  permutation_sign: {at_most: 1.0}
  permutation_shuffle: {at_most: 1.0}
  lottery: {at_least: 0}
  random_arm: {at_least: 1000, veto: false}
  sharpe_2x: {at_least: -100}
  noise_profitable: {at_least: 0}
  sealed_psr: {at_least: -1}
  sealed_ratio: {at_least: -1000}
"""
"""Gates that everything passes which is computed right."""

STRICT = LENIENT.replace("name: lenient", "name: strict").replace(
    "sharpe_2x: {at_least: -100}", "sharpe_2x: {at_least: 99}"
)
"""The same, but for one that nothing passes."""


def call(home: Path, *words: str) -> Answer:
    """Answer of a command line."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.dispatch(["--home", str(home), *words])
    return Answer(code, out.getvalue(), err.getvalue())


def judged_in(dossier: Path) -> str:
    """Id of the strategy that a dossier or its page is about, from the file's name."""
    return dossier.name.partition(".")[0]


def forge(path: Path, **changes: Any) -> None:
    """Change a dossier and give it the digest that fits."""
    plain = json.loads(path.read_text())
    plain.pop("digest")
    plain |= changes
    path.write_text(json.dumps({**plain, "digest": content_hash(plain)}))
