"""The risk genome: 24 genes, their bounds, their file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import ConfigError, RefusedError, StorageError
from genesis.risk.genome import GENES, NAMES, RiskGenome, load_genome, save_genome


def test_there_are_exactly_24_genes_with_unit_meaning_and_bounds() -> None:
    assert len(GENES) == 24 == len(set(NAMES))
    for gene in GENES:
        assert gene.unit
        assert gene.meaning
        assert gene.low < gene.high
        assert gene.low <= gene.default <= gene.high
        assert gene.looser in (-1, 1)


# From the reference: published defaults and bounds of the seeds.
@pytest.mark.parametrize(
    ("name", "low", "default", "high"),
    [
        ("max_position", 0.01, 0.25, 0.5),
        ("daily_drawdown", 0.001, 0.02, 0.1),
        ("total_drawdown", 0.01, 0.10, 0.3),
    ],
)
def test_published_bounds(name: str, low: float, default: float, high: float) -> None:
    gene = GENES[NAMES.index(name)]
    assert (gene.low, gene.default, gene.high) == (low, default, high)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("max_gross", 0.80),
        ("correlation_penalty", 0.1),
        ("correlation_spike", 0.8),
        ("max_consecutive_losses", 5),
        ("volatility_exponent", 0.5),
        ("bear_cut", 0.3),
        ("rapid_loss", 0.01),
        ("rapid_loss_minutes", 15),
        ("max_trades_per_hour", 10),
        ("cooldown_minutes", 60),
    ],
)
def test_published_defaults(name: str, default: float) -> None:
    assert GENES[NAMES.index(name)].default == default


def test_unit_cube_round_trip_and_its_corners() -> None:
    genome = RiskGenome()
    again = RiskGenome.from_unit(genome.unit())
    np.testing.assert_allclose(again.vector(), genome.vector(), rtol=1e-12)
    low = RiskGenome.from_unit(np.full(24, -3.0))
    high = RiskGenome.from_unit(np.full(24, 7.0))
    assert list(low.genes) == [gene.low for gene in GENES]
    assert list(high.genes) == [gene.high for gene in GENES]


def test_a_whole_gene_has_no_fractions() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        genes = RiskGenome.from_unit(rng.random(24)).genes
        assert genes.max_trades_per_hour == round(genes.max_trades_per_hour)
        assert genes.max_consecutive_losses == round(genes.max_consecutive_losses)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.6, -0.1, "0.2", True, None])
def test_a_value_out_of_its_bounds_names_the_gene(value: object) -> None:
    with pytest.raises(ConfigError, match="max_position"):
        RiskGenome().replace(max_position=value)  # type: ignore[arg-type]


def test_a_fraction_of_a_trade_is_refused() -> None:
    with pytest.raises(ConfigError, match="whole"):
        RiskGenome().replace(max_consecutive_losses=3.5)


def test_hash_depends_on_values_alone() -> None:
    assert RiskGenome().id == RiskGenome().replace(max_position=0.25).id
    assert RiskGenome().id != RiskGenome().replace(max_position=0.24).id


def test_a_file_round_trip_is_exact(tmp_path: Path) -> None:
    genome = RiskGenome.from_unit(np.random.default_rng(1).random(24))
    save_genome(tmp_path / "g.json", genome, origin={"study": "x", "share": 0.1})
    assert load_genome(tmp_path / "g.json") == genome


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    save_genome(path, RiskGenome())
    body = json.loads(path.read_text())
    body["genes"]["max_position"] = 0.5
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigError, match="changed"):
        load_genome(path)


def test_an_unfit_genome_is_not_for_use_and_the_mark_cannot_be_edited_away(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    save_genome(path, RiskGenome(), unfit="bred with --quick")
    with pytest.raises(RefusedError) as refused:
        load_genome(path)
    assert "--quick" in refused.value.why
    assert load_genome(path, even_unfit=True) == RiskGenome()
    body = json.loads(path.read_text())
    body["unfit"] = ""
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigError, match="changed"):
        load_genome(path)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"schema": 2}', '{"schema": 1, "genes": {"stop": 1}}', "null", "3"]
)
def test_what_is_no_genome_file_is_a_readable_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "g.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_genome(path)
    with pytest.raises(StorageError):
        load_genome(tmp_path / "none.json")
