"""How steady depth is from frame to frame.

Convention:
    The figures of a frame are about it and the frame before. A depth that is not finite or not
    above 0 is none. Poses are (4, 4) world_from_camera in the optical frame. The memory needed
    depends on the size of the image only, never on the number of frames.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Pixels
from depth_perception.evaluation.measures.steadiness import Flicker
from depth_perception.evaluation.measures.warping import (
    flow_between,
    LEAST_FLOW_PX,
    opw_m,
    warp_error,
)
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

MOVED_M = 0.01
MOVED_DEG = 0.1
MOVED_PX = 0.5


@dataclass(frozen=True)
class _Frame:
    """What is kept of the frame before."""

    depth: DepthMap
    stamp_ns: int
    camera: PinholeCamera
    pose: NDArray[np.float64] | None
    grey: Pixels | None


class TemporalMeasures:
    """Takes the frames of one camera in turn, and tells how steady their depth is."""

    def __init__(self) -> None:
        self._before: _Frame | None = None
        self._start: NDArray[np.float64] | None = None
        self._flicker = Flicker()

    def reset(self) -> None:
        """Forget the frames so far, as at a jump of the clock: nothing is compared across it.

        What is known of the flicker stays.
        """
        self._before = None
        self._start = None
        self._flicker.end_span()

    def add(
        self,
        depth: DepthMap,
        stamp_ns: int,
        camera: PinholeCamera,
        world_from_camera: NDArray[np.float64] | None = None,
        image_grey: Pixels | None = None,
    ) -> dict[str, float]:
        """Take a frame.

        A stamp that does not increase, or another camera, is as a `reset` before.

        Args:
            depth: (H, W) [m]; not finite where unknown.
            stamp_ns: Stamp of the frame [ns].
            camera: Camera of the depth image.
            world_from_camera: (4, 4) pose of the camera; None if unknown.
            image_grey: (H, W) uint8; None if there is none.

        Returns:
            tae_pct: 100 times the mean of `warp_error` forth and back; NaN without both poses.
                Its mean over the frames after the first is TAE.
            opw_m: `opw_m` of the frame before and this one; NaN without both images, and for
                images too small for optical flow (a side below 32 px).

        Raises:
            ShapeError: If the sizes differ.
        """
        size = f'{camera.height} {camera.width}'
        check_shapes(depth=(depth, size))
        if image_grey is not None:
            check_shapes(image_grey=(image_grey, size))
        before = self._before
        if before is not None and (stamp_ns <= before.stamp_ns or camera != before.camera):
            self.reset()
            before = None
        pose = world_from_camera
        if pose is not None and not np.isfinite(pose).all():
            pose = None
        grey = None if image_grey is None else image_grey.copy()
        frame = _Frame(depth.copy(), stamp_ns, camera, pose, grey)
        figures = {'tae_pct': _tae_pct(before, frame), 'opw_m': self._opw_m(before, frame)}
        self._note_motion(pose)
        self._flicker.add(depth)
        self._before = frame
        return figures

    def flicker(self) -> float:
        """Return the flicker of a camera that stands still: how much a pixel varies over time.

        The median over the pixels that were seen at least 5 times of the standard deviation over
        time of ln Z, which is that of Z / median Z for small ones. After a `reset` a new span
        begins; the result is the mean over the spans, weighted by frames.

        NaN where no span has such pixels, or in which the camera moves: more than 1 cm or
        0.1 deg from where it began by its poses, or, without poses, by a median optical flow
        above 0.5 px between neighbouring images. A span with neither poses nor images is taken as
        one without motion.
        """
        return self._flicker.value()

    def _opw_m(self, before: _Frame | None, frame: _Frame) -> float:
        if before is None or before.grey is None or frame.grey is None:
            return NAN
        if min(frame.grey.shape) < LEAST_FLOW_PX:
            return NAN
        flow = flow_between(before.grey, frame.grey)
        if frame.pose is None and float(np.median(np.hypot(*np.moveaxis(flow, 2, 0)))) > MOVED_PX:
            self._flicker.camera_moved()
        return opw_m(before.depth, frame.depth, before.grey, frame.grey, flow)

    def _note_motion(self, pose: NDArray[np.float64] | None) -> None:
        if pose is None:
            return
        if self._start is None:
            self._start = pose
        elif _distance_m(self._start, pose) > MOVED_M or _turn_deg(self._start, pose) > MOVED_DEG:
            self._flicker.camera_moved()

    # Carrying on later

    def state(self) -> dict[str, AnyArray]:
        """Return all that a later run needs to carry on, as arrays for `numpy.savez`."""
        state = {f'flicker_{name}': array for name, array in self._flicker.state().items()}
        if self._start is not None:
            state['start'] = self._start
        if self._before is not None:
            state['depth'] = self._before.depth
            state['stamp_ns'] = np.array(self._before.stamp_ns, np.int64)
            state['camera'] = np.array(astuple(self._before.camera), np.float64)
            for name in ('pose', 'grey'):
                if getattr(self._before, name) is not None:
                    state[name] = getattr(self._before, name)
        return state

    def restore(self, state: dict[str, AnyArray]) -> None:
        """Take what `state` gave, in place of all that was added."""
        prefix = 'flicker_'
        self._flicker = Flicker.of(
            {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
        )
        self._start = state.get('start')
        self._before = None
        if 'depth' in state:
            width, height, *intrinsics = (float(value) for value in state['camera'])
            self._before = _Frame(
                depth=state['depth'],
                stamp_ns=int(state['stamp_ns']),
                camera=PinholeCamera(int(width), int(height), *intrinsics),
                pose=state.get('pose'),
                grey=state.get('grey'),
            )


def _tae_pct(before: _Frame | None, frame: _Frame) -> float:
    if before is None or before.pose is None or frame.pose is None:
        return NAN
    forth = warp_error(
        before.depth, frame.depth, frame.camera, np.linalg.inv(frame.pose) @ before.pose
    )
    back = warp_error(
        frame.depth, before.depth, frame.camera, np.linalg.inv(before.pose) @ frame.pose
    )
    return 50.0 * (forth + back)


def _distance_m(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]))


def _turn_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the angle between two orientations [deg], exact for small ones too."""
    chord = float(np.linalg.norm(a[:3, :3] - b[:3, :3])) / math.sqrt(8.0)
    return math.degrees(2.0 * math.asin(min(chord, 1.0)))
