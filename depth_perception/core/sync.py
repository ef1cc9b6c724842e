"""Pair messages of several inputs by their stamps, without ROS and without threads."""

from __future__ import annotations

from typing import Generic, TypeVar

from depth_perception.errors import SettingsError

T = TypeVar('T')

CLOCK_JUMP_NS = 1_000_000_000
"""A stamp that is older than the last set by more than this means that the clock jumped back."""


class Synchroniser(Generic[T]):
    """Collects one item per input whose stamps agree, and hands them out as a set.

    Sets leave in the order of their stamps: when one is complete, everything older is dropped,
    because a robot wants the newest view and never an older one after it. Only a stamp that is
    older by more than CLOCK_JUMP_NS is believed: the clock jumped back (a bag starts again, a
    simulation is reset), so everything is forgotten and pairing starts anew.

    Attributes:
        dropped: Items that left without being part of a set, per input.
        jumps: How often the clock jumped back.

    Args:
        count: Number of inputs.
        tolerance_ns: Greatest difference between two stamps of a set; 0 wants equal stamps.
        queue_size: Items kept per input; the oldest leaves first.

    Raises:
        SettingsError: If an argument is out of its range.
    """

    def __init__(self, count: int, tolerance_ns: int = 0, queue_size: int = 5) -> None:
        if count < 1 or tolerance_ns < 0 or queue_size < 1:
            raise SettingsError(
                f'synchroniser wants count >= 1, tolerance_ns >= 0 and queue_size >= 1, '
                f'got {count}, {tolerance_ns} and {queue_size}'
            )
        self._tolerance_ns = tolerance_ns
        self._queue_size = queue_size
        self._queues: list[dict[int, T]] = [{} for _ in range(count)]
        self._last_ns: int | None = None
        self.dropped = [0] * count
        self.jumps = 0

    def add(self, index: int, stamp_ns: int, item: T) -> tuple[T, ...] | None:
        """Take an item of one input and return the set that it completes, if it does.

        Args:
            index: Which input the item belongs to.
            stamp_ns: Stamp of the item [ns].
            item: Anything.

        Returns:
            One item per input, in the order of the inputs, or None.
        """
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            if self._last_ns - stamp_ns <= CLOCK_JUMP_NS:
                self.dropped[index] += 1
                return None
            self.reset()
            self.jumps += 1
        self.dropped[index] += stamp_ns in self._queues[index]  # which it replaces
        self._queues[index][stamp_ns] = item
        stamps = self._matching_stamps(stamp_ns)
        if stamps is None:
            self._trim(index)
            return None
        matched = tuple(
            queue.pop(stamp) for queue, stamp in zip(self._queues, stamps, strict=True)
        )
        for position, stamp in enumerate(stamps):
            self._drop_before(position, stamp)
        self._last_ns = min(stamps)
        return matched

    def reset(self) -> None:
        """Forget everything that waits, e.g. because the clock jumped back."""
        self._last_ns = None
        for queue in self._queues:
            queue.clear()

    def waiting(self) -> list[int]:
        """Return how many items each input has waiting."""
        return [len(queue) for queue in self._queues]

    def _matching_stamps(self, stamp_ns: int) -> list[int] | None:
        """Return the stamp of every input that is nearest to `stamp_ns`, if all are near."""
        if self._tolerance_ns == 0:
            complete = all(stamp_ns in queue for queue in self._queues)
            return [stamp_ns] * len(self._queues) if complete else None
        if not all(self._queues):
            return None
        nearest = [min(queue, key=lambda s: (abs(s - stamp_ns), s)) for queue in self._queues]
        return nearest if max(nearest) - min(nearest) <= self._tolerance_ns else None

    def _drop_before(self, index: int, stamp_ns: int) -> None:
        queue = self._queues[index]
        for stamp in [stamp for stamp in queue if stamp < stamp_ns]:
            del queue[stamp]
            self.dropped[index] += 1

    def _trim(self, index: int) -> None:
        queue = self._queues[index]
        while len(queue) > self._queue_size:
            del queue[min(queue)]
            self.dropped[index] += 1
