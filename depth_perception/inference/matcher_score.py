"""Where the builtin matcher errs: one raw score [px] from its disparity and both images.

The errors of semi-global matching have causes that can be seen. A disparity is carried over the
edge of a surface (near holes and jumps, before something farther); the cost hardly rises beside
the match; the right image disagrees, here, around here, or in many places of the image. The score
starts with the exponential of a weighted sum of these cues, adds in quadrature what noise leaves
undecided where texture is weak (`photometric_sigma`), and grows with the left-right difference of
the pixel. The weights were fitted as the scale of a Student-t distribution of the errors on real
and rendered scenes by `benchmark/fit_matcher_score.py`; a calibrated curve makes sigma of it.

Speed:
    The cues are taken at every second pixel of every second row, from the full images, and read
    back at the nearest such pixel: they are sums over windows, which hardly differ between
    neighbours. Only the left-right difference is that of each pixel.
"""

from __future__ import annotations

from types import ModuleType

from depth_perception.core.matching import intensity_noise, MAX_NOISE, STEP_PX
from depth_perception.core.types import AnyArray, DisparityMap, Mask, Pixels, SigmaMap
import numpy as np
from numpy.typing import NDArray

STRIDE = 2
MOST_PX = 20.0  # of the score, before the left-right difference
DISAGREEMENT = 1.7  # the score grows by 1 + 1.7 |d_left - d_right| / px
WEIGHTS = {
    'constant': -0.735,
    'near': 0.80,  # exp(-distance / 6 px) to the next hole or jump
    'farther': 0.14,  # how far the farthest match within 9 px lies behind [px], at most 3
    'margin': -0.14,  # by what the cost rises within a pixel, relative to the cost
    'contrast': 0.16,  # ln(1 + spread of the grey levels within 9 px)
    'doubt': 0.345,  # ln of the mean left-right difference within 21 px [px]
    'failures': 0.18,  # ln of the share of the image that failed the left-right check
}
_JUMP_PX, _REACH_PX, _FAR_PX = 2.0, 6.0, 3.0
_WINDOW, _WIDE_WINDOW, _COST_WINDOW = 5, 11, 3  # of the grid: 9, 21 and 5 px
_TYPICAL_DIFFERENCE_PX, _TYPICAL_FAILURES = 0.12, 0.04  # where there is no left-right check
_OUTSIDE = np.float32(1e4)

_Field = NDArray[np.float32]


def error_score(
    cv2: ModuleType,
    left: Pixels,
    right: Pixels,
    disparity: DisparityMap,
    left_right: NDArray[np.float32] | None,
) -> SigmaMap:
    """Return how large the error of each disparity is likely to be.

    Args:
        cv2: OpenCV.
        left: (H, W) uint8 grey.
        right: (H, W) uint8 grey.
        disparity: (H, W) float32 [px], NaN where there is no match.
        left_right: (H, W) float32 [px] of `left_right_difference`, from before matches were
            removed for it; None if there was no check.

    Returns:
        (H, W) float32 [px] above 0; NaN where `disparity` is.
    """
    found = cues(cv2, left, right, disparity, left_right)
    exponent = np.full(found['near'].shape, WEIGHTS['constant'], np.float32)
    for name, cue in found.items():
        exponent += cue * np.float32(WEIGHTS[name])
    coarse = cv2.exp(exponent)
    np.square(coarse, out=coarse)
    coarse += _photometric_variance(cv2, left)
    np.sqrt(coarse, out=coarse)
    np.minimum(coarse, np.float32(MOST_PX), out=coarse)
    height, width = disparity.shape
    size = STRIDE * coarse.shape[1], STRIDE * coarse.shape[0]
    score: SigmaMap = cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST)[:height, :width]
    if left_right is not None:
        factor = np.minimum(left_right, np.float32(1.0))
        factor *= np.float32(DISAGREEMENT)
        factor += np.float32(1.0)
        score = np.multiply(score, factor, out=factor)
    score[np.isnan(disparity)] = np.nan
    return score


def textureless(cv2: ModuleType, grey: Pixels, window: int) -> Mask:
    """Return where no pixel of the window differs from the second next one in its row.

    There `photometric_sigma` is infinite. Pixels at the left and right border count as equal.

    Args:
        cv2: OpenCV.
        grey: (H, W) uint8.
        window: Side of the window [px], odd.
    """
    change = np.zeros_like(grey)
    if grey.shape[1] > 2:
        change[:, 1:-1] = cv2.absdiff(grey[:, 2:], grey[:, :-2])
    most = cv2.dilate(change, np.ones((window, window), np.uint8))
    return np.asarray(most == 0)


