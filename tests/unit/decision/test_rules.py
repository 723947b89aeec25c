"""The rules file: read strictly, or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from genesis.decision.rules import KINDS, SHIPPED, DecisionRules, load_rules, parse_rules
from genesis.domain.errors import ConfigError

TEXT = SHIPPED.read_text(encoding="utf-8")


def changed(key: str, value: Any) -> dict[str, Any]:
    plain = load_rules().plain()
    part = plain
    *path, last = key.split(".")
    for name in path:
        part = part[name]
    part[last] = value
    return plain


def test_the_shipped_rules_are_the_table_of_the_reference() -> None:
    plain = load_rules().plain()
    table = {
        "confidence.automatic": 0.9,
        "confidence.review": 0.7,
        "deadlines.LOW": None,
        "deadlines.MEDIUM": 24,
        "deadlines.HIGH": 4,
        "deadlines.CRITICAL": 0,
        "strategy_pool_sizing.base_strategies_per_1k_capital": 1,
        "strategy_pool_sizing.min_strategies": 3,
        "strategy_pool_sizing.max_strategies": 25,
        "strategy_pool_sizing.high_sharpe": 2.0,
        "strategy_pool_sizing.high_sharpe_change": 5,
        "strategy_pool_sizing.low_sharpe": 0.5,
        "strategy_pool_sizing.low_sharpe_change": -3,
        "strategy_pool_sizing.confidence": 0.9,
        "strategy_pool_sizing.review_confidence": 0.7,
        "strategy_retirement.negative_sharpe_days": 7,
        "strategy_retirement.max_drawdown": 0.15,
        "strategy_retirement.drawdown_days": 3,
        "strategy_retirement.min_win_rate": 0.30,
        "strategy_retirement.low_win_rate_days": 14,
        "strategy_retirement.review_above": 2,
        "strategy_retirement.confidence": 0.8,
        "strategy_retirement.keep_confidence": 1.0,
        "new_strategy_approval.min_backtest_sharpe": 1.0,
        "new_strategy_approval.min_paper_days": 3,
        "new_strategy_approval.min_paper_sharpe": 0.8,
        "new_strategy_approval.max_paper_drawdown": 0.12,
        "new_strategy_approval.min_passed": 3,
        "emergency_shutdown.daily_loss": 0.05,
        "emergency_shutdown.weekly_loss": 0.15,
        "emergency_shutdown.max_drawdown": 0.20,
        "risk_adjustment.high_volatility": 0.05,
        "risk_adjustment.high_correlation": 0.8,
        "risk_adjustment.low_volume_ratio": 0.7,
        "risk_adjustment.factor_several": 0.5,
        "risk_adjustment.factor_one": 1.0,
        "risk_adjustment.factor_calm": 1.2,
        "risk_adjustment.confidence": 0.85,
        "trading_session_optimization.volatile.size_factor": 0.8,
        "trading_session_optimization.volatile.max_positions": 15,
        "trading_session_optimization.volatile.risk_factor": 0.7,
        "trading_session_optimization.correlated.size_factor": 0.9,
        "trading_session_optimization.correlated.max_positions": 10,
        "trading_session_optimization.correlated.risk_factor": 0.8,
        "trading_session_optimization.normal.size_factor": 1.0,
        "trading_session_optimization.normal.max_positions": 20,
        "trading_session_optimization.normal.risk_factor": 1.0,
        "trading_session_optimization.confidence": 0.9,
    }
    for key, value in table.items():
        part: Any = plain
        for name in key.split("."):
            part = part[name]
        assert part == value, key


def test_json_is_read_too_and_the_hash_is_of_what_the_rules_say() -> None:
    rules = load_rules()
    assert parse_rules(json.dumps(rules.plain())).hash == rules.hash
    assert parse_rules(re.sub(r"#.*", "", TEXT)).hash == rules.hash
    other = DecisionRules.from_plain(changed("emergency_shutdown.daily_loss", 0.04))
    assert other.hash != rules.hash


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("schema: 1", "problems"),
        ("schema: [", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not a mapping"),
        (TEXT.replace("daily_loss: 0.05", "daily_los: 0.05"), "did you mean 'daily_loss'"),
        (TEXT.replace("daily_loss: 0.05", "daily_loss: true"), "daily_loss cannot be True"),
        (TEXT.replace("daily_loss: 0.05", "daily_loss: '0.05'"), "daily_loss cannot be '0.05'"),
        (TEXT.replace("daily_loss: 0.05", "daily_loss: .nan"), "daily_loss cannot be nan"),
        (TEXT.replace("daily_loss: 0.05", "daily_loss: 0"), "daily_loss cannot be 0"),
        (TEXT.replace("schema: 1", "schema: 2"), "schema cannot be 2"),
        (TEXT + "\nschema: 1\n", "written twice"),
    ],
)
def test_a_file_that_is_not_valid_is_an_error_and_never_a_default(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_rules(text, "my.yaml")
    assert "my.yaml" in refused.value.what
    assert words in f"{refused.value.what} {refused.value.why}"


def test_every_key_must_be_there() -> None:
    plain = load_rules().plain()
    for kind in KINDS:
        for key in plain[kind]:
            short = {**plain, kind: {k: v for k, v in plain[kind].items() if k != key}}
            with pytest.raises(ConfigError, match=f"{kind}.{key} is missing"):
                DecisionRules.from_plain(short)
        with pytest.raises(ConfigError, match=f"{kind} is missing"):
            DecisionRules.from_plain({k: v for k, v in plain.items() if k != kind})


@pytest.mark.parametrize("content", [None, b"\xff\xfe", "folder"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "rules.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match="cannot read the decision rules"):
        load_rules(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("confidence.review", 0.95),
        ("confidence.incomplete", 0.7),
        ("deadlines.HIGH", 48),
        ("deadlines.HIGH", None),
        ("data.min_days", 31),
        ("strategy_pool_sizing.min_strategies", 26),
        ("strategy_pool_sizing.low_sharpe", 2.5),
        ("risk_adjustment.factor_several", 1.1),
        ("risk_adjustment.factor_one", 1.3),
        ("trading_session_optimization.volatile.size_factor", 1.1),
        ("trading_session_optimization.correlated.max_positions", 21),
        ("emergency_shutdown.handling.review", "before"),
        ("emergency_shutdown.handling.review_urgency", "HIGH"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        DecisionRules.from_plain(changed(key, value))
    assert key.rsplit(".", 1)[0].split(".")[0] in refused.value.what
