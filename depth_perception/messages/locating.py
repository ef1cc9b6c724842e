"""Where a sensor, the floor and the camera were, from the frames of TF and from parameters."""

from __future__ import annotations

from dataclasses import dataclass
import math
import threading
from typing import Any

from depth_perception.core.frame import GroundPose
from depth_perception.core.transforms import inverse_of, Pose, pose_from_rpy, TransformTree
from depth_perception.errors import FrameError, ShapeError
from depth_perception.reference_parameters import ReferenceSettings
import numpy as np

KEEP_NS = 10_000_000_000
"""Transforms are remembered for this long, as tf2 does."""
_STILL = ('map', 'world')  # looked for if the parameter fixed_frame is not known


@dataclass(frozen=True)
class Located:
    """Where a sensor was when it measured, seen from the camera when it took the image.

    Attributes:
        pose: (4, 4) float64, camera_from_sensor.
        unknown_s: Time for which the motion of the camera is not known [s].
        note: Why it is not known; '' if it is.
    """

    pose: Pose
    unknown_s: float
    note: str = ''


class Locator:
    """Answers where things are, from TF messages as they arrive. May be used by many threads.

    Attributes:
        lacking: Why there is no TF at all, e.g. that a package is missing; '' if there may be.
        received: Number of TF messages.
    """

    def __init__(self) -> None:
        self.lacking = ''
        self.received = 0
        self._tree = TransformTree(keep_ns=KEEP_NS)
        self._lock = threading.Lock()

    def add(self, message: Any, *, static: bool) -> None:
        """Take the transforms of one tf2_msgs/TFMessage; nothing in it is trusted."""
        with self._lock:
            self._tree.add(message, static=static)
            self.received += 1

    def forget(self) -> None:
        """Drop what was known of motion, for time jumped."""
        with self._lock:
            self._tree.forget_motion()

    def locate(
        self,
        source: tuple[str, int],
        camera: tuple[str, int],
        settings: ReferenceSettings,
        *,
        registered: bool = False,
    ) -> Located:
        """Return where a sensor was, seen from the camera at the time of the image.

        Args:
            source: Frame of the measurement, and its stamp [ns].
            camera: Optical frame of the image, and its stamp [ns].
            settings: Extrinsics, which win over TF, and the frame that stands still.
            registered: The sensor is the camera, whatever its frame is called.

        Raises:
            FrameError: If neither TF nor the parameters tell where the sensor is.
        """
        (source_frame, then_ns), (camera_frame, now_ns) = source, camera
        extrinsics = settings.reference_extrinsics()
        with self._lock:
            if registered:
                pose = np.eye(4)
            elif extrinsics is not None:
                pose = pose_from_rpy(extrinsics)
            elif same_frame(source_frame, camera_frame):
                pose = np.eye(4)
            else:
                pose = self._lookup(camera_frame, source_frame, then_ns)
            motion, unknown_ns, note = self._motion(
                camera_frame, then_ns, now_ns, settings.fixed_frame
            )
        return Located(motion @ pose, unknown_ns / 1e9, note)

    def fixed_from_camera(
        self, camera_frame: str, stamp_ns: int, settings: ReferenceSettings
    ) -> Pose | None:
        """Return (4, 4) fixed_from_camera at one time; None if TF does not tell."""
        with self._lock:
            try:
                fixed = self._fixed(settings.fixed_frame)
                return self._tree.lookup(fixed, camera_frame, stamp_ns)
            except FrameError:
                return None

    def ground(
        self, camera_frame: str, stamp_ns: int, settings: ReferenceSettings
    ) -> tuple[GroundPose | None, str]:
        """Return the camera above the floor, or None and why; ('' where no frame is given).

        The floor is the x-y plane of `ground.frame`, z up (REP 103, REP 105).
        """
        frame = settings.ground__frame
        if not frame:
            return None, ''
        try:
            with self._lock:
                pose = self._lookup(frame, camera_frame, stamp_ns)
            return _ground_of(pose, settings), ''
        except FrameError as error:
            return None, f'ground.frame: {error}'
        except ShapeError:
            return None, (
                f'ground.frame: {camera_frame!r} is {pose[2, 3]:.3f} m above {frame!r}; '
                'name a frame on the floor, with z up'
            )

    def _lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        try:
            return self._tree.lookup(target, source, stamp_ns)
        except FrameError as error:
            if not self.received and self.lacking:
                raise FrameError(
                    error.cause,
                    f'{source!r} is not {target!r}, and there is no TF: {self.lacking}',
                ) from error
            raise

    def _fixed(self, wanted: str) -> str:
        """Return the frame that stands still.

        Raises:
            FrameError: If TF does not know one.
        """
        known = [frame for frame in (wanted, *_STILL) if frame and frame in self._tree]
        if not known:
            reason = self.lacking if not self.received and self.lacking else 'not known to TF'
            raise FrameError('no_transform', f'fixed_frame {wanted!r}: {reason}')
        return known[0]

    def _motion(
        self, camera_frame: str, then_ns: int, now_ns: int, fixed_frame: str
    ) -> tuple[Pose, int, str]:
        """Return camera now from camera then, for how long that is not known [ns], and why."""
        if then_ns == now_ns:
            return np.eye(4), 0, ''
        try:
            fixed = self._fixed(fixed_frame)
            fixed_from_then = self._tree.lookup(fixed, camera_frame, then_ns)
            fixed_from_now = self._tree.lookup(fixed, camera_frame, now_ns)
            stamps = (then_ns, now_ns)
            unknown_ns = max(self._tree.reach_ns(fixed, camera_frame, ns) for ns in stamps)
        except FrameError as error:
            return np.eye(4), abs(now_ns - then_ns), str(error)
        return inverse_of(fixed_from_now) @ fixed_from_then, unknown_ns, ''


def frames_wanted(settings: ReferenceSettings) -> bool:
    """Return whether TF is of use even without references: for the floor, or to follow motion."""
    fuses = getattr(settings, 'filters__temporal', '') == 'motion'
    return bool(settings.ground__frame) or fuses


def same_frame(one: str, other: str) -> bool:
    """Return whether two frame ids name the same frame."""
    return one.lstrip('/') == other.lstrip('/')


def _ground_of(ground_from_camera: Pose, settings: ReferenceSettings) -> GroundPose:
    across, down, ahead = (float(value) for value in -ground_from_camera[2, :3])
    return GroundPose(
        height_m=float(ground_from_camera[2, 3]),
        pitch_rad=math.asin(min(1.0, max(-1.0, ahead))),
        roll_rad=math.atan2(across, down),
        height_sigma_m=settings.ground__height_sigma_m,
        tilt_sigma_rad=math.radians(settings.ground__tilt_sigma_deg),
    )
