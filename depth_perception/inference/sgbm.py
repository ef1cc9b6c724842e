"""OpenCV's semi-global matching with a left-right check, a support filter and an error score.

What it does beyond `cv2.StereoSGBM`, and why (figures: `benchmark/stereo_accuracy.py`):

* Both images are padded on the left by the search range, so that the columns there, which OpenCV
  leaves out, are matched wherever the right image shows them.
* The right image is matched too (flipped and swapped), with weaker smoothing than the left one.
  Where texture decides, both find the same; where only the smoothness does (occlusions, bare
  walls), they differ and the left-right check removes the pixel.
* OpenCV's sub-pixel disparities lean towards whole pixels ("peak locking"), by 0.08 to 0.16 px on
  every one of the Middlebury scenes; `PEAK_LOCKING_PX` is taken out again.
* Matches without matched neighbours, small patches, and windows without any texture are removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import math
from types import ModuleType
from typing import Any, final

from depth_perception.core.matching import (
    left_right_difference,
    support_fraction,
)
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, DisparityMap, Pixels
from depth_perception.errors import BackendUnavailableError, FrameError, InferenceError
from depth_perception.inference.backend import Backend, TensorSpec, usable_cpus
from depth_perception.inference.matcher_score import error_score, textureless
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

MAX_DERIVED_RANGE_PX = 256
SUPPORT_WINDOW_PX = 9
TEXTURE_WINDOW_PX = 9
PEAK_LOCKING_PX = 0.125  # d_true = d + 0.125 sin(2 pi d)
_STEPS_PER_PX = 16
_MIN_SIDE_PX = 16
_LEFT_PENALTIES = 8, 32  # P1 and P2 per pixel of the block, as in OpenCV's documentation
_RIGHT_PENALTIES = 3, 12  # weaker, see above

_PHASES = 2.0 * np.pi * np.arange(_STEPS_PER_PX) / _STEPS_PER_PX
_UNLOCKING_PX = (PEAK_LOCKING_PX * np.sin(_PHASES)).astype(np.float32)


@dataclass(frozen=True)
class SearchRange:
    """Disparities searched: `count` whole pixels from `first` on [px]."""

    first: int
    count: int

    @property
    def last(self) -> int:
        """Greatest disparity searched [px]."""
        return self.first + self.count - 1


def derived_search_range(rig: StereoRig, min_depth_m: float) -> SearchRange:
    """Return the disparities between infinity and `min_depth_m`.

    Infinity lies at d = -doffs: below zero where doffs is positive, as on the Middlebury scenes.
    The search starts there, rounded down, whatever its sign. From there `min_depth_m` is
    f b / min_depth_m away; rounded up to 16, at most 256 and at most the image width, in which
    case the nearest things cannot be matched.

    Args:
        rig: The calibrated pair.
        min_depth_m: Nearest depth wanted [m].
    """
    first = math.floor(-rig.doffs_px)
    needed = rig.focal_baseline / min_depth_m - rig.doffs_px - first + 1.0
    limit = max(_MIN_SIDE_PX, min(MAX_DERIVED_RANGE_PX, rig.left.width // 16 * 16))
    return SearchRange(first, min(math.ceil(needed / 16.0) * 16, limit))


def narrowed(whole: SearchRange, low_px: float, high_px: float) -> SearchRange:
    """Return the part of a range that reaches from `low_px` to `high_px`, a multiple of 16.

    Args:
        whole: The range.
        low_px: Least disparity of interest [px].
        high_px: Greatest disparity of interest [px].
    """
    first = min(max(math.floor(low_px), whole.first), whole.last)
    last = min(max(math.ceil(high_px), first), whole.last)
    count = math.ceil((last - first + 1) / 16.0) * 16
    return SearchRange(max(whole.first, min(first, whole.last + 1 - count)), count)


@final
class SgbmBackend(Backend):
    """Semi-global matching of grey pairs.

    Outputs `disparity` (H, W) float32 [px] and `sigma` (H, W) float32 [px], how large its error
    is likely to be (`matcher_score`): a standard deviation only after calibration, near to one
    before. Both are NaN where there is no match to be believed.

    Attributes:
        settings: May be replaced between two frames.
        within: Least and greatest disparity [px] that are of interest, of those that settings or
            rig ask for; None: all of them.

    Args:
        settings: What to match and how.

    Raises:
        BackendUnavailableError: If OpenCV is not installed.
    """

    def __init__(self, settings: StereoEstimatorSettings) -> None:
        self._cv2 = opencv()
        self.settings = settings
        self.within: tuple[float, float] | None = None
        self.name = 'sgbm'
        self.description = f'OpenCV {self._cv2.__version__} semi-global matching on the CPU'
        image = ('uint8', (None, None))
        field = ('float32', (None, None))
        self.inputs = TensorSpec('left', *image), TensorSpec('right', *image)
        self.outputs = TensorSpec('disparity', *field), TensorSpec('sigma', *field)
        self._derived: SearchRange | None = None
        self._matchers: dict[str, tuple[tuple[int, ...], Any]] = {}
        self._worker = ThreadPoolExecutor(1, 'sgbm-right')

    def close(self) -> None:
        """Free the buffers and the thread."""
        self._matchers.clear()
        self._worker.shutdown()

    def set_rig(self, rig: StereoRig, min_depth_m: float) -> None:
        """Derive the search range, used where `sgbm__num_disparities` is 0.

        Args:
            rig: The calibrated pair that the next frames come from.
            min_depth_m: Nearest depth wanted [m].
        """
        self._derived = derived_search_range(rig, min_depth_m)

    @property
    def search_range(self) -> SearchRange:
        """The disparities that the next frame is searched for.

        Raises:
            InferenceError: If neither the settings nor a rig say what to search.
        """
        whole = self.whole_range
        return whole if self.within is None else narrowed(whole, *self.within)

    @property
    def whole_range(self) -> SearchRange:
        """The disparities that settings or rig ask for, whatever `within` says.

        Raises:
            InferenceError: If neither of them does.
        """
        count = self.settings.sgbm__num_disparities
        if count > 0:
            return SearchRange(self.settings.sgbm__min_disparity, count)
        if self._derived is None:
            raise InferenceError(
                'sgbm.num_disparities is 0 and no calibration was given to derive it from; '
                'set it, or call set_rig first'
            )
        return self._derived

    def _infer(self, feeds: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        left, right = feeds['left'], feeds['right']
        self._check_pair(left, right)
        disparity, difference = self._checked_match(left, right, self.search_range)
        self._remove_unsupported(disparity)
        self._remove_speckles(disparity)
        disparity[textureless(self._cv2, left, TEXTURE_WINDOW_PX)] = np.nan
        sigma = error_score(self._cv2, left, right, disparity, difference)
        return {'disparity': disparity, 'sigma': sigma}

    def _check_pair(self, left: Pixels, right: Pixels) -> None:
        if left.shape != right.shape:
            raise FrameError(
                'size_mismatch',
                f'left image is {left.shape[1]}x{left.shape[0]} but right is '
                f'{right.shape[1]}x{right.shape[0]}; a rectified pair has one size',
            )
        needed = max(_MIN_SIDE_PX, self.settings.sgbm__block_size)
        if min(left.shape) < needed:
            raise FrameError(
                'too_small',
                f'images of {left.shape[1]}x{left.shape[0]} px cannot be matched; '
                f'both sides must be at least {needed} px',
            )

    def _checked_match(
        self, left: Pixels, right: Pixels, search: SearchRange
    ) -> tuple[DisparityMap, AnyArray | None]:
        """Return the disparity that passed the left-right check, and the difference found."""
        settings = self.settings
        threads = settings.threads or usable_cpus()
        if settings.sgbm__left_right_px == 0.0:
            self._use_threads(threads)
            return self._match('left', left, right, search), None
        turned = _mirrored(right), _mirrored(left)
        # OpenCV runs three paths on all threads by itself, but five or eight paths on one.
        if threads > 1 and settings.sgbm__mode != '3way':
            self._use_threads(threads - 1)
            pending = self._worker.submit(self._match, 'right', *turned, search)
            disparity = self._match('left', left, right, search)
            mirrored = pending.result()
        else:
            self._use_threads(threads)
            disparity = self._match('left', left, right, search)
            mirrored = self._match('right', *turned, search)
        difference = left_right_difference(disparity, mirrored[:, ::-1])
        with np.errstate(invalid='ignore'):
            agreed = difference <= np.float32(settings.sgbm__left_right_px)
        disparity[~agreed] = np.nan
        return disparity, difference

    def _match(self, side: str, left: Pixels, right: Pixels, search: SearchRange) -> DisparityMap:
        """Return the disparity of `left`, NaN where unmatched or matched outside `right`."""
        before, after = max(search.last + 1, 0), max(-search.first, 0)
        padded = [
            self._cv2.copyMakeBorder(image, 0, 0, before, after, self._cv2.BORDER_REPLICATE)
            for image in (left, right)
        ]
        try:
            steps = self._matcher(side, search).compute(*padded)
        except self._cv2.error as error:
            raise InferenceError(
                f'OpenCV could not match {left.shape[1]}x{left.shape[0]} px images over '
                f'{search.count} disparities from {search.first}: {error}'
            ) from error
        width = left.shape[1]
        steps = steps[:, before : before + width]
        disparity: DisparityMap = steps.astype(np.float32)
        disparity *= np.float32(1.0 / _STEPS_PER_PX)
        disparity += _UNLOCKING_PX[steps & (_STEPS_PER_PX - 1)]
        column = np.arange(width, dtype=np.float32) - disparity
        unmatched = steps < search.first * _STEPS_PER_PX
        unmatched |= (column < -0.5) | (column > width - 0.5)
        disparity[unmatched] = np.nan
        return disparity

    def _matcher(self, side: str, search: SearchRange) -> Any:
        """Return the OpenCV matcher of one side, kept between frames for its buffers."""
        settings, cv2 = self.settings, self._cv2
        modes = {
            '3way': cv2.STEREO_SGBM_MODE_SGBM_3WAY,
            'sgbm': cv2.STEREO_SGBM_MODE_SGBM,
            'hh': cv2.STEREO_SGBM_MODE_HH,
        }
        area = settings.sgbm__block_size**2
        penalties = _LEFT_PENALTIES if side == 'left' else _RIGHT_PENALTIES
        mode = settings.sgbm__mode if side == 'left' else '3way'
        wanted = (
            search.first,
            search.count,
            settings.sgbm__block_size,
            penalties[0] * area,
            penalties[1] * area,
            1,  # OpenCV's own check, on whole pixels of the same costs
            0,
            settings.sgbm__uniqueness,
            0,
            0,
            modes[mode],
        )
        made, matcher = self._matchers.get(side, ((), None))
        if made != wanted:
            matcher = cv2.StereoSGBM_create(*wanted)
            self._matchers[side] = wanted, matcher
        return matcher

    def _remove_unsupported(self, disparity: DisparityMap) -> None:
        if self.settings.sgbm__support > 0.0:
            support = support_fraction(np.isfinite(disparity), SUPPORT_WINDOW_PX)
            disparity[support < np.float32(self.settings.sgbm__support)] = np.nan

    def _remove_speckles(self, disparity: DisparityMap) -> None:
        if self.settings.sgbm__speckle_area_px == 0:
            return
        invalid = np.iinfo(np.int16).min
        steps = np.where(np.isfinite(disparity), disparity * _STEPS_PER_PX, invalid)
        steps = steps.astype(np.int16)
        jump = max(1, round(self.settings.sgbm__speckle_jump_px * _STEPS_PER_PX))
        largest = self.settings.sgbm__speckle_area_px - 1  # OpenCV removes this area, too
        self._cv2.filterSpeckles(steps, invalid, largest, jump)
        disparity[steps == invalid] = np.nan

    def _use_threads(self, count: int) -> None:
        if self._cv2.getNumThreads() != count:
            self._cv2.setNumThreads(count)


def _mirrored(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[:, ::-1])


def opencv() -> ModuleType:
    """Return OpenCV.

    Raises:
        BackendUnavailableError: If it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise BackendUnavailableError(
            'the matcher needs OpenCV: install python3-opencv (apt) '
            'or opencv-python-headless (pip)'
        ) from error
    return cv2
