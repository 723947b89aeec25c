"""What `genesis data` shows: tables for people, plain objects for --json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.cli import render
from genesis.cli.commands import whole

if TYPE_CHECKING:
    from genesis.market.quality import QualityReport
    from genesis.market.sources.fetch import FetchResult
    from genesis.market.sources.files import ImportResult
    from genesis.market.store import SeriesInfo

_SHOWN_WARNINGS = 10


def imported(result: ImportResult) -> dict[str, Any]:
    """One imported file."""
    item = result.item
    return {
        "path": str(item.path),
        "kind": item.kind,
        "venue": item.venue,
        "symbol": item.symbol,
        "interval": item.interval,
        "rows": result.rows,
        "added": result.written.added,
        "replaced": result.written.replaced,
        "total": result.written.total,
        "quarantined": result.quarantined,
        "quarantine": str(result.quarantine) if result.quarantine else None,
        "warnings": list(result.warnings),
    }


def show_imports(results: Sequence[ImportResult], skipped: int) -> None:
    """Sum up an import and show the first warnings."""
    out = render.console()
    added = sum(result.written.added for result in results)
    text = f"{len(results)} series imported, {added:,} new rows"
    if skipped:
        text += f"; {skipped} other data files have no place in the layout and were left"
    out.print(text, markup=False)
    for result in results:
        if result.quarantined:
            text = f"{result.item.name}: {result.quarantined} bad rows set aside in"
            out.print(f"{text} {result.quarantine}", markup=False)
    noted = [f"{r.item.name}: {text}" for r in results for text in r.warnings]
    for line in noted[:_SHOWN_WARNINGS]:
        out.print(line, markup=False)
    if len(noted) > _SHOWN_WARNINGS:
        out.print(
            f"… and {len(noted) - _SHOWN_WARNINGS} more: {whole('genesis data check')}",
            markup=False,
        )


def fetched(result: FetchResult) -> dict[str, Any]:
    """One fetched symbol."""
    return {
        "symbol": result.symbol,
        "bars": result.bars,
        "funding": result.funding,
        "first_ms": result.first_ms,
        "last_ms": result.last_ms,
        "note": result.note,
    }


def show_fetches(results: Sequence[FetchResult]) -> None:
    """Table of fetched symbols."""
    rows = [
        (r.symbol, f"{r.bars:,}", f"{r.funding:,}", _day(r.first_ms), _day(r.last_ms), r.note)
        for r in results
    ]
    columns = [("symbol", "left"), ("new bars", "right"), ("new funding", "right")]
    columns += [("from", "left"), ("to", "left"), ("note", "left")]
    render.console().print(render.table(columns, rows))


def series(info: SeriesInfo) -> dict[str, Any]:
    """One stored series."""
    return {
        "kind": info.kind,
        "venue": info.venue,
        "symbol": info.symbol,
        "interval": info.interval,
        "rows": info.rows,
        "first_ms": info.first_ms,
        "last_ms": info.last_ms,
        "content_hash": info.content_hash,
    }


def show_series(found: Sequence[SeriesInfo]) -> None:
    """Table of stored series."""
    out = render.console()
    if not found:
        out.print(whole("the store is empty; fill it with genesis data import, fetch or synth"))
        return
    rows = [
        (
            s.kind,
            s.venue,
            s.symbol,
            s.interval,
            f"{s.rows:,}",
            _day(s.first_ms),
            _day(s.last_ms),
            s.content_hash[:12],
        )
        for s in found
    ]
    columns = [("kind", "left"), ("venue", "left"), ("symbol", "left"), ("interval", "left")]
    columns += [("rows", "right"), ("from", "left"), ("to", "left"), ("hash", "left")]
    out.print(render.table(columns, rows))


def report(one: QualityReport) -> dict[str, Any]:
    """One checked series."""
    return {
        "name": one.name,
        "bars": one.bars,
        "ok": one.ok,
        "issues": [
            {
                "kind": issue.kind,
                "severity": issue.severity,
                "count": issue.count,
                "message": issue.message,
            }
            for issue in one.issues
        ],
    }


def show_reports(reports: Sequence[QualityReport]) -> None:
    """Flaws by series, then one line that sums up."""
    out = render.console()
    for one in reports:
        for issue in one.issues:
            mark = "bad " if issue.severity == "error" else "note"
            out.print(f"{mark}  {one.name}: {issue.message}", markup=False)
    bad = sum(not one.ok for one in reports)
    bars = sum(one.bars for one in reports)
    verdict = f"{bad} have bad bars" if bad else "none has a bad bar"
    out.print(f"{len(reports)} series checked, {bars:,} bars: {verdict}", markup=False)


def show_plants(plants: Mapping[str, str], as_json: bool) -> None:
    """Kinds of planted edges."""
    if as_json:
        render.emit({"plants": dict(plants)})
        return
    columns = [("plant", "left"), ("strength", "left")]
    render.console().print(render.table(columns, list(plants.items())))


def _day(ts_ms: int | None) -> str:
    from genesis.domain.timeline import format_ts

    return "-" if ts_ms is None else format_ts(ts_ms)[:10]
