"""Bring a prediction onto the truth before it is judged, in the ways the literature uses.

Every published number belongs to one of these labels, and numbers under different labels do not
compare:

    online          As published: not scaled to the truth. What a robot gets, unless the references
                    that its scale came from are the truth.
    median          s = median g / median y per image (Eigen, monodepth2).
    lsq_disp        s, t minimise sum (s / y + t - 1 / g)^2 per image (MiDaS).
    lsq_depth       s, t minimise sum (s y + t - g)^2 per image (Marigold).
    scale_l1        s minimises sum |s y - g| / g per image (MoGe): the exact weighted median.
    lsq_disp_video  One s, t of lsq_disp for a whole sequence (DepthCrafter, Video Depth
                    Anything); see `VideoFit`.

Convention:
    y is the depth, g the truth [m]. A depth that is not finite stays as it is. An aligned depth
    (or inverse depth) <= 0 is no depth: NaN, unless a limit says what it becomes. A fit may well
    have s < 0, of a prediction that has near and far exchanged; it is applied as it is.

Dissent:
    MiDaS limits the aligned inverse depth to >= 1 / cap, with the cap of the data set; Video
    Depth Anything to >= 1e-3 1/m, after it limited the raw prediction to >= 1e-3, and adds 1e-8
    to the truth it inverts; MoGe limits it to >= 1 / max g; Marigold limits the aligned depth to
    the range of the data set. `cap_m` and `floor_m` do all of these. MoGe fits scale_l1 on an
    image reduced to 64 x 64, here all pixels count; its `align_affine_lstsq` forgets the weight
    of the column of ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Mask
from depth_perception.errors import SettingsError
from depth_perception.evaluation.measures.exact import dot
from depth_perception.evaluation.measures.masks import counted, row_blocks
from depth_perception.evaluation.measures.medians import median_of, weighted_median_of
import numpy as np
from numpy.typing import NDArray

INF = float('inf')
NAN = float('nan')

LABELS = ('online', 'median', 'lsq_disp', 'lsq_depth', 'scale_l1', 'lsq_disp_video')


@dataclass(frozen=True)
class Alignment:
    """An affine map of the depth or of its inverse, and limits of the result.

    Attributes:
        label: One of `LABELS`.
        s: Scale.
        t: Shift [m], or [1/m] for the inverse depth.
        domain: 'depth': Z' = s Z + t; 'inverse_depth': 1 / Z' = s / Z + t.
        floor_m: Least aligned depth [m]; 0: none, and what is not positive becomes NaN.
        ceiling_m: Greatest aligned depth [m]; infinite: none, and an inverse depth that is not
            positive becomes NaN.
    """

    label: str
    s: float = 1.0
    t: float = 0.0
    domain: str = 'depth'
    floor_m: float = 0.0
    ceiling_m: float = INF

    def __post_init__(self) -> None:
        if self.domain not in ('depth', 'inverse_depth'):
            raise SettingsError(f'domain is {self.domain!r}, wanted depth or inverse_depth')
        if not 0.0 <= self.floor_m <= self.ceiling_m or self.ceiling_m == 0.0:
            raise SettingsError(
                f'the limits of the aligned depth, {self.floor_m} to {self.ceiling_m} m, must '
                'not be negative and must ascend'
            )

    @property
    def identity(self) -> bool:
        """Whether the depth stays as it is."""
        plain = (self.s, self.t, self.floor_m, self.ceiling_m) == (1.0, 0.0, 0.0, INF)
        return self.label == 'online' and plain

    def apply(self, depth: DepthMap) -> DepthMap:
        """Return the aligned (H, W) depth [m], of the dtype of `depth`.

        NaN where the map has no positive depth; infinite and NaN stay as they are.
        """
        if self.identity:
            return depth
        aligned = np.empty_like(depth)
        for rows in row_blocks(*depth.shape):
            with np.errstate(all='ignore'):
                aligned[rows] = self._mapped(np.asarray(depth[rows], np.float64))
        return aligned

    def _mapped(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the aligned depth [m] of some rows."""
        aligned = self._limited((self.s * y if self.domain == 'depth' else self.s / y) + self.t)
        aligned[~(y > 0.0)] = np.nan
        endless = np.isinf(y)
        aligned[endless] = y[endless]
        return aligned

    def _limited(self, mapped: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the depth [m] of mapped values, within the limits; NaN where there is none."""
        if self.domain == 'inverse_depth':
            if self.ceiling_m < INF:
                mapped = np.maximum(mapped, 1.0 / self.ceiling_m)
            mapped[~(mapped > 0.0)] = np.nan
            mapped = 1.0 / mapped
        if self.floor_m > 0.0:
            mapped = np.maximum(mapped, self.floor_m)
        if self.ceiling_m < INF:
            mapped = np.minimum(mapped, self.ceiling_m)
        mapped[~(mapped > 0.0)] = np.nan
        return mapped

    def apply_sigma(self, depth: DepthMap, sigma: AnyArray) -> AnyArray:
        """Return the standard deviation of the aligned depth [m], to first order.

        |dZ' / dZ| sigma: |s| sigma for the depth, |s| (Z' / Z)^2 sigma for its inverse. Where a
        limit holds Z' fast the same formula is used with the limited Z', so that sigma does not
        become 0.

        Args:
            depth: (H, W) depth as published [m].
            sigma: (H, W) sigma as published [m].

        Returns:
            (H, W) [m] of the dtype of `sigma`; NaN where the aligned depth is not finite.

        Raises:
            ShapeError: If the sizes differ.
        """
        check_shapes(depth=(depth, 'H W'), sigma=(sigma, 'H W'))
        if self.identity:
            return sigma
        aligned_sigma = np.empty_like(sigma)
        for rows in row_blocks(*sigma.shape):
            with np.errstate(all='ignore'):
                y = np.asarray(depth[rows], np.float64)
                aligned = self._mapped(y)
                spread = abs(self.s) * np.asarray(sigma[rows], np.float64)
                if self.domain == 'inverse_depth':
                    spread *= np.square(aligned / y)
                spread[~np.isfinite(aligned)] = np.nan
                aligned_sigma[rows] = spread
        return aligned_sigma


def fit(
    label: str,
    depth: DepthMap,
    truth: DepthMap,
    mask: Mask,
    cap_m: float = INF,
    floor_m: float = 0.0,
) -> Alignment:
    """Return the alignment of one image.

    Args:
        label: One of `LABELS` but 'lsq_disp_video', which takes a sequence: see `VideoFit`.
        depth: (H, W) prediction [m]; not finite where there is none.
        truth: (H, W) truth [m].
        mask: (H, W) bool, where the truth counts.
        cap_m: Greatest aligned depth [m] (MiDaS's cap); does nothing to 'online'.
        floor_m: Least aligned depth [m]; does nothing to 'online'.

    Returns:
        The alignment; s and t are NaN, and all aligned depth with them, without any pixel to
        fit. Where the predictions are all equal a line has no slope: then s and t are the
        smallest that fit (as `numpy.linalg.lstsq`).

    Raises:
        SettingsError: If there is no such label, or the limits do not ascend.
        ShapeError: If the sizes differ.
    """
    if label == 'online':
        return Alignment('online')
    if label == 'lsq_disp_video':
        raise SettingsError('lsq_disp_video is fitted to a whole sequence: use VideoFit')
    if label not in LABELS:
        raise SettingsError(f'there is no alignment {label!r}; there are {", ".join(LABELS)}')
    s, t = _scale_and_shift(label, depth, truth, mask)
    domain = 'inverse_depth' if label == 'lsq_disp' else 'depth'
    return Alignment(label, s, t, domain, floor_m, cap_m)


def _scale_and_shift(
    label: str, depth: DepthMap, truth: DepthMap, mask: Mask
) -> tuple[float, float]:
    if label in ('lsq_disp', 'lsq_depth'):
        return _line(_line_sums(depth, truth, mask, inverse=label == 'lsq_disp'))
    blocks = [block for block in counted(depth, truth, mask) if block.truth.size]
    if not blocks:
        return NAN, NAN
    if label == 'median':
        y = median_of([block.predicted for block in blocks])
        return median_of([block.truth for block in blocks]) / y, 0.0
    ratios = [(b.truth / b.predicted, b.predicted / b.truth) for b in blocks]
    return weighted_median_of(ratios), 0.0


@dataclass
class VideoFit:
    """The sums of one lsq_disp over a sequence: add frames, in any order and split as you like.

    Attributes:
        sums: Number of pixels, and the sums of x, w, x^2, x w over them, with x the inverse
            depth and w the inverse truth [1/m]. Sums of parts add up element by element.
    """

    sums: list[float] = field(default_factory=lambda: [0.0] * 5)

    def add(self, depth: DepthMap, truth: DepthMap, mask: Mask) -> None:
        """Take in one (H, W) frame: depth [m], truth [m] and where the truth counts.

        Raises:
            ShapeError: If the sizes differ.
        """
        self.merge(VideoFit(frame_sums(depth, truth, mask)))

    def merge(self, other: VideoFit) -> None:
        """Take in the frames of another fit."""
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]

    def fit(self, cap_m: float = INF, floor_m: float = 0.0) -> Alignment:
        """Return the one alignment of all frames; s and t NaN if no pixel was added.

        Args:
            cap_m: Greatest aligned depth [m].
            floor_m: Least aligned depth [m].

        Raises:
            SettingsError: If the limits do not ascend.
        """
        s, t = _line(self.sums)
        return Alignment('lsq_disp_video', s, t, 'inverse_depth', floor_m, cap_m)


def frame_sums(depth: DepthMap, truth: DepthMap, mask: Mask) -> list[float]:
    """Return the `VideoFit.sums` of one (H, W) frame.

    Raises:
        ShapeError: If the sizes differ.
    """
    return _line_sums(depth, truth, mask, inverse=True)


def _line_sums(depth: DepthMap, truth: DepthMap, mask: Mask, *, inverse: bool) -> list[float]:
    """Return the number of pixels and the sums of x, w, x^2, x w; see `VideoFit`."""
    sums = np.zeros(5)
    for block in counted(depth, truth, mask):
        x, w = block.predicted, block.truth
        if inverse:
            x, w = 1.0 / x, 1.0 / w
        sums += (x.size, x.sum(), w.sum(), dot(x, x), dot(x, w))
    return [float(value) for value in sums]


def _line(sums: list[float]) -> tuple[float, float]:
    """Return (s, t) that minimise sum (s x + t - w)^2; the smallest pair if all x are equal."""
    count = sums[0]
    if count == 0.0:
        return NAN, NAN
    x, w, xx, xw = (value / count for value in sums[1:])
    spread = xx - x * x
    level = spread <= 1e-12 * xx
    s = x * w / (1.0 + x * x) if level else (xw - x * w) / spread
    return s, w - s * x