def cues(
    cv2: ModuleType,
    left: Pixels,
    right: Pixels,
    disparity: DisparityMap,
    left_right: NDArray[np.float32] | None,
) -> dict[str, _Field]:
    """Return the cues named in `WEIGHTS`, see `error_score` for the arguments.

    Returns:
        Each (ceil(H / 2), ceil(W / 2)) float32 and finite; `failures` () float32.
    """
    grid = np.ascontiguousarray(disparity[::STRIDE, ::STRIDE])
    known = np.isfinite(grid)
    here = np.where(known, grid, np.float32(0.0))
    share = np.maximum(_mean(cv2, known.astype(np.float32), _WINDOW), np.float32(1e-6))
    mean = _mean(cv2, here, _WINDOW) / share
    filled = np.where(known, grid, mean)
    low = np.where(known, grid, _OUTSIDE)
    farther = filled - cv2.erode(low, np.ones((_WINDOW, _WINDOW), np.uint8))
    distance = _distance_to_edge(cv2, low, known)
    return {
        'near': cv2.exp(distance * np.float32(-1.0 / _REACH_PX)),
        'farther': np.clip(farther, np.float32(0.0), np.float32(_FAR_PX)),
        'contrast': _contrast(cv2, left),
        'margin': _margin(cv2, left, right, filled),
        **_doubts(cv2, known, left_right),
    }


def _mean(cv2: ModuleType, values: _Field, window: int) -> _Field:
    found: _Field = cv2.boxFilter(values, -1, (window, window), borderType=cv2.BORDER_REPLICATE)
    return found


def _distance_to_edge(cv2: ModuleType, low: _Field, known: AnyArray) -> _Field:
    """Return the distance to the next hole or jump [px of the image]."""
    square = np.ones((3, 3), np.uint8)
    high = np.where(known, low, -_OUTSIDE)
    jump = np.maximum(cv2.dilate(high, square) - low, low - cv2.erode(low, square))
    inside = (known & (jump < np.float32(_JUMP_PX))).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    # Without any hole OpenCV gives huge numbers.
    distance = np.minimum(distance, np.float32(1e4))
    return np.asarray(distance * np.float32(STRIDE))


def _doubts(
    cv2: ModuleType, known: AnyArray, left_right: NDArray[np.float32] | None
) -> dict[str, AnyArray]:
    """Return what the left-right check says of the surroundings and of the whole image."""
    if left_right is None:
        doubt = np.full(known.shape, np.log(_TYPICAL_DIFFERENCE_PX), np.float32)
        return {'doubt': doubt, 'failures': np.log(np.float32(_TYPICAL_FAILURES + 0.01))}
    grid = left_right[::STRIDE, ::STRIDE]
    passed = grid <= np.float32(1.0)
    compared = int(np.count_nonzero(~np.isnan(grid)))
    failed = compared - int(np.count_nonzero(passed))
    passed &= known
    small = np.where(passed, grid, np.float32(0.0))
    share = np.maximum(_mean(cv2, passed.astype(np.float32), _WIDE_WINDOW), np.float32(1e-6))
    doubt = np.clip(_mean(cv2, small, _WIDE_WINDOW) / share, 0.01, 1.0, dtype=np.float32)
    failures = np.log(np.float32(failed / max(compared, 1) + 0.01))
    return {'doubt': cv2.log(doubt), 'failures': failures}


def _margin(cv2: ModuleType, left: Pixels, right: Pixels, disparity: _Field) -> _Field:
    """Return (least cost 1 px beside the match - cost of the match) / (cost + 1), -1 to 3."""
    grey = left[::STRIDE, ::STRIDE].astype(np.float32)
    rows, columns = (STRIDE * np.arange(size, dtype=np.float32) for size in grey.shape)
    x = columns - disparity
    y = np.repeat(rows[:, None], grey.shape[1], axis=1)

    def cost(shift: float) -> _Field:
        border = cv2.BORDER_REPLICATE
        seen = cv2.remap(right, x - np.float32(shift), y, cv2.INTER_LINEAR, borderMode=border)
        return _mean(cv2, np.abs(grey - seen), _COST_WINDOW)

    here = cost(0.0)
    margin = np.minimum(cost(-1.0), cost(1.0))
    margin -= here
    margin /= here + np.float32(1.0)
    return np.clip(margin, np.float32(-1.0), np.float32(3.0))


def _contrast(cv2: ModuleType, left: Pixels) -> _Field:
    grey = left[::STRIDE, ::STRIDE].astype(np.float32)
    variance = _mean(cv2, np.square(grey), _WINDOW) - np.square(_mean(cv2, grey, _WINDOW))
    spread = np.sqrt(np.maximum(variance, np.float32(0.0)))
    return np.asarray(cv2.log(spread + np.float32(1.0)))


def _photometric_variance(cv2: ModuleType, left: Pixels) -> _Field:
    """Return the square of `photometric_sigma` on the grid; 1e6 where there is no texture."""
    rows = left[::STRIDE]
    change = np.zeros(rows.shape, np.uint8)
    if rows.shape[1] > 2:
        change[:, 1:-1] = cv2.absdiff(rows[:, 2:], rows[:, :-2])
    slope = np.square(change[:, ::STRIDE].astype(np.float32))
    energy = _mean(cv2, slope, _WINDOW)
    energy *= np.float32((STRIDE * _WINDOW - 1) ** 2)
    noise = min(intensity_noise(left), MAX_NOISE)
    variance = np.float32(8.0 * noise**2) / np.maximum(energy, np.float32(8e-6))
    return np.asarray(variance + np.float32(STEP_PX**2 / 12.0))
