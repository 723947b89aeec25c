"""Files that come with the platform, by a path that works where it is typed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def shipped(name: str) -> str:
    """Path of a file: as it is named in the checkout, in full from anywhere else.

    It looks at the disk, so it is for an error that is told, not for a constant.

    Parameters
    ----------
    name : str
        From the root of the checkout: ``configs/demo.yaml``.
    """
    near, file = Path(name), ROOT / name
    if not file.exists() or (near.exists() and near.samefile(file)):
        return str(near)
    return str(file)
