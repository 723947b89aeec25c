"""Pages of dossiers: every part, escaped, self-contained, whatever was not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.canonical import content_hash
from genesis.evidence.dossier import Dossier
from genesis.evidence.gates import MEASURES, Gate
from genesis.evidence.report import write_dossier_page
from genesis.strategy.genome import default_genome
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from tests.integration.report_samples import EVIL
from tests.integration.test_report_pages import (
    LIMIT_BYTES,
    browse,
    console,
    data_of,
    outline,
)
from tests.integration.test_report_pages import proxy as proxy

FIGURES = {"null", "lottery", "neighbours", "paths", "walk", "replay"}
PARTS = {"verdict", "gates", "chance", "disturbed", "regimes", "sealed", "trials", "identity"}


def rerun(kind: str, null: list[float | None], *, early: bool) -> dict[str, Any]:
    """Reruns of one kind, as in a dossier."""
    return {
        "kind": kind,
        "observed": 2.5,
        "null": null,
        "planned": 19,
        "p": 0.05,
        "interval": [0.0, 0.17],
        "decided_early": early,
    }


DETAILS: dict[str, Any] = {
    "permutation_sign": rerun("sign", [0.1 * i for i in range(19)], early=False),
    "permutation_shuffle": rerun("shuffle", [3.0, None, 3.1, None], early=True),
    "lottery": {"role": "lottery", "strategy": "strat_x", "sharpe": 2.0, "arms": [0.1, -0.4]},
    "neighbours": {"sharpe": [1.9, None, 1.7], "own": 2.0},
    "cpcv": {"paths": [1.5, 1.6, 1.2], "purge_days": 9},
    "walk_forward": {"in_sample": [2.0, 1.9], "out_of_sample": [1.0, -0.4]},
    "replay": [1.8, 1.1, 0.7],
    "regimes": [
        {"regime": f"calm {EVIL}", "bars": 40, "share": 0.5, "mean": 1e-4, "sharpe": 1.23},
        {"regime": "wild", "bars": 40, "share": 0.5, "mean": None, "sharpe": None},
    ],
    "sharpe": {"annual": 1.97, "annual_without_market": 1.88},
    "sealed": {
        "sharpe": 1.41,
        "hedged_sharpe": 1.31,
        "p": 0.0321,
        "days": 365,
        "level": 0.2,
        "place": 3,
        "opened_ms": 1_735_689_600_000,
    },
}


def strategy() -> Strategy:
    """A strategy of the library."""
    registry = SeedRegistry()
    return registry.express(default_genome(registry.get("donchian")))


def dossier(*, passed: bool, rehearsal: bool, details: dict[str, Any]) -> Dossier:
    """A made-up dossier with every gate there is."""
    gates = []
    for place, measure in enumerate(MEASURES):
        gate = Gate(measure, at_least=0.5, veto=measure != "random_arm")
        value = 0.4 if measure == "random_arm" or (measure == "lottery" and not passed) else 1.0
        result = gate.judge(None if place == 2 and not passed else value, f"note {EVIL}")
        late = measure.startswith("sealed") and not passed
        gates.append((replace(result, reached=False) if late else result).to_plain())
    plain: dict[str, Any] = {
        "mark": "REHEARSAL" if rehearsal else "",
        "strategy": "strat_0123456789ab",
        "genome": "e" * 64,
        "family": "donchian",
        "gates_file": {"name": "made-up", "rehearsal": rehearsal, "hash": "9" * 64},
        "passed": passed,
        "stopped_by": [g["measure"] for g in gates if g["verdict"] == "fail"],
        "gates": gates,
        "run_id": f"run {EVIL}",
        "dataset": "synth:SYN1:4h",
        "searched_ms": [1_577_836_800_000, 1_640_908_800_000],
        "sealed_ms": [1_640_908_800_000, 1_672_444_800_000],
        "trials": {
            "total": 12_345,
            "unique": 11_111,
            "own": 10_000,
            "components": 80,
            "effective": 87.4,
            "sharpe_variance_per_day": 0.01,
            "register_head": "7" * 64,
            "studies": [
                {"run_id": "a", "trials": 12_000, "unique": 11_000, "ledger_head": "1" * 64,
                 "source": "ledger"},
                {"run_id": "b", "trials": 345, "unique": 111, "ledger_head": "", "source": "human"},
            ],
        },
        "hashes": {"study": "5" * 64, "ledger_head": "6" * 64},
        "build": {"python": "3.11.7", "numpy": "2.4.6"},
        "created_ms": 1_735_689_600_000,
        "seconds": 96.7,
        "details": details,
    }  # fmt: skip
    return Dossier(plain["strategy"], plain, content_hash(plain))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A passed rehearsal with all that there is, and a refusal with nothing behind its gates."""
    folder = tmp_path_factory.mktemp("dossiers")
    full = dossier(passed=True, rehearsal=True, details=DETAILS)
    bare = dossier(passed=False, rehearsal=False, details={})
    return {
        "full": write_dossier_page(full, strategy(), folder / "full.html"),
        "bare": write_dossier_page(bare, strategy(), folder / "bare.html"),
    }


