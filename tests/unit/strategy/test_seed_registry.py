from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.genome import default_genome
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.seed import SeedKind

# The file a user writes, as the documentation shows it.
USER_FILE = '''
from genesis import Float, Market, Rules, Seed, SeedKind, Window, ema, seed


@seed(kind=SeedKind.MOMENTUM, name="my_ema_cross")
class EmaCross(Seed):
    """Follow the fast average while it leads the slow one."""

    fast = Window(5, 40)
    slow = Window(20, 224)
    band = Float(0.0, 0.02, unit="fraction of price")

    def rules(self, m: Market) -> Rules:
        fast, slow = ema(m.close, self.fast), ema(m.close, self.slow)
        return Rules(long=fast > slow * (1 + self.band), short=fast < slow * (1 - self.band))
'''


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return file


def test_the_fourteen_families_cover_every_kind() -> None:
    registry = SeedRegistry()
    assert registry.names() == (
        "ema_cross",
        "sma_trend",
        "rsi",
        "stochastic",
        "bollinger",
        "donchian",
        "atr_breakout",
        "ichimoku",
        "vwap_reversion",
        "volatility_scaling",
        "funding_carry",
        "nadaraya_watson",
        "linear_svc",
        "pca_tree",
    )
    assert {family.kind for family in registry} == set(SeedKind)
    assert registry.names(ml=True) == registry.names(SeedKind.ML) == ("linear_svc", "pca_tree")
    assert registry.get("funding_carry").needs == ("funding",)
    for family in registry:
        assert family.idea().endswith("."), family
        assert all(g.doc for g in family.genes().values()), family


def test_a_user_file_adds_a_family(tmp_path: Path) -> None:
    registry = SeedRegistry()
    assert registry.load(written(tmp_path, USER_FILE)) == ("my_ema_cross",)
    family = registry.get("my_ema_cross")
    assert family.idea() == "Follow the fast average while it leads the slow one."
    genome = default_genome(family).with_genes(fast=10, slow=56, band=0.01)
    rules = registry.express(genome).rules
    assert rules.long.text == "gt(ema(close,10),mul(ema(close,56),1.01))"
    assert rules.short.text == "lt(ema(close,10),mul(ema(close,56),0.99))"
    assert registry.origin("my_ema_cross").endswith("mine.py")


def test_a_folder_is_loaded_and_its_content_is_hashed(tmp_path: Path) -> None:
    written(tmp_path, USER_FILE, "a.py")
    written(tmp_path, USER_FILE.replace("my_ema", "other_ema"), "b.py")
    registry = SeedRegistry([tmp_path])
    assert {"my_ema_cross", "other_ema_cross"} <= set(registry.names())
    assert len(registry.sources) == 2
    before = registry.source_hash()
    assert before != SeedRegistry().source_hash()
    written(tmp_path, USER_FILE + "# changed\n", "a.py")
    assert SeedRegistry([tmp_path]).source_hash() != before


def test_the_name_defaults_to_the_class_in_snake_case(tmp_path: Path) -> None:
    text = USER_FILE.replace(', name="my_ema_cross"', "").replace("EmaCross", "RSITurn2Fast")
    assert SeedRegistry().load(written(tmp_path, text)) == ("rsi_turn2_fast",)


def test_a_taken_name_is_refused_and_nothing_of_the_folder_stays(tmp_path: Path) -> None:
    written(tmp_path, USER_FILE, "a.py")
    written(tmp_path, USER_FILE.replace("my_ema_cross", "donchian"), "b.py")
    registry = SeedRegistry()
    with pytest.raises(StrategyError, match="'donchian' is taken") as refused:
        registry.load(tmp_path)
    assert "built in" in refused.value.why
    assert "my_ema_cross" not in registry
    assert registry.sources == {}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("    slow = Window(20, 224)", "    slow = Window(20 224)", 10, "syntax error"),
        ("    slow = Window(20, 224)", "    slow = Window(400, 500)", 10, "no window of the grid"),
        ("    slow = Window(20, 224)", "    slow = Windw(20, 224)", 10, "Windw"),
        ("return Rules(long=fast > slow", "return Rules(long=fast > slwo", 15, "slwo"),
        ("(m.close, self.fast)", "(m.close, self.fats)", 14, "fats"),
        ("long=fast > slow * (1 + self.band)", "long=fast", 15, "not a condition"),
        ("    def rules", "    def rulez", 5, "has no rules"),
    ],
)
def test_mistakes_are_told_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in USER_FILE
    file = written(tmp_path, USER_FILE.replace(old, new))
    with pytest.raises(StrategyError) as told:
        SeedRegistry().load(file)
    assert f"{file}, line {line}" in str(told.value)
    assert says in str(told.value)


def test_other_bad_paths(tmp_path: Path) -> None:
    registry = SeedRegistry()
    with pytest.raises(StrategyError, match="does not exist"):
        registry.load(tmp_path / "none.py")
    with pytest.raises(StrategyError, match="holds no Python file"):
        registry.load(tmp_path)
    with pytest.raises(StrategyError, match="defines no seed family"):
        registry.load(written(tmp_path, "x = 1\n"))
    with pytest.raises(StrategyError, match="did you mean 'donchian'"):
        registry.get("donchain")


def test_a_gene_may_not_take_a_word_of_seed(tmp_path: Path) -> None:
    text = USER_FILE.replace("band", "kind")
    with pytest.raises(StrategyError, match="a gene named 'kind'"):
        SeedRegistry().load(written(tmp_path, text))


def test_orderings_that_cannot_hold_are_refused(tmp_path: Path) -> None:
    text = USER_FILE.replace("import Float", "import Ordering, Float").replace(
        "    def rules", '    orderings = (Ordering("fast", "slwo", 0.7),)\n\n    def rules'
    )
    with pytest.raises(StrategyError, match="did you mean 'slow'"):
        SeedRegistry().load(written(tmp_path, text))
    never = text.replace("slwo", "slow").replace("Window(5, 40)", "Window(224, 320)")
    with pytest.raises(StrategyError, match="never satisfy"):
        SeedRegistry().load(written(tmp_path, never, "never.py"))
