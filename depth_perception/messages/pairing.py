"""Pair the messages of several inputs by stamp, in the node as in the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time
from typing import Any, Generic, Protocol, TypeVar

from depth_perception.core import sync
from depth_perception.messages.frames import MessageSet
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.parameters import NodeSettings

T = TypeVar('T')

STAMP_LIMIT_NS = 2**31 * 1_000_000_000  # what builtin_interfaces/Time can hold
_JUMP_NS = 100_000_000  # stamps going back by more than this are another recording or clock


class Pairing(Protocol):
    """What every synchroniser can do."""

    def add(self, index: int, stamp_ns: int, item: Any) -> tuple[Any, ...] | None:
        """Take one item and return the set that it completes, if it does."""

    def waiting(self) -> list[int]:
        """Return how many items each input has waiting."""


class Drops(Protocol):
    """Where messages that are not used are counted and explained."""

    def drop(self, cause: str, message: str) -> None:
        """Count a frame that is not served, with the reason."""

    def count(self, cause: str) -> None:
        """Count a frame that is not served for a reason that needs no words."""

    def warn(self, key: str, message: str) -> None:
        """Tell of something that the user should know."""


class InputSynchroniser(Generic[T]):
    """Pairs the inputs of a node by stamp.

    Sets leave in the order of their stamps, and a stamp makes one set at most. Stamps that jump
    back by more than a second (a bag that loops, a clock that was set), against those of the same
    input or against the last set, empty all queues, because messages from the former future
    would block the new ones.

    Args:
        count: Number of inputs.
        make_pairing: Returns a new, empty synchroniser.

    Attributes:
        resets: How often a jump back emptied the queues.
    """

    def __init__(self, count: int, make_pairing: Callable[[], Pairing]) -> None:
        self._make_pairing = make_pairing
        self._count = count
        self._added = [0] * count
        self._sets = 0
        self.resets = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything that waits."""
        self._pairing = self._make_pairing()
        self._newest_ns: list[int | None] = [None] * self._count
        self._last_set_ns: int | None = None

    def add(self, index: int, stamp_ns: int, item: T) -> tuple[T, ...] | None:
        """Take an item of one input and return the set that it completes, if it does.

        Args:
            index: Which input the item belongs to.
            stamp_ns: Stamp of the item [ns]; an item with one that no clock gives is dropped.
            item: Anything.

        Returns:
            One item per input, in the order of the inputs, or None.
        """
        if not 0 <= stamp_ns < STAMP_LIMIT_NS:
            self._added[index] += 1
            return None
        if self._jumped_back(index, stamp_ns):
            self.resets += 1
            self.reset()
        newest_ns = self._newest_ns[index]
        self._newest_ns[index] = stamp_ns if newest_ns is None else max(newest_ns, stamp_ns)
        self._added[index] += 1
        if self._last_set_ns is not None and stamp_ns <= self._last_set_ns:
            return None
        matched = self._pairing.add(index, stamp_ns, (stamp_ns, item))
        if matched is None:
            return None
        self._last_set_ns = min(stamp for stamp, _ in matched)
        self._sets += 1
        return tuple(content for _, content in matched)

    def _jumped_back(self, index: int, stamp_ns: int) -> bool:
        known = (self._newest_ns[index], self._last_set_ns)
        return any(
            before is not None and stamp_ns < before - sync.CLOCK_JUMP_NS for before in known
        )

    def waiting(self) -> list[int]:
        """Return how many items each input has waiting."""
        return self._pairing.waiting()

    @property
    def dropped(self) -> list[int]:
        """Items that left without being part of a set, per input."""
        waiting = self._pairing.waiting()
        return [
            added - self._sets - left for added, left in zip(self._added, waiting, strict=True)
        ]


def own_synchroniser(count: int, tolerance_ns: int | None, queue_size: int) -> Pairing:
    """Return the synchroniser of core.sync; a tolerance of None wants equal stamps."""
    return sync.Synchroniser[Any](count, tolerance_ns or 0, queue_size)


class FramePairing:
    """Makes message sets of the images and camera_infos of one node, in the order they come.

    Args:
        cameras: Number of cameras; inputs are their images first, then their camera_infos.
        settings: How to pair.
        synchroniser: Pairs `paired` inputs.
        drops: Told of what is not used.

    Attributes:
        paired: How many inputs are paired by stamp: the images, and the camera_infos unless the
            newest one is to serve for every image.
        epoch: Grows when time jumped back.
        sets: Complete sets so far, with or without a camera_info.
        paired_images: Images that became part of a set.
    """

    def __init__(
        self,
        cameras: int,
        settings: NodeSettings,
        synchroniser: InputSynchroniser[Any],
        drops: Drops,
    ) -> None:
        self._cameras = cameras
        self._synchroniser = synchroniser
        self._drops = drops
        self._cached: list[Any] = [None] * cameras
        self._last_ns: list[int | None] = [None] * (2 * cameras)
        self.paired = paired_inputs(cameras, settings)
        self.epoch = 0
        self.sets = 0
        self.paired_images = 0

    @property
    def sync_failures(self) -> int:
        """Messages that left without a partner."""
        return sum(self._synchroniser.dropped)

    def last_stamp_ns(self, index: int) -> int | None:
        """Return the stamp of the newest message of an input [ns]; None before the first."""
        return self._last_ns[index]

    def forget(self) -> None:
        """Drop what waits for a partner, and begin a new epoch."""
        self._synchroniser.reset()
        self.epoch += 1
        self._last_ns = [None] * len(self._last_ns)

    def add(self, index: int, message: Any, name: str) -> MessageSet | None:
        """Take a message and return the set that it completes, if it does.

        Args:
            index: Which input it belongs to.
            message: An image or a camera_info.
            name: How to call the input in messages.
        """
        if index >= self.paired:
            self._cached[index - self._cameras] = message
            return None
        stamp_ns = stamp_ns_of(message)
        if stamp_ns <= 0:
            if index < self._cameras:
                self._drops.drop(
                    'zero_stamp',
                    f'{name} has stamp {stamp_ns}; the driver must stamp images with the '
                    'time of capture',
                )
            return None
        last_ns = self._last_ns[index]
        if last_ns is not None and stamp_ns < last_ns - _JUMP_NS:
            back_s = (last_ns - stamp_ns) / 1e9
            self._drops.warn(
                'jump', f'stamps of {name} jumped back by {back_s:.3f} s; starting afresh'
            )
            self.forget()
        self._last_ns[index] = stamp_ns
        matched = self._synchroniser.add(index, stamp_ns, message)
        return None if matched is None else self._completed(matched)

    def _completed(self, matched: Sequence[Any]) -> MessageSet | None:
        infos = tuple(matched[self._cameras :]) or tuple(self._cached)
        self.sets += 1
        self.paired_images += self._cameras
        if any(info is None for info in infos):
            self._drops.count('no_camera_info')
            return None
        images = tuple(matched[: self._cameras])
        return MessageSet(images, infos, time.perf_counter(), self.epoch)


def paired_inputs(cameras: int, settings: NodeSettings) -> int:
    """Return how many inputs of a node are paired by stamp."""
    return cameras * (1 if settings.cache_camera_info else 2)


def tolerance_ns_of(settings: NodeSettings) -> int | None:
    """Return the greatest difference between the stamps of a set [ns]; None: equal stamps."""
    if not settings.approximate_sync:
        return None
    return round(settings.approximate_sync_tolerance_seconds * 1e9)
