"""Which pixels of the ground truth count: crops, ranges and the protocols of the benchmarks.

Convention:
    A truth counts where it is finite, above 0 and strictly between the limits, inside the crop.
    Nothing else can be known, whatever a file holds: 0, negative, NaN and infinite truths never
    count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, Mask
from depth_perception.errors import SettingsError
import numpy as np
from numpy.typing import NDArray

INF = float('inf')
BLOCK_PIXELS = 1 << 14

CROPS = ('none', 'garg', 'eigen', 'nyu')

# Shares of the height (top, bottom) and of the width (left, right).
_SHARES = {
    'garg': (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    'eigen': (0.3324324, 0.91351351, 0.0359477, 0.96405229),
}
_NYU_480X640 = (45, 471, 41, 601)


@dataclass(frozen=True)
class Protocol:
    """The pixels a benchmark counts, and whether it limits the predictions.

    Attributes:
        crop: One of `CROPS`.
        min_m: The truth must exceed this depth [m].
        max_m: The truth must stay below this depth [m].
        clamp: Whether predictions are limited to `min_m`..`max_m` before they are judged, after
            the alignment.
    """

    crop: str = 'none'
    min_m: float = 1e-3
    max_m: float = INF
    clamp: bool = False

    def truth_mask(self, truth: AnyArray) -> Mask:
        """Return (H, W) bool: where the (H, W) truth [m] counts."""
        return truth_mask(truth, min_m=self.min_m, max_m=self.max_m, crop=self.crop)

    def clamped(self, depth: AnyArray) -> AnyArray:
        """Return (H, W) depth [m], limited where the protocol does so; not finite stays so."""
        if not self.clamp:
            return depth
        return np.where(np.isfinite(depth), np.clip(depth, self.min_m, self.max_m), depth)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        'none': Protocol(),
        'kitti-eigen-garg': Protocol('garg', max_m=80.0, clamp=True),
        'kitti-eigen': Protocol('eigen', max_m=80.0, clamp=True),
        'kitti-improved': Protocol(max_m=80.0, clamp=True),
        'nyu': Protocol('nyu', max_m=10.0, clamp=True),
    }
)
"""Names of the protocols.

`kitti-eigen-garg` is what nearly all papers call "Eigen": monodepth2 and mono-uncertainty write
"eigen crop" in a comment and use the numbers of Garg. `kitti-eigen` has the crop that Eigen
himself used. `kitti-improved` is for the 652 images of the improved truth (no crop); monodepth2
limits the predictions to 80 m there but takes truth of any distance.
"""


def crop_box(name: str, height: int, width: int) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a crop [px]; bottom and right lie outside.

    'garg' and 'eigen' are shares of the image, cut to whole numbers as the benchmarks do. 'nyu'
    is rows 45 to 471 and columns 41 to 601 of 480 x 640, in proportion at other sizes.

    Raises:
        SettingsError: If there is no such crop.
    """
    if name == 'none':
        return 0, height, 0, width
    if name == 'nyu':
        top, bottom, left, right = _NYU_480X640
        return (
            top * height // 480, bottom * height // 480, left * width // 640, right * width // 640,
        )  # fmt: skip
    if name not in _SHARES:
        raise SettingsError(f'there is no crop {name!r}; there are {", ".join(CROPS)}')
    top_share, bottom_share, left_share, right_share = _SHARES[name]
    return (
        int(top_share * height),
        int(bottom_share * height),
        int(left_share * width),
        int(right_share * width),
    )


def crop_mask(name: str, height: int, width: int) -> Mask:
    """Return (H, W) bool, true inside the crop of that name; see `crop_box`.

    Raises:
        SettingsError: If there is no such crop.
    """
    top, bottom, left, right = crop_box(name, height, width)
    inside = np.zeros((height, width), np.bool_)
    inside[top:bottom, left:right] = True
    return inside


def truth_mask(
    truth: AnyArray, *, min_m: float = 1e-3, max_m: float = INF, crop: str = 'none'
) -> Mask:
    """Return (H, W) bool: where the truth counts.

    Both limits are strict, as in the benchmarks. For disparities, `min_m` and `max_m` are in
    pixels.

    Args:
        truth: (H, W) truth [m]; NaN, infinite or <= 0 where unknown.
        min_m: The truth must exceed this [m]; below 0 is as 0.
        max_m: The truth must stay below this [m].
        crop: One of `CROPS`.

    Raises:
        SettingsError: If there is no such crop.
        ShapeError: If `truth` has not two axes.
    """
    check_shapes(truth=(truth, 'H W'))
    with np.errstate(invalid='ignore'):
        counts: Mask = (truth > max(min_m, 0.0)) & (truth < max_m)
    if crop != 'none':
        counts &= crop_mask(crop, *truth.shape)
    return counts


@dataclass(frozen=True)
class Counted:
    """The pixels of some rows of an image where truth and prediction meet.

    Attributes:
        rows: The rows of the image.
        known: (h, W) bool, where in these rows the truth counts, predicted or not.
        predicted: (N,) float64, the predictions that count.
        truth: (N,) float64, the truth there.
    """

    rows: slice
    known: Mask
    predicted: NDArray[np.float64]
    truth: NDArray[np.float64]


def row_blocks(height: int, width: int) -> Iterator[slice]:
    """Yield slices of rows of a few thousand pixels, which stay in the cache of the processor.

    Arithmetic on whole images spends most of its time on fresh pages of memory.
    """
    step = max(1, BLOCK_PIXELS // max(width, 1))
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))


def counted(
    predicted: AnyArray, truth: AnyArray, mask: Mask, *, positive: bool = True
) -> Iterator[Counted]:
    """Yield, block of rows by block, the pixels of `mask` that have truth and a prediction.

    Args:
        predicted: (H, W) prediction; not finite where there is none.
        truth: (H, W) truth; only finite values above 0 count, even inside `mask`.
        mask: (H, W) bool, where truth counts.
        positive: Whether a prediction <= 0 is none, as is so for depth.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_shapes(predicted=(predicted, 'H W'), truth=(truth, 'H W'), mask=(mask, 'H W'))
    for rows in row_blocks(*truth.shape):
        y, g = predicted[rows], truth[rows]
        with np.errstate(invalid='ignore'):
            known = mask[rows] & (g > 0.0) & (g < INF)
            given = (y > 0.0) & (y < INF) if positive else np.isfinite(y)
        both = known & given
        yield Counted(rows, known, y[both].astype(np.float64), g[both].astype(np.float64))
