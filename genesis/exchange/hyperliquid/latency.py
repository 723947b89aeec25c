"""Timeouts that follow the measured latency, as those of TCP do (RFC 6298)."""

from __future__ import annotations

_GAIN, _VARIATION_GAIN = 1.0 / 8.0, 1.0 / 4.0


class Latency:
    """Round trips of one kind of request.

    Parameters
    ----------
    least_s, most_s : float
        Bounds of the timeout; before the first answer it is the most.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, most_s
        self.mean_s = 0.0
        self._variation_s = 0.0
        self._backoff = 1.0
        self.samples = 0

    @property
    def timeout_s(self) -> float:
        """How long to wait for the next answer."""
        if not self.samples:
            return self._most_s
        wanted = (self.mean_s + 4.0 * self._variation_s) * self._backoff
        return min(max(wanted, self._least_s * self._backoff), self._most_s)

    def answered(self, seconds: float) -> None:
        """Take in a round trip."""
        if self.samples:
            self._variation_s += _VARIATION_GAIN * (abs(seconds - self.mean_s) - self._variation_s)
            self.mean_s += _GAIN * (seconds - self.mean_s)
        else:
            self.mean_s, self._variation_s = seconds, seconds / 2.0
        self.samples += 1
        self._backoff = 1.0

    def timed_out(self) -> None:
        """No answer came in time: be more patient until one comes."""
        self._backoff = min(2.0 * self._backoff, 64.0)