@pytest.mark.parametrize("name", ["full", "bare"])
def test_a_page_is_self_contained_and_escaped(pages: dict[str, Path], name: str) -> None:
    page = outline(pages[name])
    assert pages[name].stat().st_size < LIMIT_BYTES
    assert page.sources == []
    assert all(href.startswith(("#", "data:")) for href in page.hrefs)
    assert all(href[1:] in page.ids for href in page.hrefs if href.startswith("#"))
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.ids) >= PARTS
    # Data, plotly where there is a figure, ours: those in notes and names stayed text.
    assert page.scripts == (3 if name == "full" else 2)
    assert pages[name].stat().st_size < (2_300_000 if name == "full" else 60_000)
    assert set(page.figures) == set(data_of(pages[name])["figures"])
    assert set(page.figures) == (FIGURES if name == "full" else set())


def words(path: Path) -> str:
    """Text of a page before its scripts."""
    return path.read_text(encoding="utf-8").split('<script type="application/json"')[0]


def test_a_rehearsal_is_marked_on_top(pages: dict[str, Path]) -> None:
    top = words(pages["full"]).split('id="gates"')[0]
    assert '<span class="stamp">REHEARSAL</span>' in top
    assert "<strong>Passed the rehearsal</strong>" in top
    assert "Promotable" not in top
    assert "REHEARSAL" not in words(pages["bare"])


def test_every_gate_is_there_with_its_value_and_bound(pages: dict[str, Path]) -> None:
    for name in pages:
        text = words(pages[name])
        assert all(f"{measure}" in text for measure in MEASURES)
        assert text.count("at least 0.5") >= len(MEASURES) - 1  # all but the sealed PSR
        assert "random_arm <span class" in text  # reported only
        assert "○ reported" in text
    # 1 - p of the details, and 1 - level with the bound of these gates on top.
    assert '>0.9679</td><td data-label="Needs">at least 1.3000</td>' in words(pages["full"])
    assert ">what the budget leaves</td>" in words(pages["bare"])
    assert "✗ fail" not in words(pages["full"])
    assert "– not reached" not in words(pages["full"])
    bare = words(pages["bare"])
    assert bare.count("✗ fail") == 2
    assert bare.count("– not reached") == 2
    assert "<strong>Refused</strong> by trades, lottery." in bare
    assert "G1 lottery is 0.4, at least 0.5 is needed: missed by 0.1" in bare
    assert "G0 trades could not be measured" in bare


def test_numbers_of_sealed_bars_trials_and_hashes(pages: dict[str, Path]) -> None:
    text = words(pages["full"])
    for number in ("0.9679", "0.8000", "1.41", "1.31", "365", "2025-01-01T00:00Z", "12,345"):
        assert f"{number}<" in text, number
    assert "they are worth 87 independent ones" in text
    assert "a look by hand" in text
    for digit in "915679e":
        assert digit * 16 in text
    assert "numpy" in text
    assert "2 reruns found nothing" in text
    assert "Stopped early, because the gate could not be passed any more: shuffle." in text
    assert "Computed in 97 s" in text


def test_figures_hold_the_numbers(pages: dict[str, Path]) -> None:
    figures = data_of(pages["full"])["figures"]
    null = figures["null"]["data"]
    assert null[0]["x"] == DETAILS["permutation_sign"]["null"][:2] + [
        float(f"{v:.6g}") for v in DETAILS["permutation_sign"]["null"][2:]
    ]
    assert null[1]["x"] == [3.0, 3.1]
    assert null[2]["x"] == [2.5, 2.5]
    assert figures["neighbours"]["data"][0]["x"] == [1.9, 1.7]
    assert figures["neighbours"]["data"][1]["x"] == [2.0]
    assert [bar["y"] for bar in figures["walk"]["data"]] == [[2.0, 1.9], [1.0, -0.4]]
    assert figures["replay"]["data"][0]["y"] == DETAILS["replay"]
    assert figures["paths"]["data"][0]["x"] == DETAILS["cpcv"]["paths"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "bare"])
def test_chromium_draws_every_figure_and_asks_nobody(
    pages: dict[str, Path], name: str, tmp_path: Path, proxy: tuple[int, list[bytes]]
) -> None:
    port, asked = proxy
    document, log = browse(pages[name], tmp_path / "profile", port)
    assert console(log) == []
    assert 'data-ready="yes"' in document
    assert document.count('class="main-svg"') >= len(outline(pages[name]).figures)
    assert "window.broken" not in document.split("<script")[-1]
    assert [request for request in asked if b"google" not in request] == []


PROBE = """<script>setTimeout(() => {
  const wide = [...document.querySelectorAll("table.gates *")]
    .filter((part) => part.getBoundingClientRect().right > innerWidth);
  document.body.dataset.cut = String(wide.length);
}, 1000)</script></body>"""


@pytest.mark.slow
def test_nothing_of_the_gates_is_cut_off_on_a_phone(
    pages: dict[str, Path], tmp_path: Path, proxy: tuple[int, list[bytes]]
) -> None:
    """As narrow as a headless window gets, where the five columns did not fit."""
    page = tmp_path / "probed.html"
    page.write_text(pages["full"].read_text().replace("</body>", PROBE))
    document, _ = browse(page, tmp_path / "profile", proxy[0], "--window-size=420,4000")
    assert 'data-cut="0"' in document
