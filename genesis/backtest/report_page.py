"""Self-contained HTML: jinja2 templates, plotly's own bundle once and packed, figures as data.

A page makes no request: style, scripts and figures are inside it, and its content security
policy allows nothing else. Everything that comes from a run is escaped, in text by jinja2 and in
the figures' JSON by `embed`.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from genesis.domain.timeline import format_ts
from genesis.market.atomic_file import write_atomic

TEMPLATES = Path(__file__).resolve().parent / "templates"
PERCENT = frozenset(
    (
        *("total_return", "max_drawdown", "cdar95", "exposure", "win_rate"),
        *("fees", "slippage", "funding", "gross", "net"),
        *("valid_share", "feasible_share", "worker_efficiency"),
        *("behaviour_diversity", "genome_diversity"),
    )
)


def embed(value: Any) -> Markup:
    """JSON that may stand inside a script element: ``<``, ``>`` and ``&`` are escaped.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"no JSON form for {type(value).__name__}")


def number(value: Any, name: str = "") -> str:
    """A number as a reader wants it: shares as percent, few digits, a dash for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if name in PERCENT:
        return f"{value:.2%}"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def words(name: str) -> str:
    """``fold_sharpe_mean`` as ``Fold sharpe mean``."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=1)
def plotly_bundle() -> Markup:
    """The JavaScript that plotly ships, gzipped in base64: less than half of nearly 5 MB a page."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return Markup(base64.b64encode(packed).decode())  # noqa: S704 - nothing in it to escape


def environment(*folders: Path) -> Environment:
    """Templates of the given folders and of this package, with autoescape and no silent gaps."""
    made = Environment(
        loader=FileSystemLoader([*map(str, folders), str(TEMPLATES)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=number, words=words, embed=embed, instant=format_ts)
    made.globals["plotly_bundle"] = plotly_bundle
    return made


def render(template: str, context: Mapping[str, Any], folders: Sequence[Path] = ()) -> str:
    """Text of a page."""
    return environment(*folders).get_template(template).render(**context)


def write_page(path: Path, text: str) -> Path:
    """Write a page so that a reader sees the old one or the new one; returns its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_atomic(path, lambda file: file.write(text.encode()))
    return path
