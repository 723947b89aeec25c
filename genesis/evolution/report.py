"""The report of a study: one self-contained HTML page that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genesis.backtest.report import Page
from genesis.backtest.report_build import partly_funded_warning, unfunded_warning
from genesis.backtest.report_data import ReportData
from genesis.backtest.report_page import number, render, write_page
from genesis.domain.timeline import format_ts
from genesis.evolution.files import read_json
from genesis.evolution.report_backtests import best_backtests
from genesis.evolution.report_charts import (
    Record,
    archive_figure,
    convergence_figure,
    failures,
    failures_figure,
    health_figure,
    pareto_figure,
)
from genesis.evolution.report_lineage import ancestors, lineage_figure
from genesis.evolution.run import ARCHIVE, Run
from genesis.evolution.tracking.redact import redact_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
COLUMNS = (
    "id",
    "family",
    "fitness",
    "feasible",
    "sharpe",
    "sharpe_2x",
    "total_return",
    "max_drawdown",
    "cdar95",
    "trades",
    "win_rate",
    "turnover",
    "exposure",
    "complexity",
    "cell",
)
TEXT_COLUMNS = ("id", "family", "feasible", "cell")
OBJECTIVES = {
    "sharpe": "Sharpe ratio, mean less half its spread",
    "drawdown": "drawdown (minus CDaR 95 % over volatility)",
    "simplicity": "simplicity (minus complexity and turnover)",
    "composite": "composite fitness",
}
HASH_SUFFIX = "_hash"


def write_report(run: Run, path: Path, *, backtests: Sequence[ReportData] | None = None) -> Path:
    """Write the report of a study; path and errors as in `write_page`.

    Parameters
    ----------
    run : Run
        A finished or interrupted run; what it does not have is left out.
    path : Path
    backtests : sequence of ReportData, optional
        Full backtests of the best strategies in the order of the leaderboard; computed from the
        workspace's data by default. If the data is gone the page says so and does without.

    Raises
    ------
    StorageError
        If a file of the run cannot be read.
    """
    return write_page(path, study_page(run, backtests))


def study_page(run: Run, backtests: Sequence[ReportData] | None = None) -> str:
    """HTML text of a study's report; see `write_report`."""
    warnings: list[str] = []
    if backtests is None:
        backtests, warnings = best_backtests(run)
    metrics, trials = run.metrics_records(), run.trials_records()
    entries, board = run.archive_records(), run.leaderboard_records()
    page = Page()
    strategies = [page.strategy(data, f"s{i}") for i, data in enumerate(backtests)]
    causes = failures(metrics)
    _study_figures(page, run, metrics, trials, entries, causes)
    lineages = _lineages(page, strategies, board, trials)
    warnings += unfunded_warning(run.study.get("unfunded_symbols") or ())
    warnings += partly_funded_warning(run.study.get("partly_funded") or {})
    warnings += [w for data in backtests for w in data.warnings]
    return render(
        "study.html.j2",
        {
            "title": f"Study {run.config.name}",
            "run_id": run.id,
            "status": run.status,
            "created": _instant(run.study.get("created_ms")),
            "warnings": list(dict.fromkeys(warnings)),
            "tiles": _tiles(metrics, trials, board),
            "trials": len(trials),
            "leaderboard": [_flat(row) for row in board],
            "columns": _columns(board),
            "text_columns": TEXT_COLUMNS,
            "anchors": {s["data"].strategy_id: s["name"] for s in strategies},
            "strategies": strategies,
            "lineages": lineages,
            "has_archive": bool(entries),
            "has_failures": bool(causes),
            "faults": dict(metrics[-1].get("faults") or {}) if metrics else {},
            "hashes": _hashes(run.study),
            "configuration": redact_text(run.config.to_yaml()),
            "page": page.plain(),
        },
        [TEMPLATES],
    )


