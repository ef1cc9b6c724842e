"""Compare left and right images by features: rows, order and sameness of a live pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import statistics

from depth_perception.core.frame import Picture
from depth_perception.core.types import Pixels
from depth_perception.doctor.facts import Sight
import numpy as np
from numpy.typing import NDArray

FEATURES = 1200
_LEAST = 8  # matches that a line can be fitted to
_RATIO = 0.8  # a match must be so much better than the second best
_SPREAD_PX = 0.3  # matches on a perfect pair scatter by this much
_FLOW_WINDOW_PX = 15
_FLOW_ERROR = 20.0  # mean difference of grey values of a refined match


@dataclass(frozen=True)
class Matches:
    """Features of a pair: rows of (x, y) float64 on the left and on the right [px]."""

    features: int
    left: NDArray[np.float64]
    right: NDArray[np.float64]


def grey_of(picture: Picture) -> Pixels:
    """Return (H, W) uint8 grey values."""
    import cv2

    if picture.order == 'grey':
        return picture.pixels
    code = cv2.COLOR_RGB2GRAY if picture.order == 'rgb' else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(picture.pixels, code), np.uint8)


def matches_of(left: Pixels, right: Pixels) -> Matches:
    """Return the features that two grey images have in common, to a fraction of a pixel.

    Neither rows nor order are presumed: those are what is to be judged.
    """
    import cv2

    small = min(left.shape) < 240
    orb = cv2.ORB_create(  # type: ignore[attr-defined]
        FEATURES,
        nlevels=4,
        edgeThreshold=12 if small else 31,
        patchSize=15 if small else 31,
        fastThreshold=10,
    )
    found_left, codes_left = orb.detectAndCompute(left, None)
    found_right, codes_right = orb.detectAndCompute(right, None)
    empty = np.empty((0, 2))
    if codes_left is None or codes_right is None or min(len(found_left), len(found_right)) < 2:
        return Matches(len(found_left), empty, empty)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    pairs = matcher.knnMatch(codes_left, codes_right, k=2)
    good = [
        best
        for best, second in (pair for pair in pairs if len(pair) == 2)
        if best.distance < _RATIO * second.distance
    ]
    if not good:
        return Matches(len(found_left), empty, empty)
    start = np.array([found_left[one.queryIdx].pt for one in good], np.float32)
    guess = np.array([found_right[one.trainIdx].pt for one in good], np.float32)
    refined, kept, error = cv2.calcOpticalFlowPyrLK(
        left,
        right,
        start[:, None],
        guess[:, None].copy(),
        winSize=(_FLOW_WINDOW_PX, _FLOW_WINDOW_PX),
        maxLevel=0,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    end = refined[:, 0]
    near = np.abs(end - guess).max(axis=1) < 3.0
    use = (kept[:, 0] == 1) & near & (error[:, 0] < _FLOW_ERROR)
    return Matches(len(found_left), start[use].astype(np.float64), end[use].astype(np.float64))


def sight_of(pairs: Sequence[tuple[Picture, Picture]], doffs_px: float) -> Sight:
    """Return what pairs of rectified images show.

    Args:
        pairs: Left and right pictures taken at one time, all of one size.
        doffs_px: cx right minus cx left [px]; a thing at infinity has disparity -doffs.
    """
    if not pairs:
        return Sight(problem='no pair of images of one stamp came')
    try:
        import cv2  # noqa: F401
    except ImportError:
        return Sight(problem='comparing images needs OpenCV: apt install python3-opencv')
    greys = [(grey_of(left), grey_of(right)) for left, right in pairs]
    if any(left.shape != right.shape for left, right in greys):
        return Sight(problem='left and right have different sizes')
    found = [matches_of(left, right) for left, right in greys]
    left = np.concatenate([one.left for one in found])
    right = np.concatenate([one.right for one in found])
    features = statistics.fmean(one.features for one in found)
    same = all(np.array_equal(one, other) for one, other in greys)
    if len(left) < _LEAST:
        return Sight(len(pairs), features, len(left), identical=same)
    height, width = greys[0][0].shape
    line, agree = _fitted(left, left[:, 1] - right[:, 1], (width, height))
    disparity = (left[:, 0] - right[:, 0])[agree]
    return Sight(
        pairs=len(pairs),
        features=features,
        matches=len(left),
        agree=float(agree.mean()),
        vertical_px=float(line[0]),
        roll_px=float(line[1]),
        scale_px=float(line[2]),
        disparity_px=float(np.median(disparity)) if disparity.size else 0.0,
        behind=float((disparity + doffs_px < -_SPREAD_PX).mean()) if disparity.size else 0.0,
        identical=same,
    )


def _fitted(
    points: NDArray[np.float64], offset: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return offset at the centre, change over the width and over the height, and who agrees.

    A plane through the offsets, by trimmed least squares from the median on.
    """
    width, height = size
    columns = np.column_stack(
        [
            np.ones(len(points)),
            (points[:, 0] - 0.5 * (width - 1)) / width,
            (points[:, 1] - 0.5 * (height - 1)) / height,
        ]
    )
    line = np.array([np.median(offset), 0.0, 0.0])
    rest = np.abs(offset - columns @ line)
    for _ in range(6):
        limit = max(3.0 * 1.4826 * float(np.median(rest)), 2.0 * _SPREAD_PX)
        agree = rest <= limit
        if agree.sum() < _LEAST:
            break
        line = np.linalg.lstsq(columns[agree], offset[agree], rcond=None)[0]
        rest = np.abs(offset - columns @ line)
    return line, np.asarray(rest <= max(2.5, 2.0 * _SPREAD_PX), np.bool_)
