"""Who sits at the keyboard."""

from __future__ import annotations


def whoami() -> str:
    """Name of the person at the keyboard, as the system has it; ``unknown`` where it has none."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without an entry, as in many containers
        return "unknown"
