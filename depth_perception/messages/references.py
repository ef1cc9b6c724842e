"""References from messages: keep the newest, and make what surrounds an image of them.

The same buffer serves the node, where messages come as they are sent, and the evaluation, where
they come as they were recorded. It never waits: what is there when the image is served is used.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
import threading
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Surroundings
from depth_perception.core.references import (
    known_pixels,
    MAX_REFERENCES,
    moved_points,
    points_of_pixels,
    ReferenceNoise,
    references_from_depth,
    references_from_points,
)
from depth_perception.core.scale_types import joined_references, References
from depth_perception.core.transforms import inverse_of, Pose
from depth_perception.core.types import DepthMap
from depth_perception.errors import CalibrationError, DepthPerceptionError, FrameError
from depth_perception.messages.cameras import camera_from_info, info_key
from depth_perception.messages.clouds import measured_points_from_cloud
from depth_perception.messages.compressed import depth_from_compressed_depth
from depth_perception.messages.images import depth_from_image
from depth_perception.messages.locating import Located, Locator, same_frame
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.reference_parameters import ReferenceSettings
import numpy as np
from numpy.typing import NDArray

POINTS, DEPTH = 'reference/points', 'reference/depth'
KINDS = (POINTS, DEPTH)
_KEPT = 6  # messages of each kind; the images that are served are hardly older
MOST_POINTS = 1 << 18
"""A laser of 128 lines of 2048 points; of a cloud with more an even share is read as it comes."""
_MINUTE_S = 60.0
_STILL_PX = 0.25  # a turn that moves pixels by less than this is none
_STILL_M = 1e-3
_MAY_WORK_LATER = ('no_transform', 'no_camera_info')  # causes that the next message may end

SOURCES: Mapping[str, tuple[str, ...]] = {
    'auto': KINDS,
    'points': (POINTS,),
    'depth': (DEPTH,),
    'none': (),
}


@dataclass(eq=False)
class _Kept:
    """A message that was received, and what was read of it; then the message itself is let go."""

    message: Any
    stamp_ns: int
    frame_id: str
    cloud: tuple[NDArray[np.float32], NDArray[np.float32] | None] | None = None
    depth: DepthMap | None = None


@dataclass(frozen=True)
class _Image:
    """What is asked for."""

    stamp_ns: int
    camera: PinholeCamera
    frame_id: str
    limit: int
    settings: ReferenceSettings


@dataclass(frozen=True)
class ReferenceReport:
    """What became of the references of the newest image.

    Attributes:
        used: Kind -> number of references.
        offset_s: Kind -> stamp of the reference minus stamp of the image [s].
        problem: Why there are none; '' if there are, or nobody gives any.
        motion: Why the motion of the camera is not known in between; '' if it is.
        ground: Why the floor is not known by TF; '' if it is, or nobody asks.
    """

    used: Mapping[str, int] = field(default_factory=dict)
    offset_s: Mapping[str, float] = field(default_factory=dict)
    problem: str = ''
    motion: str = ''
    ground: str = ''


class ReferenceBuffer:
    """Keeps the newest references, and answers what is known around an image.

    A message that cannot be used is dropped, counted and explained; it never costs an image.
    Messages may be added by one thread while another one asks.

    Attributes:
        settings: What is used, may change at any time.
        locator: Knows where things are.
        received: Kind -> number of messages.
        refused: Cause -> number of messages that could not be used.
        thinned: Number of clouds of more than `MOST_POINTS` points.
        newest: What became of the references of the newest image.
        info_expected: Whether somebody publishes a camera_info beside reference/depth, which is
            waited for then. Without one, depth is taken as registered to the image.

    Args:
        settings: What is used.
        locator: Knows where things are.
        max_side_px: Larger depth images are refused.
    """

    def __init__(
        self,
        settings: ReferenceSettings,
        locator: Locator | None = None,
        max_side_px: int = 16384,
    ) -> None:
        self.settings = settings
        self.locator = Locator() if locator is None else locator
        self.received: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.thinned = 0
        self.newest = ReferenceReport()
        self.info_expected = False
        self._max_side_px = max_side_px
        self._kept: dict[str, deque[_Kept]] = {kind: deque(maxlen=_KEPT) for kind in KINDS}
        self._info: Any = None
        self._camera: tuple[Any, PinholeCamera] | None = None
        self._reason: dict[str, str] = {}
        self._lock = threading.Condition()

    @property
    def listens(self) -> tuple[str, ...]:
        """The kinds that the settings ask for."""
        return SOURCES[self.settings.reference__source]

    @property
    def _awaited(self) -> list[str]:
        """The kinds that should be there: those that were named, or came before."""
        named = self.settings.reference__source != 'auto'
        return [kind for kind in self.listens if named or self.received[kind]]

    def add(self, kind: str, message: Any) -> None:
        """Take a message of reference/points or reference/depth."""
        self.received[kind] += 1
        stamp_ns = stamp_ns_of(message)
        if stamp_ns <= 0:
            self._refuse(
                kind, FrameError('zero_stamp', 'has stamp 0: the driver must stamp it'), None
            )
            return
        kept = _Kept(message, stamp_ns, str(message.header.frame_id))
        if kind == POINTS and message.width * message.height > MOST_POINTS:
            try:
                _read_cloud(kept)
            except FrameError as error:
                self._refuse(kind, error, None)
                return
            self.thinned += 1
        with self._lock:
            self._kept[kind].append(kept)
            self._lock.notify_all()

    def add_depth_info(self, message: Any) -> None:
        """Take the camera_info of reference/depth."""
        self._info = message

    def forget(self) -> None:
        """Drop everything of the past, for time jumped; static frames hold on."""
        with self._lock:
            for kept in self._kept.values():
                kept.clear()
            self._reason.clear()
        self.locator.forget()

    def surroundings_at(self, stamp_ns: int, camera: PinholeCamera, frame_id: str) -> Surroundings:
        """Return what is known around an image; never raises for what a message holds.

        Args:
            stamp_ns: Stamp of the image [ns].
            camera: Its rectified camera.
            frame_id: Its optical frame.
        """
        settings = self.settings
        if settings.reference__wait_s > 0.0:
            self._wait_for(stamp_ns, settings.reference__wait_s)
        found: dict[str, References] = {}
        offsets: dict[str, float] = {}
        problems: list[str] = []
        motion = ''
        kinds = self._awaited
        limit = MAX_REFERENCES // max(1, len(kinds))
        image = _Image(stamp_ns, camera, frame_id, limit, settings)
        for kind in kinds:
            answer = self._answer(kind, image)
            if isinstance(answer, str):
                problems.append(answer)
                continue
            found[kind], offsets[kind], note = answer
            motion = motion or note
        ground, no_ground = self.locator.ground(frame_id, stamp_ns, settings)
        problem = '' if found else '; '.join(problems)
        self.newest = ReferenceReport(
            {kind: len(one) for kind, one in found.items()}, offsets, problem, motion, no_ground
        )
        return Surroundings(
            joined_references(*found.values()),
            ground,
            self.locator.fixed_from_camera(frame_id, stamp_ns, settings),
            '; '.join(text for text in (problem, no_ground) if text),
        )

    def _wait_for(self, stamp_ns: int, timeout_s: float) -> None:
        """Wait until each kind that should come has a message as young as the image."""
        kinds = self._awaited
        with self._lock:
            self._lock.wait_for(
                lambda: all(
                    any(kept.stamp_ns >= stamp_ns for kept in self._kept[kind]) for kind in kinds
                ),
                timeout_s,
            )

    def _answer(self, kind: str, image: _Image) -> tuple[References, float, str] | str:
        """Return references, how much later than the image, and a note; or why there are none."""
        with self._lock:
            near = sorted(
                self._kept[kind],
                key=lambda kept: (abs(kept.stamp_ns - image.stamp_ns), kept.stamp_ns),
            )
            reason = self._reason.get(kind, '')
        if not near:
            return reason or f'{kind}: nothing has come yet'
        reason = ''
        for kept in near:
            offset_s = (kept.stamp_ns - image.stamp_ns) / 1e9
            if abs(offset_s) > image.settings.reference__max_age_s:
                return reason or _too_far_off(kind, offset_s, image.settings)
            try:
                references, located = self._references(kind, kept, image)
            except DepthPerceptionError as error:
                reason = reason or f'{kind}: {error}'
                if getattr(error, 'cause', '') not in _MAY_WORK_LATER:
                    self._refuse(kind, error, kept)
                continue
            self._reason.pop(kind, None)
            if not len(references):
                return f'{kind}: no point is seen by the camera; check its frame and extrinsics'
            return references, offset_s, located.note
        return reason

    def _references(self, kind: str, kept: _Kept, image: _Image) -> tuple[References, Located]:
        """Return the references of one message.

        Raises:
            FrameError: If it cannot be read, or nobody knows where it was measured.
            CalibrationError: If its camera_info cannot be used.
        """
        if kind == POINTS:
            points, sigma_m = _read_cloud(kept)
            located = self._locate(kept.frame_id, kept, image)
            noise = _noise(kept, image, located)
            moved = moved_points(points, located.pose)
            return references_from_points(
                moved, image.camera, noise, measured_m=sigma_m, limit=image.limit
            ), located
        if kept.depth is None:
            kept.depth, kept.message = self._read_depth(kept.message), None
        source, located = self._depth_camera(kept.frame_id, kept, image)
        noise = _noise(kept, image, located)
        if source == image.camera and _is_still(located.pose, source):
            return references_from_depth(kept.depth, source, noise, image.limit), located
        points = points_of_pixels(kept.depth, known_pixels(kept.depth), source)
        moved = moved_points(points, located.pose)
        return references_from_points(moved, image.camera, noise, limit=image.limit), located

    def _read_depth(self, message: Any) -> DepthMap:
        if hasattr(message, 'encoding'):
            return depth_from_image(message, self._max_side_px)
        return depth_from_compressed_depth(message, self._max_side_px)

    def _depth_camera(
        self, frame: str, kept: _Kept, image: _Image
    ) -> tuple[PinholeCamera, Located]:
        """Return the camera of a depth image, and where it was."""
        assert kept.depth is not None
        height, width = kept.depth.shape
        seen = f'{width}x{height}'
        source = self._known_camera()
        if source is not None:
            if (source.width, source.height) != (width, height):
                raise CalibrationError(
                    f'it is {seen}, but its camera_info describes {source.width}x{source.height}'
                )
            return source, self._locate(frame, kept, image)
        if self.info_expected:
            raise FrameError('no_camera_info', 'its camera_info has not come yet')
        source, registered = image.camera, self._locate(frame, kept, image, registered=True)
        if (source.width, source.height) != (width, height):
            raise CalibrationError(
                f'it is {seen}, the image is {source.width}x{source.height}, and there is no '
                'camera_info beside it; publish its camera_info, or depth registered to the image'
            )
        if frame and not same_frame(frame, image.frame_id):
            try:
                named = self._locate(frame, kept, image)
            except FrameError:  # two names, and nothing that tells them apart
                named = registered
            if not _is_still(inverse_of(registered.pose) @ named.pose, source):
                raise CalibrationError(
                    f'it is in {frame!r}, which is not where the camera is, and there is no '
                    'camera_info beside it; publish its camera_info'
                )
        return source, registered

    def _known_camera(self) -> PinholeCamera | None:
        info = self._info
        if info is None:
            return None
        key = info_key(info)
        if self._camera is None or self._camera[0] != key:
            self._camera = key, camera_from_info(info, 'reference/depth')
        return self._camera[1]

    def _locate(
        self, frame: str, kept: _Kept, image: _Image, *, registered: bool = False
    ) -> Located:
        return self.locator.locate(
            (frame, kept.stamp_ns),
            (image.frame_id, image.stamp_ns),
            image.settings,
            registered=registered,
        )

    def _refuse(self, kind: str, error: DepthPerceptionError, kept: _Kept | None) -> None:
        """Count a message that will never be of use, and let it go."""
        cause = error.cause if isinstance(error, FrameError) else 'calibration'
        self.refused[f'{kind} {cause}'] += 1
        with self._lock:
            self._reason[kind] = f'{kind}: {error}'
            if kept is not None and kept in self._kept[kind]:
                self._kept[kind].remove(kept)


def _read_cloud(kept: _Kept) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the points of a cloud and their sigma, read when first asked for.

    Raises:
        FrameError: If it cannot be read.
    """
    if kept.cloud is None:
        kept.cloud, kept.message = measured_points_from_cloud(kept.message, MOST_POINTS), None
    return kept.cloud


