"""The small study of the evidence tests, for those of promotion."""

from tests.unit.evidence.conftest import bred, settled_code

__all__ = ["bred", "settled_code"]
