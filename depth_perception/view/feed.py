"""The newest frame of one camera, put together from messages that arrive one by one."""

from __future__ import annotations

from collections import OrderedDict
import itertools
import threading
import time
from typing import Any

from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.view.frames import Decoded, FrameSet

_MOST_PICTURES = 30
_MOST_BYTES = 48 << 20  # of pictures that wait for their depth
_COMPANY_S = 2.0  # a sigma or picture seen this lately is waited for
_WANTED_S = 8.0  # a camera is wanted so long after somebody asked for its frames
_RATE_FRAMES = 30
_numbers = itertools.count(1)  # of all feeds, so that one that comes back does not repeat itself


class _Waiting:
    """Messages by stamp, the oldest forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._bytes = 0
        self._seen_s = float('-inf')

    def add(self, message: Any) -> None:
        self._seen_s = time.monotonic()
        self._drop(stamp_ns_of(message))
        self._kept[stamp_ns_of(message)] = message
        self._bytes += len(message.data)
        while len(self._kept) > self._most or (self._bytes > _MOST_BYTES and len(self._kept) > 1):
            self._drop(next(iter(self._kept)))

    def get(self, stamp_ns: int) -> Any:
        return self._kept.get(stamp_ns)

    @property
    def flowing(self) -> bool:
        return time.monotonic() - self._seen_s < _COMPANY_S

    def _drop(self, stamp_ns: int) -> None:
        message = self._kept.pop(stamp_ns, None)
        if message is not None:
            self._bytes -= len(message.data)


class CameraFeed:
    """Keeps the newest frame of one camera; older ones are forgotten, whoever has seen them.

    One thread brings messages, others wait for frames.

    Attributes:
        name: Namespace of the outputs, e.g. '/front'; '/' for none.
        status: Newest status of the node, as a dict that JSON can hold; {} before the first.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.status: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._newest: tuple[int, FrameSet | Decoded] | None = None
        self._depth: Any = None  # has not become a frame yet
        self._sigmas, self._images = _Waiting(4), _Waiting(_MOST_PICTURES)
        self._info: Any = None
        self._asked_s = float('-inf')
        self._times_s: list[float] = []

    def take(self, role: str, message: Any) -> None:
        """Take a message.

        Args:
            role: 'depth', 'sigma', 'image' or 'info'.
            message: A message of the kind that FrameSet names.
        """
        with self._changed:
            if role == 'depth':
                if self._depth is not None:
                    self._finish()  # what is missing will not come any more
                self._depth = message
            elif role == 'info':
                self._info = message
            else:
                (self._sigmas if role == 'sigma' else self._images).add(message)
            if self._depth is not None and self._complete():
                self._finish()

    def _complete(self) -> bool:
        stamp_ns = stamp_ns_of(self._depth)
        return self._info is not None and all(
            waiting.get(stamp_ns) is not None or not waiting.flowing
            for waiting in (self._sigmas, self._images)
        )

    def _finish(self) -> None:
        stamp_ns = stamp_ns_of(self._depth)
        sigma, image = self._sigmas.get(stamp_ns), self._images.get(stamp_ns)
        frame = FrameSet(self._depth, sigma, image, self._info)
        self._depth = None
        self._offer(frame)

    def put(self, frame: Decoded) -> None:
        """Take a whole frame."""
        with self._changed:
            self._offer(frame)

    def _offer(self, frame: FrameSet | Decoded) -> None:
        self._newest = next(_numbers), frame
        self._times_s = [*self._times_s[-_RATE_FRAMES:], time.monotonic()]
        self._changed.notify_all()

    def newer(self, than: int, timeout_s: float) -> tuple[int, FrameSet | Decoded] | None:
        """Return the newest frame and its number, once this is not `than`; None if none comes.

        Numbers grow with every frame, of whatever camera.
        """
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.wait_for(lambda: self._is_new(than), timeout_s)
            self._asked_s = time.monotonic()
            return self._newest if self._is_new(than) else None

    def _is_new(self, than: int) -> bool:
        return self._newest is not None and self._newest[0] != than

    @property
    def wanted(self) -> bool:
        """Whether somebody has asked for frames in the last seconds."""
        return time.monotonic() - self._asked_s < _WANTED_S

    @property
    def rate_hz(self) -> float:
        """Frames per second that arrive here, over the last seconds."""
        now_s = time.monotonic()
        recent = [moment for moment in self._times_s if now_s - moment < 3.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    @property
    def age_s(self) -> float:
        """Time since the last frame arrived [s]; infinite before the first."""
        return time.monotonic() - self._times_s[-1] if self._times_s else float('inf')


class Feeds:
    """The cameras there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: dict[str, CameraFeed] = {}
        self.remark = ''

    def feed(self, name: str) -> CameraFeed:
        """Return the feed of a camera; it is added if it is new."""
        with self._lock:
            return self._feeds.setdefault(name, CameraFeed(name))

    def forget(self, name: str) -> None:
        """Take a camera off the list."""
        with self._lock:
            self._feeds.pop(name, None)

    def names(self) -> list[str]:
        """Return the names of the cameras, in order."""
        with self._lock:
            return sorted(self._feeds)

    def get(self, name: str) -> CameraFeed | None:
        """Return a camera by its name, or the first one if the name is ''; None: not there."""
        with self._lock:
            first = min(self._feeds, default='')
            return self._feeds.get(name or first)
