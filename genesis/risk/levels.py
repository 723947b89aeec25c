"""Risk levels of an account, and what each of them forbids."""

from __future__ import annotations

from enum import IntEnum

from genesis.risk import formulas


class RiskLevel(IntEnum):
    """How grave the state of an account is; a graver one includes what the lesser forbid."""

    LOW = formulas.LOW
    MODERATE = formulas.MODERATE
    HIGH = formulas.HIGH
    CRITICAL = formulas.CRITICAL
    EMERGENCY = formulas.EMERGENCY

    @property
    def meaning(self) -> str:
        """What is allowed."""
        return _MEANINGS[self]

    @property
    def needs_permit(self) -> bool:
        """Whether new risk needs a person's approval."""
        return self is RiskLevel.HIGH

    @property
    def reduces_only(self) -> bool:
        """Whether no approval lets new risk through."""
        return self >= RiskLevel.CRITICAL


_MEANINGS = {
    RiskLevel.LOW: "normal trading",
    RiskLevel.MODERATE: "new risk at three quarters of its size at most",
    RiskLevel.HIGH: "new risk only with the approval of a person, at three quarters of its size",
    RiskLevel.CRITICAL: "no new risk; positions may only be reduced",
    RiskLevel.EMERGENCY: "trading is halted, open orders are cancelled, positions are closed",
}
