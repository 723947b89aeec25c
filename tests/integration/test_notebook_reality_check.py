"""The external check: what its notebook says is what comes out, and the tests agree with arch."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "reality_check.ipynb"
PUBLISHED = {"0.000", "0.341", "0.042", "0.908", "0.1"}
"""Figures of the literature, which no cell computes."""


def _require_arch() -> None:
    spec = importlib.util.spec_from_file_location("shared_fixtures", ROOT / "tests/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    conftest.require(importlib.util.find_spec("arch") is not None, "arch (its index prices)")


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    _require_arch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import external_check

        yield external_check


def shown(notebook: Any) -> str:
    """What the code cells print, without pictures."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "\n".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)


def decimals(text: str) -> set[str]:
    return set(re.findall(r"-?\b\d+\.\d+\b", text))


def test_the_stored_notebook_is_small_ordered_and_says_what_it_shows() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert NOTEBOOK.stat().st_size < 80_000
    assert not re.search(r"/(home|root|work|tmp|Users)/", NOTEBOOK.read_text())
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert decimals(texts) - PUBLISHED <= decimals(shown(notebook))


@pytest.mark.slow
def test_the_notebook_computes_what_it_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    _require_arch()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = shown(notebook)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.execute(cwd=str(NOTEBOOK.parent))
    assert shown(notebook) == stored


@pytest.mark.parametrize("index", ["sp500", "nasdaq"])
def test_the_best_rule_convinces_alone_and_not_among_the_others(
    check: ModuleType, index: str
) -> None:
    sample = check.load(index)
    # Every twelfth rule: 401 of them, enough for luck and light enough for every run.
    rules = replace(
        sample.rules,
        names=sample.rules.names[::12],
        positions=sample.rules.positions[:, ::12].copy(),
    )
    sample = replace(sample, rules=rules)
    returns = sample.returns(0.001)
    verdict = check.judge(returns, rules.names)
    assert verdict.nominal <= 0.05 < verdict.reality
    assert verdict.nominal <= verdict.reality
    assert verdict.spa_lower <= verdict.spa <= verdict.spa_upper
    assert verdict.spa > 0.05
    assert verdict.survivors == 0
    sharpe = check.judge_sharpe(returns, rules.names)
    assert sharpe.nominal <= 0.05 < min(sharpe.deflated, sharpe.deflated_effective)
    assert min(sharpe.holm, sharpe.bhy) > 0.05
    handed = check.handed_on(sample, 0.001)
    assert handed["nominal_first"] <= handed["reality_first"]
    ahead = check.judge(sample.returns(0.001, delay=0), rules.names)
    assert ahead.reality <= 0.01
    assert ahead.survivors > 0


def test_days_are_split_and_aligned(check: ModuleType) -> None:
    sample = check.load("sp500")
    assert str(sample.days[0]) == "2000-04-19"
    assert str(sample.days[-1]) == "2018-12-31"
    assert str(sample.days[sample.early][-1]) == "2008-12-31"
    held = sample.rules.positions[check.WARM_UP, 0]
    close = sample.prices.close
    assert sample.market[0] == close[check.WARM_UP + 1] / close[check.WARM_UP] - 1.0
    assert sample.returns(0.0)[0, 0] == held * sample.market[0]


def test_arch_agrees(check: ModuleType) -> None:
    returns = check.load("sp500").returns(0.0)
    assert check.arch_gap(returns, every=200) <= 4.0