def _study_figures(
    page: Page,
    run: Run,
    metrics: Sequence[Record],
    trials: Sequence[Record],
    entries: Sequence[Record],
    causes: Mapping[str, int],
) -> None:
    names = [OBJECTIVES.get(name, name) for name in run.config.objectives]
    page.figures["pareto"] = pareto_figure(entries, trials, names)
    page.figures["convergence"] = convergence_figure(metrics)
    page.figures["health"] = health_figure(metrics)
    if entries:
        page.figures["archive"] = archive_figure(
            entries, read_json(run.folder / ARCHIVE).get("axes", {})
        )
    if causes:
        page.figures["failures"] = failures_figure(causes)


def _lineages(
    page: Page,
    strategies: Sequence[Mapping[str, Any]],
    board: Sequence[Record],
    trials: Sequence[Record],
) -> dict[str, str]:
    """Add a family tree for each strategy that has one; returns its caption by section name."""
    first: dict[str, Record] = {}
    for trial in trials:
        first.setdefault(str(trial["genome"]), trial)
    keys = {row.get("id"): str(row.get("key", row.get("genome", ""))) for row in board}
    captions = {}
    for section in strategies:
        key = keys.get(section["data"].strategy_id, "")
        members = ancestors(key, first)
        if key not in first:
            continue
        page.figures[f"{section['name']}-lineage"] = lineage_figure(key, first)
        row = first[key]
        parents = ", ".join(str(p)[:8] for p in row["parents"]) or "none"
        captions[section["name"]] = (
            f"Genome {key[:8]}, made by {row['origin']} in generation {row['generation']} on island"
            f" {row['island']}; parents: {parents}; {len(members) - 1} ancestors shown."
        )
    return captions


def _tiles(
    metrics: Sequence[Record], trials: Sequence[Record], board: Sequence[Record]
) -> list[tuple[str, str]]:
    if not metrics:
        return [("Trials", number(len(trials)))]
    last = metrics[-1]
    elapsed = last.get("elapsed_s") or 0.0
    # Apart, since the console and `genesis runs` count the search alone.
    search, random_arm = last["evaluations"], last.get("random_evaluations") or 0
    total = search + random_arm
    best = _flat(board[0]).get("fitness") if board else last.get("best")
    return [
        ("Generations", number(int(last["generation"]) + 1)),
        ("Best fitness", number(best)),
        ("Random search", number(last.get("random_best"))),
        ("Trials", number(len(trials))),
        ("Evaluations, search", number(search)),
        ("Evaluations, random arm", number(random_arm)),
        ("Evaluations a second, both", number(total / elapsed if elapsed else None)),
        ("Archive cells", number(last.get("archive_cells"))),
        ("Workers", number(last.get("workers"))),
        ("Elapsed", f"{elapsed:,.0f} s"),
    ]


def _flat(row: Record) -> dict[str, Any]:
    """A leaderboard row with its measures beside its other keys."""
    flat = {k: v for k, v in row.items() if not isinstance(v, Mapping)}
    if "feasible" in flat:
        flat["feasible"] = "yes" if flat["feasible"] else "no"
    for nested in ("measures", "metrics"):
        flat.update({k: v for k, v in (row.get(nested) or {}).items() if k not in flat})
    if "fitness" not in row and row.get("objectives"):
        flat["fitness"] = row["objectives"][0]
    return flat


def _columns(board: Sequence[Record]) -> list[str]:
    present = set().union(*(_flat(row).keys() for row in board)) if board else set()
    return [name for name in COLUMNS if name in present]


def _hashes(study: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes first, then versions and the command, credentials blanked out."""
    hashes = {k: v for k, v in study.items() if k.endswith(HASH_SUFFIX) or k == "hashes"}
    rest = {k: study[k] for k in ("versions", "code", "command") if k in study}
    flat: dict[str, Any] = {}
    for key, value in {**hashes, **rest}.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{k}": v for k, v in value.items()})
        else:
            flat[key] = value
    return {k: redact_text(v) if isinstance(v, str) else v for k, v in flat.items()}


def _instant(ts_ms: Any) -> str:
    return format_ts(int(ts_ms)) if isinstance(ts_ms, (int, float)) else ""
