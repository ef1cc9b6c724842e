"""How far the points of a depth image are from those of the truth.

Convention:
    Points are in the optical frame of the camera (x right, y down, z forward) [m]. Prediction and
    truth are taken at the same pixels, where the mask holds, the truth is known and the prediction
    is finite and above 0: what is not predicted lowers the coverage, not the F-scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Mask
from depth_perception.evaluation.scientific import scipy_module
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

TAUS_M = (0.05, 0.1, 0.25)
MAX_POINTS = 4_000
MAX_CLOUD = 320_000
_LEAST_OF_OBSTACLE = 10


def known_pixels(depth: AnyArray, mask: Mask, camera: PinholeCamera) -> Mask:
    """Return (H, W) bool: the pixels of the mask with a finite depth above 0.

    Raises:
        ShapeError: If a size is not that of the camera.
    """
    check_shapes(
        depth=(depth, f'{camera.height} {camera.width}'),
        mask=(mask, f'{camera.height} {camera.width}'),
    )
    with np.errstate(invalid='ignore'):
        known: Mask = mask & (depth > 0.0) & (depth < np.inf)
    return known


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """Return ascending indices of at most `most` of `count` things; all of them if `most` is 0.

    One from each of `most` equal parts, at a place that moves on by the golden ratio: a constant
    stride that divides the width of an image would pick a few of its columns.
    """
    if most == 0 or count <= most:
        return np.arange(count)
    part = np.arange(most)
    return ((part + part * 0.6180339887498949 % 1.0) * (count / most)).astype(np.intp)


def points_of(
    depth: AnyArray, chosen: Mask, camera: PinholeCamera, most: int = 0
) -> NDArray[np.float64]:
    """Return (N, 3) points [m] of the chosen pixels, row by row, or of `most` of them (`evenly`).

    Args:
        depth: (H, W) [m], finite where chosen.
        chosen: (H, W) bool.
        camera: Camera of the image.
        most: Most points wanted; 0 for all.
    """
    flat = np.flatnonzero(chosen)
    v, u = np.divmod(flat[evenly(flat.size, most)], camera.width)
    z = depth[v, u].astype(np.float64)
    return np.column_stack(
        [z * ((u - camera.cx) / camera.fx), z * ((v - camera.cy) / camera.fy), z]
    )


def cloud_measures(
    depth: DepthMap,
    truth: DepthMap,
    mask: Mask,
    camera: PinholeCamera,
    taus_m: Sequence[float] = TAUS_M,
    max_points: int = MAX_POINTS,
) -> dict[str, float]:
    """Return the figures of the cloud of one depth image.

    With P the points of the prediction and G those of the truth, d(p, G) is the distance of a
    point to its nearest neighbour in the other cloud. Clouds are searched whole, up to 320 000
    points (a thinner one would lie farther away: at 20 000 the Chamfer distance of a good depth
    image is more than doubled), but only for a fixed choice of `max_points` points (see `evenly`).

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts.
        camera: Camera of both images.
        taus_m: Distances of the F-scores [m].
        max_points: Most points whose neighbour is sought; 0 for all, in clouds of any size.

    Returns:
        chamfer_m: (mean over P of d(p, G) + mean over G of d(g, P)) / 2 [m].
        f_score_5cm (and so on, by `taus_m`): 2 A B / (A + B) with A the share of P with
            d(p, G) < tau and B the share of G with d(g, P) < tau; 0..1, higher is better.
        rel_point: mean |p - p*| / |p*| over all pixels (MoGe). p and p* are on the same ray, so
            it is what `depth_measures` calls abs_rel; a network with a camera of its own differs.

        All NaN where nothing is predicted.

    Raises:
        ShapeError: If the sizes differ.
        BackendUnavailableError: If SciPy is not installed.
    """
    names = [f'f_score_{_centimetres(tau)}cm' for tau in taus_m]
    both = known_pixels(truth, known_pixels(depth, mask, camera), camera)
    if not both.any():
        return dict.fromkeys(('chamfer_m', *names, 'rel_point'), NAN)
    size = MAX_CLOUD if max_points else 0
    points, wanted = points_of(depth, both, camera, size), points_of(truth, both, camera, size)
    asked = evenly(len(points), max_points)
    to_truth, to_points = _nearest(points[asked], wanted), _nearest(wanted[asked], points)
    figures = {'chamfer_m': 0.5 * float(to_truth.mean() + to_points.mean())}
    for name, tau in zip(names, taus_m, strict=True):
        precision, recall = float((to_truth < tau).mean()), float((to_points < tau).mean())
        total = precision + recall
        figures[name] = 2.0 * precision * recall / total if total else 0.0
    y, g = depth[both].astype(np.float64), truth[both].astype(np.float64)
    return {**figures, 'rel_point': float((np.abs(y - g) / g).mean())}


def _centimetres(tau_m: float) -> str:
    return f'{100.0 * tau_m:g}'


def _nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) distances [m] of points to their nearest neighbour among others."""
    spatial = scipy_module('spatial')
    tree = spatial.cKDTree(others, leafsize=64, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points)
    return np.asarray(distances, np.float64)


def obstacle_range_error_m(
    depth: DepthMap,
    truth: DepthMap,
    mask: Mask,
    camera: PinholeCamera,
    corridor_m: tuple[float, float] = (0.3, 0.3),
    share: float = 0.02,
) -> float:
    """Return |distance of the nearest obstacle - that of the truth| along the optical axis [m].

    The distance of the nearest obstacle is the quantile `share` of Z over the points inside a
    corridor about the optical axis, |X| <= half its width and |Y| <= half its height; each image
    says itself which of its points are inside.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts.
        camera: Camera of both images.
        corridor_m: Half the width and half the height of the corridor [m].
        share: Share of the points that may be nearer, as outliers, 0..1.

    Returns:
        >= 0, lower is better; NaN if either image has fewer than 10 points in the corridor.

    Raises:
        ShapeError: If the sizes differ.
    """
    both = known_pixels(truth, known_pixels(depth, mask, camera), camera)
    with np.errstate(divide='ignore'):  # on the axis a ray never leaves the corridor
        reach_x = corridor_m[0] / np.abs((np.arange(camera.width) - camera.cx) / camera.fx)
        reach_y = corridor_m[1] / np.abs((np.arange(camera.height) - camera.cy) / camera.fy)
    ranges = []
    for image in (depth, truth):
        z = np.where(both, image, np.inf).astype(np.float64)
        inside = (z <= reach_x) & (z <= reach_y[:, None]) & both
        if np.count_nonzero(inside) < _LEAST_OF_OBSTACLE:
            return NAN
        ranges.append(float(np.quantile(z[inside], share)))
    return abs(ranges[0] - ranges[1])
