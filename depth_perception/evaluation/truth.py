"""Ground truth on the grid of the camera, from depth images, clouds and disparity images."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.stereo import StereoRig
from depth_perception.core.transforms import TransformTree
from depth_perception.core.types import DepthMap, DisparityMap, Mask
from depth_perception.errors import CalibrationError, FrameError
from depth_perception.evaluation.streams import TruthStreams
from depth_perception.messages.cameras import camera_from_info
from depth_perception.messages.clouds import xyz_from_cloud
from depth_perception.messages.compressed import depth_from_compressed_depth
from depth_perception.messages.disparities import disparity_from_message
from depth_perception.messages.images import depth_from_image, picture_from_image
from depth_perception.messages.stamps import stamp_ns_of
import numpy as np
from numpy.typing import NDArray

MIN_POINT_M = 0.1
"""Points nearer to the camera than this are not projected."""
_KEPT = 64  # messages per topic that wait for their image
_SPARSE_SHARE = 0.25  # truth that covers less of the image than this is sparse


@dataclass(frozen=True)
class Truth:
    """What is known of one frame.

    Attributes:
        depth: (H, W) float32 [m] along the optical axis, NaN unknown.
        disparity: (H, W) float32 [px], without the offset of the principal points, NaN unknown;
            None if the depth is all there is.
        sparse: Whether most pixels are unknown, as with a laser: figures that need neighbours are
            not defined then.
        visible: (H, W) bool, whether the right camera sees the point too; None if not known.
    """

    depth: DepthMap
    disparity: DisparityMap | None = None
    sparse: bool = False
    visible: Mask | None = None


class TruthSource:
    """Keeps the newest messages of the ground truth, and makes the truth of a frame of them.

    Args:
        streams: Topics of the ground truth.
        tree: Frames of the recording; None if it has no TF.
        tolerance_ns: Greatest difference of the stamps of image and truth [ns].
        check_occlusion: Leave out points of a cloud that show through a nearer surface.
    """

    def __init__(
        self,
        streams: TruthStreams,
        tree: TransformTree | None,
        *,
        tolerance_ns: int,
        check_occlusion: bool = True,
    ) -> None:
        self.topics = streams.topics
        self._streams = streams
        self._tree = tree
        self._tolerance_ns = tolerance_ns
        self._check_occlusion = check_occlusion
        self._kept: dict[str, deque[Any]] = {topic: deque(maxlen=_KEPT) for topic in self.topics}

    def offer(self, topic: str, message: Any) -> None:
        """Take a message of one of `topics`."""
        self._kept[topic].append(message)

    def truth_at(
        self, stamp_ns: int, camera: PinholeCamera, frame_id: str, rig: StereoRig | None = None
    ) -> Truth | None:
        """Return the truth of a frame; None if none was recorded near its stamp.

        Args:
            stamp_ns: Stamp of the frame [ns].
            camera: Camera of its grid.
            frame_id: Optical frame of the camera.
            rig: Rig of a pair, for the disparity without offset.

        Raises:
            FrameError: If a message cannot be used, or TF does not tell where it was.
            CalibrationError: If its camera_info cannot be used.
        """
        streams = self._streams
        disparity_message = self._nearest(streams.disparity, stamp_ns)
        disparity = None
        if disparity_message is not None:
            content = disparity_from_message(disparity_message)
            _check_size(content.adjusted.shape, camera, streams.disparity)
            disparity = content.adjusted - np.float32(rig.doffs_px if rig is not None else 0.0)
        if streams.depth:
            depth = self._from_depth_image(stamp_ns, camera, frame_id)
        elif streams.points:
            depth = self._from_cloud(stamp_ns, camera, frame_id)
        else:
            depth = content.depth if disparity is not None else None
        if depth is None and disparity is None:
            return None
        if depth is None:
            depth = np.full((camera.height, camera.width), np.nan, np.float32)
        sparse = float(np.isfinite(depth).mean()) < _SPARSE_SHARE
        return Truth(depth, disparity, sparse, self._visible(stamp_ns, camera))

    def _nearest(self, topic: str, stamp_ns: int) -> Any:
        """Return the message of a topic whose stamp is nearest; None beyond the tolerance."""
        kept = self._kept.get(topic)
        if not kept:
            return None
        nearest = min(kept, key=lambda message: abs(stamp_ns_of(message) - stamp_ns))
        return nearest if abs(stamp_ns_of(nearest) - stamp_ns) <= self._tolerance_ns else None

    def _from_depth_image(
        self, stamp_ns: int, camera: PinholeCamera, frame_id: str
    ) -> DepthMap | None:
        message = self._nearest(self._streams.depth, stamp_ns)
        if message is None:
            return None
        packed = not hasattr(message, 'encoding')
        depth = depth_from_compressed_depth(message) if packed else depth_from_image(message)
        depth = np.where(np.isfinite(depth), depth, np.float32(np.nan))
        info = self._nearest(self._streams.depth_info, stamp_ns)
        if info is None and self._streams.depth_info and self._kept[self._streams.depth_info]:
            info = self._kept[self._streams.depth_info][-1]  # one that is published once
        source = camera if info is None else camera_from_info(info, 'ground truth')
        _check_size(depth.shape, source, self._streams.depth)
        there = str(message.header.frame_id)
        if source == camera and there in {frame_id, ''}:
            return depth
        if source == camera and self._tree is None:
            return depth  # frames of two names, and nothing that tells them apart
        points = points_from_depth(depth, source)[np.isfinite(depth)]
        moved = self._moved(points, message, stamp_ns, frame_id)
        return project(moved, camera)

    def _from_cloud(self, stamp_ns: int, camera: PinholeCamera, frame_id: str) -> DepthMap | None:
        message = self._nearest(self._streams.points, stamp_ns)
        if message is None:
            return None
        moved = self._moved(xyz_from_cloud(message), message, stamp_ns, frame_id)
        depth = project(moved, camera)
        return without_occluded(depth) if self._check_occlusion else depth

    def _moved(
        self, points: NDArray[np.float32], message: Any, stamp_ns: int, frame_id: str
    ) -> NDArray[np.float64]:
        """Return points in the frame and at the time of the image."""
        source = str(message.header.frame_id)
        if self._tree is None:
            if source == frame_id:
                return points.astype(np.float64)
            raise FrameError(
                'no_transform',
                f'the ground truth is in {source!r}, the image in {frame_id!r}, and the recording '
                'has no /tf or /tf_static; record them too',
            )
        if source == frame_id and not self._tree.has_dynamic:
            return points.astype(np.float64)
        pose = self._tree.lookup_full(frame_id, stamp_ns, source, stamp_ns_of(message))
        moved: NDArray[np.float64] = points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        return moved

    def _visible(self, stamp_ns: int, camera: PinholeCamera) -> Mask | None:
        message = self._nearest(self._streams.visible, stamp_ns)
        if message is None:
            return None
        picture = picture_from_image(message)
        _check_size(picture.pixels.shape[:2], camera, self._streams.visible)
        return np.asarray(picture.pixels > 0)


def _check_size(shape: tuple[int, ...], camera: PinholeCamera, topic: str) -> None:
    if tuple(shape) != (camera.height, camera.width):
        raise CalibrationError(
            f'{topic} is {shape[1]}x{shape[0]}, but its camera is {camera.width}x{camera.height}; '
            'record the camera_info beside it'
        )


def project(points: NDArray[np.float64], camera: PinholeCamera) -> DepthMap:
    """Return the depth of points on the grid of a camera; the nearest one wins.

    A point belongs to the pixel whose centre, at whole numbers, is nearest to u = fx X / Z + cx,
    v = fy Y / Z + cy.

    Args:
        points: (N, 3) in the optical frame of the camera [m].
        camera: The camera.

    Returns:
        (H, W) float32 [m], NaN where no point falls.
    """
    z = points[:, 2]
    ahead = z >= MIN_POINT_M
    x, y, z = points[ahead, 0], points[ahead, 1], z[ahead]
    u = np.rint(camera.fx * x / z + camera.cx)
    v = np.rint(camera.fy * y / z + camera.cy)
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    index = v[inside].astype(np.int64) * camera.width + u[inside].astype(np.int64)
    flat = np.full(camera.height * camera.width, np.inf, np.float32)
    np.minimum.at(flat, index, z[inside].astype(np.float32))
    flat[np.isinf(flat)] = np.nan
    return flat.reshape(camera.height, camera.width)


def without_occluded(
    depth: DepthMap, radius_px: int = 4, jump_ratio: float = 0.05, jump_m: float = 0.2
) -> DepthMap:
    """Return projected points without those that a nearer surface must hide.

    A laser beside the camera sees past edges: its far points then fall between the near ones. A
    point goes if one within `radius_px` to each side is nearer by more than jump_ratio of its
    depth plus jump_m [m].

    Args:
        depth: (H, W) float32 [m], NaN where there is no point.
        radius_px: Half the side of the window; 0 keeps all.
        jump_ratio: See above.
        jump_m: See above [m].
    """
    if radius_px == 0:
        return depth
    nearest = np.where(np.isnan(depth), np.float32(np.inf), depth)
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius_px, radius_px)
        padded = np.pad(nearest, padding, constant_values=np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius_px + 1, axis=axis)
        nearest = windows.min(axis=-1)
    with np.errstate(invalid='ignore'):
        hidden = depth * np.float32(1.0 - jump_ratio) - np.float32(jump_m) > nearest
    return np.where(hidden, np.float32(np.nan), depth)
