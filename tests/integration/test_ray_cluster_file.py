"""`ray-cluster.yaml` as Ray itself reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).resolve().parents[2] / "ray-cluster.yaml"


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(cluster)
    validate_config(prepared)
    assert prepared["available_node_types"]["cpu"]["max_workers"] == 8
    broken = {**cluster, "max_wrkers": 3}
    with pytest.raises(Exception, match="max_wrkers"):
        validate_config(prepare_config(broken))


def test_groups_and_limits(cluster: dict[str, Any]) -> None:
    groups = cluster["available_node_types"]
    assert cluster["head_node_type"] == "head"
    assert groups["gpu"]["resources"]["GPU"] == 1
    assert groups["gpu"]["max_workers"] == 0
    assert 0 <= groups["cpu"]["min_workers"] < groups["cpu"]["max_workers"]
    assert cluster["max_workers"] >= groups["cpu"]["max_workers"]
    assert cluster["idle_timeout_minutes"] > 0


def test_every_node_starts_with_tokens_and_hashes_and_no_secret_is_inside(
    cluster: dict[str, Any],
) -> None:
    starts = [
        line
        for part in ("head_start_ray_commands", "worker_start_ray_commands")
        for line in cluster[part]
        if "ray start" in line
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert "/home/ubuntu/.ray/auth_token" in cluster["file_mounts"]
    assert any(
        "--require-hashes" in line and "requirements/research.txt" in line
        for line in cluster["setup_commands"]
    )
    assert (FILE.parent / "requirements" / "research.txt").is_file()
    text = FILE.read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|[0-9a-f]{40}", text)
    assert not re.search(r"aws_(secret_)?access_key", text, re.IGNORECASE)
