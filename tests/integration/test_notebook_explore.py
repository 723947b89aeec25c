"""The notebook runs from a clean kernel and shows what it promises."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE.parent.parent / "notebooks" / "explore_run.ipynb"


def sample_home(folder: Path) -> Path:
    spec = importlib.util.spec_from_file_location("report_samples", HERE / "report_samples.py")
    assert spec is not None
    assert spec.loader is not None
    samples = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(samples)
    samples.sample_run(folder)
    return folder


def outputs(cell: Any) -> str:
    return "".join(str(output) for output in cell.get("outputs", []))


def test_the_notebook_runs_on_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_HOME", str(sample_home(tmp_path)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent.parent)]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    figures = [cell for cell in code if "application/vnd.plotly" in outputs(cell)]
    assert len(figures) >= 5
    shown = "".join(outputs(cell) for cell in code)
    assert "Run('sample-1'" in shown
    assert "donchian_breakout" in shown
    assert "'no_trades': 36" in shown
    assert "hunter2" not in shown
