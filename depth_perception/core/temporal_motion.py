"""Fusion of depth along the way of a moving camera, weighted by sigma.

The frames of a sequence do not err independently. A matcher that locks to whole pixels, a network
that takes a poster for a window, a scale that is 3 % long: all of them repeat their error in the
next frame, and no number of frames averages it away. Sigma must not shrink as if it did.

Convention:
    The error of one frame is e = c + n. The variance of c, the part that the next frames repeat,
    is the share `correlation` of sigma^2; n is independent from frame to frame. Fusing weighs
    frames by 1 / var(n) and shrinks var(n) alone, so the fused sigma never falls below
    sqrt(correlation) times that of a single frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import InverseDepthMap, SigmaMap
import numpy as np
from numpy.typing import NDArray

NO_POSE = (
    'filters.temporal is motion, but the pose of the camera is not known; provide TF from the '
    'optical frame to a frame that stands still. Frames are not fused'
)

_ROWS_PER_BLOCK = 32  # rows whose temporaries stay in the cache
_GATE = 3.0  # standard deviations of the difference beyond which a pixel starts anew
_WAY_SIGMA = 0.05  # error of the odometry, per metre of the way
_RATE_SIGMA = 0.02  # relative change of inverse depth of things taken to stand still [1/s]
_LEAST_SIGMA = np.float32(1e-15)  # [1/m]; less is no answer, and its square no number
_MAX_GAP_NS = 1_000_000_000  # an older past says nothing of the present

_Field = NDArray[np.float32]


@dataclass(frozen=True)
class _Memory:
    """What is remembered of the last view.

    Attributes:
        rho: (H, W) [1/m].
        independent: (H, W) [1/m^2], variance of the part of its error that fusing shrinks.
        single: (H, W) [1/m], mean sigma of the single frames in it.
        camera: Camera of the view.
        fixed_from_camera: (4, 4) pose of the view.
        stamp_ns: Time of the view.
    """

    rho: _Field
    independent: _Field
    single: _Field
    camera: PinholeCamera
    fixed_from_camera: NDArray[np.float64]
    stamp_ns: int


@dataclass(frozen=True)
class _Motion:
    """How the present and the past view lie to each other.

    Attributes:
        homography: (3, 3) pixel now -> past pixel, of a point at infinity.
        epipole: (3,) what `rho` adds to that.
        row: (3,) past pixel -> z / z_past now, of a point at infinity.
        forward_m: What `rho_past` adds to that.
        way_variance: Variance of the way [m^2].
        time_variance: Variance of the relative change of inverse depth meanwhile.
    """

    homography: NDArray[np.float64]
    epipole: NDArray[np.float64]
    row: NDArray[np.float64]
    forward_m: float
    way_variance: float
    time_variance: float


class MotionFilter:
    """Fuses inverse depth along the way of a moving camera, weighted by sigma.

    Every known pixel of the present is looked up in the past view, where its present depth puts
    it. What was seen there is carried into the present view and fused, unless the two differ by
    more than 3 standard deviations: then one of them is hidden behind the other, or moved, or was
    wrong, and the pixel starts anew. An unknown pixel stays unknown.

    The variance of the past grows with the way (5 % of it, for the odometry) and with time (2 %
    of the inverse depth per second). A past older than 1 s is forgotten.
    """

    def __init__(self) -> None:
        self._past: _Memory | None = None

    def reset(self) -> None:
        """Forget the past."""
        self._past = None

    def fuse(
        self,
        rho: InverseDepthMap,
        sigma_rho: SigmaMap,
        camera: PinholeCamera,
        fixed_from_camera: NDArray[np.float64],
        stamp_ns: int,
        correlation: float,
    ) -> tuple[InverseDepthMap, SigmaMap]:
        """Return the fusion of now and the past, and its standard deviation.

        Args:
            rho: (H, W) float32 [1/m]; NaN unknown.
            sigma_rho: (H, W) float32 [1/m], of this frame alone; NaN unknown.
            camera: Camera of the image.
            fixed_from_camera: (4, 4) float64, pose of the optical frame in a frame that stands
                still.
            stamp_ns: Time of the image [ns].
            correlation: Share of the variance that all frames have in common, 0 to below 1.

        Returns:
            New inverse depth and sigma, NaN where they were NaN. The first is also the memory: do
            not write to it.
        """
        check_shapes(rho=(rho, 'H W'), sigma_rho=(sigma_rho, 'H W'))
        past = self._past
        independent = np.square(sigma_rho)
        independent *= np.float32(1.0 - correlation)
        fused, single, sigma = rho.copy(), sigma_rho.copy(), sigma_rho
        if past is not None and past.camera == camera and _recent(past, stamp_ns):
            sigma = sigma_rho.copy()
            motion = _motion(past, fixed_from_camera, stamp_ns)
            for top in range(0, rho.shape[0], _ROWS_PER_BLOCK):
                rows = slice(top, top + _ROWS_PER_BLOCK)
                fields = [field[rows] for field in (fused, independent, single, sigma)]
                _fuse_rows(top, fields, past, motion, correlation)
        self._past = _Memory(
            fused, independent, single, camera, fixed_from_camera.copy(), stamp_ns
        )
        return fused, sigma


def _recent(past: _Memory, stamp_ns: int) -> bool:
    return 0 <= stamp_ns - past.stamp_ns <= _MAX_GAP_NS


def _motion(past: _Memory, fixed_from_camera: NDArray[np.float64], stamp_ns: int) -> _Motion:
    past_from_fixed = past.fixed_from_camera[:3, :3].T
    rotation = past_from_fixed @ fixed_from_camera[:3, :3]
    way = past_from_fixed @ (fixed_from_camera[:3, 3] - past.fixed_from_camera[:3, 3])
    matrix, inverse = past.camera.K, np.linalg.inv(past.camera.K)
    seconds = (stamp_ns - past.stamp_ns) * 1e-9
    return _Motion(
        homography=matrix @ rotation @ inverse,
        epipole=matrix @ way,
        row=rotation[:, 2] @ inverse,
        forward_m=float(-rotation[:, 2] @ way),
        way_variance=_WAY_SIGMA**2 * float(way @ way),
        time_variance=(_RATE_SIGMA * seconds) ** 2,
    )


def _fuse_rows(
    top: int, fields: list[_Field], past: _Memory, motion: _Motion, correlation: float
) -> None:
    """Fuse rows of the present, from `top` on, in place: rho, independent, single, sigma."""
    rho, independent, single, sigma = fields
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        column, row, inside = _places(rho, top, motion, past.rho.shape)
        index = np.multiply(row, float(past.rho.shape[1]), dtype=np.float64)
        index += column
        index = index.astype(np.intp)
        before = past.rho.take(index)
        # z_now / z_past = row . p_past + rho_past forward, hence rho_now = rho_past / ratio.
        base = column * np.float32(motion.row[0])
        row *= np.float32(motion.row[1])
        base += row
        base += np.float32(motion.row[2])
        ratio = before * np.float32(motion.forward_m)
        ratio += base
        inside &= ratio > 0.0
        np.reciprocal(ratio, out=ratio)
        before *= ratio
        np.square(ratio, out=ratio)
        ratio *= base  # d rho_now / d rho_past
        earlier = past.single.take(index)
        inside &= earlier > _LEAST_SIGMA
        earlier *= ratio
        np.square(ratio, out=ratio)
        variance = past.independent.take(index)
        variance *= ratio
        square = np.square(rho)
        growth = square * np.float32(motion.way_variance)
        growth += np.float32(motion.time_variance)
        growth *= square
        variance += growth
        total = np.add(variance, independent, out=growth)
        before -= rho  # the change
        inside &= np.square(before, out=square) <= total * np.float32(_GATE**2)
        inside &= single > _LEAST_SIGMA
        share = np.divide(independent, total, out=total)  # weight of the past
        before *= share
        before += rho
        rho[:] = np.where(inside, before, rho)
        variance *= share
        independent[:] = np.where(inside, variance, independent)
        earlier -= single
        earlier *= share
        earlier += single
        single[:] = np.where(inside, earlier, single)
        common = np.square(single, out=square)
        common *= np.float32(correlation)
        common += independent
        sigma[:] = np.where(inside, np.sqrt(common, out=common), sigma)


def _places(
    rho: _Field, top: int, motion: _Motion, shape: tuple[int, ...]
) -> tuple[_Field, _Field, NDArray[np.bool_]]:
    """Return column and row of the nearest past pixel, 0 where there is none, and where there is.

    Args:
        rho: (R, W) rows of the present, the first one being row `top`.
        top: See `rho`.
        motion: Way between the views.
        shape: Height and width of the past view.
    """
    column = np.arange(shape[1], dtype=np.float32)
    row = np.arange(top, top + rho.shape[0], dtype=np.float32)[:, None]
    planes = []
    for of_column, of_row, constant, of_rho in np.column_stack(
        [motion.homography, motion.epipole]
    ).astype(np.float32):
        plane = rho * of_rho
        plane += column * of_column
        plane += row * of_row + constant
        planes.append(plane)
    u, v, w = planes
    inside = w > 0.0
    np.reciprocal(w, out=w)
    for place, size in ((u, shape[1]), (v, shape[0])):
        np.multiply(place, w, out=place)
        np.rint(place, out=place)
        inside &= place >= 0.0
        inside &= place <= np.float32(size - 1)
        np.fmax(place, np.float32(0.0), out=place)  # NaN too becomes 0
        np.fmin(place, np.float32(size - 1), out=place)
    return u, v, inside
