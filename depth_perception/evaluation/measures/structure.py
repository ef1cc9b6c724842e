"""Whether the edges and the local structure of a depth image are those of the truth.

Convention:
    Both figures look at neighbours, so the truth must be dense. A pixel counts where the mask
    holds, the truth is known and the prediction is finite and above 0. A hole is no depth: a pair
    of neighbours or a window with a hole in it does not count at all. (A hole written as 0, as in
    16-bit files, is an edge to the programs of the papers: 2 % of such holes take the boundary F1
    of a perfect prediction from 1 to 0.25.)
"""

from __future__ import annotations

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Mask
from depth_perception.evaluation.pictures import opencv
import numpy as np
from numpy.typing import NDArray

NAN = float('nan')

BOUNDARY_RATIOS = np.linspace(1.05, 1.25, 10)
"""(10,) ratios of the depths of two neighbours from which they are an edge."""

SSIM_WINDOW_PX = 7
_K1, _K2 = 0.01, 0.03


def boundary_f1(depth: DepthMap, truth: DepthMap, mask: Mask) -> float:
    """Return the scale-invariant boundary F1 of Depth Pro (Bochkovskii et al. 2024, eq. 4).

    Two neighbours i, j are an edge at ratio t where rho_j / rho_i > t, with rho = 1 / Z; there are
    four kinds, with j right of, left of, below and above i. Recall and precision are the means
    over the four kinds of |both| / max(|truth|, 1) and |both| / max(|prediction|, 1), and F1 is
    their harmonic mean, 0 where neither has an edge. The result is the mean of F1 over
    `BOUNDARY_RATIOS`, weighted by the ratio. It does not change with the scale of the prediction.

    It is 1 for a perfect prediction only if the truth has edges of all four kinds above the
    greatest ratio.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m], dense.
        mask: (H, W) bool, where the truth counts.

    Returns:
        0..1, higher is better; NaN if neither image has an edge.

    Raises:
        ShapeError: If the sizes differ.
    """
    counts = _both_known(depth, truth, mask)
    shape = 4, 1 + BOUNDARY_RATIOS.size
    predicted, wanted, agreed = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    y, g = depth.astype(np.float64), truth.astype(np.float64)
    for axis in (0, 1):
        first, second = _neighbours(axis)
        pairs = counts[first] & counts[second]
        ratio_y = _ratio(y[first], y[second], pairs)
        ratio_g = _ratio(g[first], g[second], pairs)
        for kind in (0, 1):
            level_y, level_g = _levels(ratio_y, ratio_g, rising=kind == 0)
            row = 2 * axis + kind
            predicted[row] = np.bincount(level_y, minlength=shape[1])
            wanted[row] = np.bincount(level_g, minlength=shape[1])
            agreed[row] = np.bincount(np.minimum(level_y, level_g), minlength=shape[1])
    return _f1(*(_reaching(levels) for levels in (predicted, wanted, agreed)))


def _both_known(depth: AnyArray, truth: AnyArray, mask: Mask) -> Mask:
    check_shapes(depth=(depth, 'H W'), truth=(truth, 'H W'), mask=(mask, 'H W'))
    with np.errstate(invalid='ignore'):
        known: Mask = mask & (truth > 0.0) & (truth < np.inf) & (depth > 0.0) & (depth < np.inf)
    return known


