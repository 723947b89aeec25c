"""Files of configuration that come with the platform, by a path that works where it is typed."""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def shipped(name: str) -> str:
    """Path of a configuration: ``configs/NAME`` in the checkout, in full from anywhere else.

    Parameters
    ----------
    name : str
        ``demo.yaml``.
    """
    near, file = Path("configs") / name, CONFIGS / name
    if not file.exists() or (near.exists() and near.samefile(file)):
        return str(near)
    return str(file)
