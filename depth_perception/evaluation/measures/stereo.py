"""How far a disparity image is from the truth, with the definitions of the stereo benchmarks.

Convention:
    d is the prediction, d* > 0 the truth [px]. A disparity counts as bad by strict comparison.
    Every figure but `d1_all_pct` is over the pixels that have both, so that it has to be read
    beside `density_pct`. A finite prediction is one, even if it is negative, as it may be on a
    rig with doffs.

Dissent:
    D1 here is KITTI's: |d - d*| > 3 px and |d - d*| > 5 % of d*, both strict (devkit_scene_flow;
    its C++ divides in single precision, so that an error of exactly 5 % may count there).
    monodepth has >= for both; RAFT-Stereo's "kitti-d1" leaves out the 5 %. KITTI pools the
    pixels of all images, for which `d1_sums` are; Middlebury (bad_2), ETH3D (bad_1) and RAFT-
    Stereo's tables of these average over images. KITTI's "occ" truth holds all pixels; `_occ`
    here is of those alone that the right camera does not see.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DisparityMap, Mask
from depth_perception.evaluation.measures.masks import counted
import numpy as np

NAN = float('nan')
MISSING_PX = -1.0

_BAD_PX = {'bad_0_5_pct': 0.5, 'bad_1_pct': 1.0, 'bad_2_pct': 2.0, 'bad_4_pct': 4.0}


def disparity_measures(
    disparity: DisparityMap, truth: DisparityMap, mask: Mask, visible: Mask | None = None
) -> dict[str, float]:
    """Return the figures of one disparity image.

    Args:
        disparity: (H, W) prediction [px]; not finite where there is none.
        truth: (H, W) truth [px], > 0 where known.
        mask: (H, W) bool, where the truth counts.
        visible: (H, W) bool, where the right camera sees the surface too; None if not known.

    Returns:
        epe_px: mean |d - d*| [px].
        bad_0_5_pct, bad_1_pct, bad_2_pct, bad_4_pct: percentage with |d - d*| > 0.5, 1, 2, 4 px.
        d1_pct: percentage with |d - d*| > 3 px and > 5 % of d*.
        density_pct: percentage of the truth that is predicted.
        d1_all_pct: d1 of all pixels with truth, where missing predictions are interpolated by
            `background_interpolated`; defined without any prediction too.

        With `visible` the same again over the pixels it holds, with suffix `_noc`, and over the
        others, with `_occ`. NaN without pixels; the density is 0 without predictions.

    Raises:
        ShapeError: If the sizes differ.
    """
    return disparity_figures(disparity, truth, mask, visible).scalars


def d1_sums(
    disparity: DisparityMap, truth: DisparityMap, mask: Mask, visible: Mask | None = None
) -> dict[str, list[float]]:
    """Return [bad pixels, pixels] of D1, to be added up over images as KITTI does.

    Args:
        disparity: (H, W) prediction [px]; not finite where there is none.
        truth: (H, W) truth [px], > 0 where known.
        mask: (H, W) bool, where the truth counts.
        visible: (H, W) bool, where the right camera sees the surface too; None if not known.

    Returns:
        d1 (of the predicted pixels) and d1_all (of all, interpolated), and with `visible`
        d1_noc, d1_all_noc, d1_occ, d1_all_occ.

    Raises:
        ShapeError: If the sizes differ.
    """
    return disparity_figures(disparity, truth, mask, visible).sums


@dataclass(frozen=True)
class DisparityFigures:
    """What there is to say about the disparity of one frame.

    Attributes:
        scalars: As `disparity_measures` returns them.
        sums: As `d1_sums` returns them.
    """

    scalars: dict[str, float]
    sums: dict[str, list[float]]


def disparity_figures(
    disparity: DisparityMap, truth: DisparityMap, mask: Mask, visible: Mask | None = None
) -> DisparityFigures:
    """Return the measures and the sums of one frame, looking at its pixels once.

    The arguments are those of `disparity_measures`.

    Raises:
        ShapeError: If the sizes differ.
    """
    figures: dict[str, float] = {}
    pairs: dict[str, list[float]] = {}
    for suffix, sums in _sums(disparity, truth, mask, visible).items():
        count = sums['predicted']
        figures['epe_px' + suffix] = sums['error_px'] / count if count else NAN
        for name in (*_BAD_PX, 'd1_pct'):
            figures[name + suffix] = _percentage(sums[name], count)
        figures['density_pct' + suffix] = _percentage(count, sums['known'])
        figures['d1_all_pct' + suffix] = _percentage(sums['d1_all_pct'], sums['known'])
        pairs['d1' + suffix] = [sums['d1_pct'], sums['predicted']]
        pairs['d1_all' + suffix] = [sums['d1_all_pct'], sums['known']]
    return DisparityFigures(figures, pairs)


def background_interpolated(disparity: DisparityMap) -> DisparityMap:
    """Return (H, W) disparity [px] with its holes filled as the KITTI devkit fills them.

    In each row a hole takes the lesser of the values at its ends, which is the farther surface,
    or the one value there is at the image border. Rows without any value are then filled from
    the nearest row above or below that has values, but only outside of all such rows: an empty
    row between others stays empty, and its pixels, as all of an empty image, become -1 px.

    Source:
        `DisparityImage::interpolateBackground` of KITTI's devkit_scene_flow, by its behaviour.

    Args:
        disparity: (H, W) [px]; not finite where there is none.
    """
    known = np.isfinite(disparity)
    holes = np.flatnonzero(~known)
    filled = disparity.copy()
    if holes.size == 0:
        return filled
    width = disparity.shape[1]
    starts = np.flatnonzero((np.diff(holes, prepend=-2) != 1) | (holes % width == 0))
    lengths = np.diff(starts, append=holes.size)
    first = holes[starts]
    after = first + lengths
    flat = disparity.ravel()
    left = np.where(first % width == 0, np.inf, flat[first - 1])
    right = np.where(after % width == 0, np.inf, flat[np.minimum(after, flat.size - 1)])
    lesser = np.minimum(left, right)
    lesser[np.isinf(lesser)] = MISSING_PX
    filled[~known] = np.repeat(lesser, lengths)
    rows = np.flatnonzero(known.any(axis=1))
    if rows.size:
        filled[: rows[0]] = filled[rows[0]]
        filled[rows[-1] + 1 :] = filled[rows[-1]]
    return filled


def _sums(
    disparity: DisparityMap, truth: DisparityMap, mask: Mask, visible: Mask | None
) -> dict[str, dict[str, float]]:
    """Return the sums of each part of the image, by the suffix of its figures."""
    check_shapes(disparity=(disparity, 'H W'), truth=(truth, 'H W'), mask=(mask, 'H W'))
    filled = background_interpolated(disparity)
    if visible is None:
        return {'': _part_sums(disparity, filled, truth, mask)}
    check_shapes(mask=(mask, 'H W'), visible=(visible, 'H W'))
    seen = _part_sums(disparity, filled, truth, mask & visible)
    hidden = _part_sums(disparity, filled, truth, mask & ~visible)
    return {'': {k: seen[k] + hidden[k] for k in seen}, '_noc': seen, '_occ': hidden}


def _part_sums(
    disparity: DisparityMap, filled: DisparityMap, truth: DisparityMap, mask: Mask
) -> dict[str, float]:
    names = ('known', 'predicted', 'error_px', *_BAD_PX, 'd1_pct', 'd1_all_pct')
    sums = dict.fromkeys(names, 0.0)
    for block in counted(filled, truth, mask, positive=False):
        error = np.abs(block.predicted - block.truth)
        outlier = (error > 3.0) & (error / block.truth > 0.05)
        sums['known'] += error.size
        sums['d1_all_pct'] += np.count_nonzero(outlier)
        given = np.isfinite(disparity[block.rows][block.known])
        error = error[given]
        sums['predicted'] += error.size
        sums['d1_pct'] += np.count_nonzero(outlier & given)
        sums['error_px'] += float(error.sum())
        for name, limit_px in _BAD_PX.items():
            sums[name] += np.count_nonzero(error > limit_px)
    return sums


def _percentage(number: float, every: float) -> float:
    return 100.0 * number / every if every else NAN