def _neighbours(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return how to take the first and the second of all neighbours along an axis."""
    whole, head, tail = slice(None), slice(None, -1), slice(1, None)
    return ((head, whole), (tail, whole)) if axis == 0 else ((whole, head), (whole, tail))


def _ratio(
    first: NDArray[np.float64], second: NDArray[np.float64], pairs: Mask
) -> NDArray[np.float64]:
    """Return first / second, which is rho_second / rho_first; 1 where the pair does not count."""
    return np.divide(first, second, out=np.ones(pairs.shape), where=pairs)


def _levels(
    ratio_y: NDArray[np.float64], ratio_g: NDArray[np.float64], *, rising: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many ratios the pairs exceed, for pairs that are an edge in either image."""
    least = BOUNDARY_RATIOS[0]
    if rising:
        edges = (ratio_y > least) | (ratio_g > least)
        y, g = ratio_y[edges], ratio_g[edges]
    else:
        edges = (ratio_y * least < 1.0) | (ratio_g * least < 1.0)
        y, g = 1.0 / ratio_y[edges], 1.0 / ratio_g[edges]
    return np.searchsorted(BOUNDARY_RATIOS, y), np.searchsorted(BOUNDARY_RATIOS, g)


def _reaching(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (4, 10) edges by kind and ratio, of (4, 11) numbers of pairs by level."""
    return np.asarray(np.cumsum(levels[:, :0:-1], axis=1)[:, ::-1])


def _f1(
    predicted: NDArray[np.float64], wanted: NDArray[np.float64], agreed: NDArray[np.float64]
) -> float:
    if not (predicted.any() or wanted.any()):
        return NAN
    recall = np.mean(agreed / np.maximum(wanted, 1.0), axis=0)
    precision = np.mean(agreed / np.maximum(predicted, 1.0), axis=0)
    f1 = 2.0 * recall * precision / np.maximum(recall + precision, 1e-300)
    return float(np.average(f1, weights=BOUNDARY_RATIOS))


def ssim_inverse_depth(depth: DepthMap, truth: DepthMap, mask: Mask) -> float:
    """Return the structural similarity of the inverse depths (Wang et al. 2004, eq. 13).

    A uniform window of 7 x 7 px, sample variances (n - 1), K1 = 0.01 and K2 = 0.03, as
    `skimage.metrics.structural_similarity` has by default; L is the 98th minus the 2nd percentile
    of the inverse depth of the truth. The mean is over the windows that are wholly known and
    wholly inside the image. The prediction has to be aligned with the truth beforehand, as the
    scale counts.

    Args:
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m], dense.
        mask: (H, W) bool, where the truth counts.

    Returns:
        -1..1, higher is better; NaN if no window is known, or the truth is flat.

    Raises:
        ShapeError: If the sizes differ.
        BackendUnavailableError: If OpenCV is not installed.
    """
    cv2 = opencv()
    counts = _both_known(depth, truth, mask)
    border = SSIM_WINDOW_PX // 2
    window = np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX), np.uint8)
    whole = cv2.erode(counts.astype(np.uint8), window)
    inner = whole[border:-border, border:-border].astype(np.bool_)
    if not inner.any():
        return NAN
    with np.errstate(invalid='ignore'):
        known_truth = truth[mask & (truth > 0.0) & (truth < np.inf)]
    low, high = np.percentile(1.0 / known_truth.astype(np.float64), (2.0, 98.0))
    if not high > low:
        return NAN
    x = np.divide(1.0, depth, out=np.zeros(counts.shape), where=counts, dtype=np.float64)
    y = np.divide(1.0, truth, out=np.zeros(counts.shape), where=counts, dtype=np.float64)
    similarity = _ssim(x, y, float(high - low))[border:-border, border:-border]
    return float(similarity[inner].mean())


def _ssim(
    x: NDArray[np.float64], y: NDArray[np.float64], data_range: float
) -> NDArray[np.float64]:
    """Return (H, W) SSIM of the window about each pixel; of no use at the border.

    Windows are summed one by one: a running sum would carry the rounding of one huge value along
    the row.
    """
    cv2 = opencv()
    kernel = np.full(SSIM_WINDOW_PX, 1.0 / SSIM_WINDOW_PX)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel))

    mean_x, mean_y = mean(x), mean(y)
    square, product = mean_x**2 + mean_y**2, mean_x * mean_y
    number = SSIM_WINDOW_PX**2
    sample = number / (number - 1.0)
    variances = sample * (mean(x * x + y * y) - square)
    covariance = sample * (mean(x * y) - product)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    return np.asarray(
        (2.0 * product + c1) * (2.0 * covariance + c2) / ((square + c1) * (variances + c2))
    )