def _too_far_off(kind: str, offset_s: float, settings: ReferenceSettings) -> str:
    """Return what to say of a reference that was not measured when the image was taken."""
    side = 'younger' if offset_s > 0.0 else 'older'
    advice = '; synchronise the clocks of the sensors' if abs(offset_s) > _MINUTE_S else ''
    return (
        f'{kind} is {abs(offset_s):.3f} s {side} than the image, the limit is '
        f'{settings.reference__max_age_s:g} s (reference.max_age_s){advice}'
    )


def _noise(kept: _Kept, image: _Image, located: Located) -> ReferenceNoise:
    settings = image.settings
    apart_s = abs(kept.stamp_ns - image.stamp_ns) / 1e9
    return ReferenceNoise(
        settings.reference__sigma_m,
        settings.reference__sigma_relative,
        settings.reference__drift_m_per_s * apart_s
        + settings.reference__speed_m_per_s * located.unknown_s,
    )


def _is_still(pose: Pose, camera: PinholeCamera) -> bool:
    """Return whether a pose moves no pixel to speak of."""
    turned_px = float(np.abs(pose[:3, :3] - np.eye(3)).max()) * max(camera.fx, camera.fy)
    return turned_px < _STILL_PX and float(np.abs(pose[:3, 3]).max()) < _STILL_M
