"""Files that no parser reads: every reader says where, what is wrong in words, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genesis.decision.context import read_context
from genesis.decision.strategy_files import ConfigStrategyLoader
from genesis.domain.errors import GenesisError
from genesis.evolution.config import load_config
from genesis.exchange.venue.faults import read_faults
from genesis.system.gateway_file import read_gateway
from genesis.trading.feeds.entries import read_entries


def told(read: Callable[[], object]) -> GenesisError:
    with pytest.raises(GenesisError) as caught:
        read()
    return caught.value


READERS = {
    "study": load_config,
    "strategy": ConfigStrategyLoader.load,
    "faults": read_faults,
    "gateway": read_gateway,
    "news": lambda path: list(read_entries(path, "news")),
}


@pytest.mark.parametrize("kind", READERS)
def test_broken_yaml_is_told_by_line_in_words_and_with_what_to_do(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("schema: 1\nname: a: b\n")
    error = told(lambda: READERS[kind](path))
    assert error.what == f"{path}:2 is not valid YAML"
    assert error.why == (
        "a second colon, or a key that is indented too far (mapping values are not allowed here)"
    )
    assert error.fix.startswith("mend that line of the file")


@pytest.mark.parametrize("kind", ["study", "strategy", "faults", "gateway"])
def test_broken_json_is_not_called_yaml(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text('{"schema": 1,\n "kind" "strategy"}')
    error = told(lambda: READERS[kind](path))
    assert error.what == f"{path}:2 is not valid JSON"
    assert error.why == "Expecting ':' delimiter (column 9)"
    assert error.fix


def test_a_broken_context_is_json_whatever_its_name() -> None:
    error = told(lambda: read_context('{"schema": 1,\n', "facts"))
    assert error.what == "facts:2 is not valid JSON"
    assert "--context-out" in error.fix


def test_a_list_that_is_not_closed_is_told_of_as_one(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("schema: 1\nsymbols: [A, B\nname: x\n")
    assert "opened with [ and not closed" in told(lambda: load_config(path)).why


def test_a_file_that_is_not_there_is_answered_with_what_makes_one(tmp_path: Path) -> None:
    error = told(lambda: ConfigStrategyLoader.load(tmp_path / "absent.yaml"))
    assert "genesis deployments save STRATEGY" in error.fix
