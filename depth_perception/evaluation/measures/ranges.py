"""Sums of the disparity errors by the distance of the truth."""

from __future__ import annotations

from collections.abc import Sequence

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, DisparityMap, Mask
import numpy as np

NAMES = (
    'range_disparity_truth',
    'range_disparity_pixels',
    'range_epe_sum_px',
    'range_bad_1',
    'range_bad_2',
    'range_d1',
)


def disparity_range_sums(
    disparity: DisparityMap,
    truth: DisparityMap,
    truth_depth: DepthMap,
    mask: Mask,
    edges_m: Sequence[float],
) -> dict[str, list[float]]:
    """Return sums by the distance of the truth, to be added up over images.

    Args:
        disparity: (H, W) prediction [px]; not finite where there is none.
        truth: (H, W) truth [px], > 0 where known.
        truth_depth: (H, W) its depth [m]; pixels where that is not known are in no bin.
        mask: (H, W) bool, where the truth counts.
        edges_m: Rising lower ends of the bins [m]; the last bin is open.

    Returns:
        One number per bin of each: range_disparity_truth (pixels with truth),
        range_disparity_pixels (of these, predicted), range_epe_sum_px (sum of |d - d*| [px]),
        range_bad_1, range_bad_2 (pixels with |d - d*| > 1, 2 px), range_d1 (bad ones of D1).

    Raises:
        ShapeError: If the sizes differ.
    """
    check_shapes(
        disparity=(disparity, 'H W'),
        truth=(truth, 'H W'),
        truth_depth=(truth_depth, 'H W'),
        mask=(mask, 'H W'),
    )
    with np.errstate(invalid='ignore'):
        known = mask & (truth > 0.0) & (truth_depth >= edges_m[0]) & np.isfinite(truth_depth)
    wanted = truth[known].astype(np.float64)
    found = disparity[known].astype(np.float64)
    index = np.searchsorted(np.asarray(edges_m, np.float64), truth_depth[known], 'right') - 1
    given = np.isfinite(found)
    error = np.abs(found[given] - wanted[given])
    bins = len(edges_m)
    parts = (
        np.bincount(index, minlength=bins),
        np.bincount(index[given], minlength=bins),
        np.bincount(index[given], error, bins),
        np.bincount(index[given], error > 1.0, bins),
        np.bincount(index[given], error > 2.0, bins),
        np.bincount(index[given], (error > 3.0) & (error / wanted[given] > 0.05), bins),
    )
    return {
        name: [float(value) for value in part] for name, part in zip(NAMES, parts, strict=True)
    }
