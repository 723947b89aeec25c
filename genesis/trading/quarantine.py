"""LOST: this file's first version (uncommitted) was overwritten by mistake; write it again."""

raise ImportError(
    "genesis/trading/quarantine.py was overwritten by mistake while the input check was written "
    "(its content is now genesis/trading/messages.py); the original with quarantined(folder) -> "
    "numbers of events that a person took out, used by genesis/trading/session.py, has to be "
    "written again by its author. It could not be restored: it was never committed."
)
