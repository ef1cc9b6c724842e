"""What a depth image looks like from the next frame, and how well the two agree.

Convention:
    A depth that is not finite or not above 0 is none. Pixel centres lie at integers.
"""

from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Mask, Pixels
from depth_perception.evaluation.measures.exact import dot
from depth_perception.evaluation.measures.masks import row_blocks
from depth_perception.evaluation.pictures import opencv
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

LEAST_FLOW_PX = 32
"""Smaller images have no optical flow [px]."""

_OPW_SHARPNESS = 50.0


def warped_depth(
    depth: DepthMap, camera: PinholeCamera, b_from_a: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the depth of a as it would be seen from b.

    Each pixel is moved to the nearest pixel of b; where several fall on one, the nearest to the
    camera wins, and what lies behind the camera of b is left out. (Video Depth Anything keeps the
    last written, and what is behind can cover what is in front.)

    Args:
        depth: (H, W) [m] seen from a; not finite where unknown.
        camera: Camera of both.
        b_from_a: (4, 4) transform of points.

    Returns:
        (H, W) [m]; NaN where nothing falls.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_shapes(depth=(depth, f'{camera.height} {camera.width}'), b_from_a=(b_from_a, '4 4'))
    parts = [_moved(depth, rows, camera, b_from_a) for rows in row_blocks(*depth.shape)]
    place = np.concatenate([part[0] for part in parts])
    z = np.concatenate([part[1] for part in parts])
    seen = np.full(depth.size, np.inf)
    seen[place] = z
    nearer = np.flatnonzero(z < seen[place])
    nearer = nearer[np.argsort(-z[nearer], kind='stable')]
    seen[place[nearer]] = z[nearer]  # of several, the last: the nearest
    seen[np.isinf(seen)] = NAN
    return seen.reshape(depth.shape)


def _moved(
    depth: AnyArray, rows: slice, camera: PinholeCamera, b_from_a: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return (flat pixel of b, depth in b) of the points of some rows that b sees."""
    z = depth[rows]
    with np.errstate(invalid='ignore'):
        v, u = np.nonzero((z > 0.0) & (z < np.inf))
    z = z[v, u].astype(np.float64)
    x = z * ((u - camera.cx) / camera.fx)
    y = z * ((v + rows.start - camera.cy) / camera.fy)
    moved = b_from_a[:3, :3] @ np.stack([x, y, z]) + b_from_a[:3, 3:]
    moved = moved[:, moved[2] > 0.0]
    with np.errstate(over='ignore'):
        column = np.rint(camera.fx * moved[0] / moved[2] + camera.cx)
        row = np.rint(camera.fy * moved[1] / moved[2] + camera.cy)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    flat = row[inside] * camera.width + column[inside]
    return flat.astype(np.intp), moved[2, inside]


def warp_error(
    depth_a: DepthMap,
    depth_b: DepthMap,
    camera: PinholeCamera,
    b_from_a: NDArray[np.float64],
    mask_b: Mask | None = None,
) -> float:
    """Return AbsRel of depth a, warped into b, against depth b: mean |W - Z_b| / Z_b.

    The temporal alignment error (TAE) of Video Depth Anything is the mean of 100 times this over
    all neighbouring frames, forth and back.

    Args:
        depth_a: (H, W) [m]; not finite where unknown.
        depth_b: (H, W) [m]; not finite where unknown.
        camera: Camera of both.
        b_from_a: (4, 4) transform of points.
        mask_b: (H, W) bool, the pixels of b that count; None for all.

    Returns:
        >= 0, lower is better; NaN where nothing overlaps.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_shapes(depth_a=(depth_a, 'H W'), depth_b=(depth_b, 'H W'))
    warped = warped_depth(depth_a, camera, b_from_a)
    with np.errstate(invalid='ignore'):
        both = (warped > 0.0) & (depth_b > 0.0) & (depth_b < np.inf)
    if mask_b is not None:
        both &= mask_b
    wanted = depth_b[both].astype(np.float64)
    return float((np.abs(warped[both] - wanted) / wanted).mean()) if wanted.size else NAN


def flow_between(grey_a: Pixels, grey_b: Pixels) -> NDArray[np.float32]:
    """Return (H, W, 2) float32 [px]: where each pixel of a is in b, less where it is in a.

    DIS optical flow (Kroeger et al. 2016) of OpenCV, preset MEDIUM. No side of the images may be
    shorter than `LEAST_FLOW_PX`.

    Raises:
        BackendUnavailableError: If OpenCV is not installed.
    """
    cv2 = opencv()
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(method.calc(grey_a, grey_b, None), np.float32)


def opw_m(
    depth_a: DepthMap,
    depth_b: DepthMap,
    grey_a: Pixels,
    grey_b: Pixels,
    flow: NDArray[np.float32],
) -> float:
    """Return the warping error by optical flow (OPW) of two frames [m].

    sum M |Z_a - warp(Z_b)| / sum M, with M = exp(-50 (I_a - warp(I_b))^2), grey in 0..1, and
    warp(X)(p) = X(p + flow(p)), bilinear. Pixels whose depth is not known, or whose sample of b
    has an unknown neighbour, do not count. No motion of the camera is taken out: a camera that
    drives forward has an OPW above 0 with perfect depth. The papers weigh with RGB.

    Args:
        depth_a: (H, W) [m]; not finite where unknown.
        depth_b: (H, W) [m]; not finite where unknown.
        grey_a: (H, W) uint8.
        grey_b: (H, W) uint8.
        flow: (H, W, 2) float32 [px], from a to b (see `flow_between`).

    Returns:
        >= 0, lower is better; NaN where nothing overlaps.

    Raises:
        ShapeError: If the sizes differ.
        BackendUnavailableError: If OpenCV is not installed.
    """
    cv2 = opencv()
    sizes = check_shapes(
        depth_a=(depth_a, 'H W'), depth_b=(depth_b, 'H W'), grey_a=(grey_a, 'H W'),
        grey_b=(grey_b, 'H W'), flow=(flow, 'H W 2'),
    )  # fmt: skip
    where = flow.astype(np.float32)
    where[..., 0] += np.arange(sizes['W'], dtype=np.float32)
    where[..., 1] += np.arange(sizes['H'], dtype=np.float32)[:, None]

    def sampled(values: AnyArray) -> NDArray[np.float32]:
        image = values.astype(np.float32)
        moved = cv2.remap(image, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)

    known = _positive(depth_a)
    off = np.abs(known - sampled(_positive(depth_b)))
    colour_off = (grey_a - sampled(grey_b)) / np.float32(255.0)
    last = np.array([sizes['W'] - 1, sizes['H'] - 1], np.float32)
    both = np.isfinite(off) & ((where >= 0.0) & (where <= last)).all(axis=2)
    weight = np.exp(-_OPW_SHARPNESS * np.square(colour_off[both].astype(np.float64)))
    total = float(weight.sum())
    return dot(weight, off[both]) / total if total > 0.0 else NAN


def _positive(depth: AnyArray) -> NDArray[np.float32]:
    with np.errstate(invalid='ignore'):
        known = (depth > 0.0) & (depth < np.inf)
    return np.where(known, depth, np.float32(np.nan)).astype(np.float32)
