"""Notice when images arrive that find no partner, which users otherwise see as a low rate only."""

from __future__ import annotations

from collections import deque

WINDOW_S = 6.0
LEAST_IMAGES = 12  # fewer say nothing
LOST_SHARE = 0.25


class PairingWatch:
    """Compares, over the last seconds, how many images arrived with how many were paired."""

    def __init__(self) -> None:
        self._observations: deque[tuple[float, int, int]] = deque()

    def forget(self) -> None:
        """Begin anew, e.g. because the inputs were closed."""
        self._observations.clear()

    def observe(self, now_s: float, received: int, paired: int) -> str:
        """Take the counters as they are now and return what is wrong, or ''.

        Args:
            now_s: Steady time [s].
            received: Images received so far, of all cameras together.
            paired: Images of them that were part of a complete set.
        """
        observations = self._observations
        observations.append((now_s, received, paired))
        while now_s - observations[0][0] > WINDOW_S:
            observations.popleft()
        arrived = received - observations[0][1]
        lost = arrived - (paired - observations[0][2])
        if arrived < LEAST_IMAGES or lost <= LOST_SHARE * arrived:
            return ''
        return (
            f'{100.0 * lost / arrived:.0f} % of the images find no partner. If the cameras stamp '
            'both alike, messages are lost on the way: give the process that publishes the images '
            'more shared memory (FASTDDS_DEFAULT_PROFILES_FILE=.../config/fastdds_shm.xml, see '
            'docs/interface.md, QoS)'
        )
