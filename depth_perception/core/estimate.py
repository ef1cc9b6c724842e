"""The one result: metric depth with its standard deviation, and how it became metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.confidence import Tail
from depth_perception.core.shapes import check_shapes
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, DepthMap, DisparityMap, Mask, SigmaMap
from depth_perception.errors import ShapeError
import numpy as np


class Rung(str, Enum):
    """Where the metric scale came from, best first."""

    STEREO = 'stereo'  # calibrated baseline
    INTRINSICS = 'intrinsics'  # canonical focal length or field of view of the network
    NETWORK = 'network'  # the network itself claims metres
    REFERENCES = 'references'  # fresh fit to measured points
    FILTERED = 'filtered'  # earlier fits carried forward
    GROUND_PLANE = 'ground_plane'  # known camera height and tilt
    PLUGIN = 'plugin'  # a guess of the user's own, e.g. from a caption
    PRIOR = 'prior'  # stored scale


@dataclass(frozen=True)
class Scale:
    """How a raw output o became metric: rho = s * o + t for affine kinds.

    Attributes:
        rung: Source of the scale.
        s: Multiplier; 1 where the output was metric already.
        t: Offset in the domain of the kind; 0 for scale-only kinds.
        covariance: ((var s, cov st), (cov st, var t)).
        references: Number of measured points used.
        sigma_relative: Relative standard deviation of the scale that all pixels share.
    """

    rung: Rung
    s: float = 1.0
    t: float = 0.0
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    references: int = 0
    sigma_relative: float = 0.0


@dataclass(frozen=True)
class ScaleReport:
    """How the scale was come by.

    Attributes:
        failures: Better rungs than the one in use, with the reason why each failed, best first.
        jump: A change of scale that was held back, or that was followed; '' if there was none.
        inliers: Number of references that agree with the fit.
        measured_by: What the references are of; '' where there are none.
    """

    failures: tuple[tuple[Rung, str], ...] = ()
    jump: str = ''
    inliers: int = 0
    measured_by: str = ''


NO_REPORT = ScaleReport()

Domain = Literal['disparity_px', 'inverse_depth_1_per_m', 'log_depth', 'output']
"""What a raw score and its calibrated sigma are in."""


@dataclass(frozen=True)
class RawScore:
    """The score that sigma was made from, before any calibration.

    Attributes:
        values: (H, W) float32, greater where the depth is less sure; NaN unknown.
        name: Which score it is, e.g. 'matcher'.
        domain: What a sigma made from it is in.
    """

    values: SigmaMap
    name: str
    domain: Domain


@dataclass(frozen=True)
class Disparity:
    """The disparity a stereo estimate was made from.

    Attributes:
        values: (H, W) float32 [px], NaN where nothing is published.
        rig: The rig it belongs to.
        min_px: Least disparity searched [px].
        max_px: Greatest disparity searched [px].
        step_px: Smallest increment the matcher can tell [px].
        margin_px: Columns at the left border that cannot be matched.
    """

    values: DisparityMap
    rig: StereoRig
    min_px: float
    max_px: float
    step_px: float = 1.0 / 16.0
    margin_px: int = 0


@dataclass(frozen=True)
class DepthEstimate:
    """Metric depth of one frame on the grid of the rectified (left) image.

    Attributes:
        depth: (H, W) float32 [m] along the optical axis; NaN unknown, +Inf sky or beyond range,
            -Inf too near; never 0.
        sigma: (H, W) float32 [m], one standard deviation; NaN where `depth` is not finite.
        valid: (H, W) bool, true where `depth` is finite.
        camera: Camera of the grid.
        scale: How the depth became metric.
        stamp_ns: Capture time of the image [ns].
        frame_id: Optical frame of the image.
        disparity: Disparity the depth was made from, stereo only.
        timings_ms: Duration of each stage [ms].
        report: How the scale was come by.
        score: What `sigma` was made from; None where there is no score.
        tail: Distribution of the error, for `core.confidence`.
        gross_share: Share of errors that have nothing to do with sigma, 0 to below 1.
        cloud: (H, W, 5) uint32, the points packed as by `core.cloud` with the colours of the
            (left) image, where they are made with the depth; None otherwise. Its memory is that
            of the next estimate, too.

    Raises:
        ShapeError: If arrays disagree in shape or dtype, or values break the rules above.
    """

    depth: DepthMap
    sigma: SigmaMap
    valid: Mask
    camera: PinholeCamera
    scale: Scale
    stamp_ns: int = 0
    frame_id: str = ''
    disparity: Disparity | None = None
    timings_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    report: ScaleReport = NO_REPORT
    score: RawScore | None = None
    tail: Tail = 'gauss'
    gross_share: float = 0.0
    cloud: AnyArray | None = None

    def __post_init__(self) -> None:
        check_shapes(
            depth=(self.depth, 'H W'), sigma=(self.sigma, 'H W'), valid=(self.valid, 'H W')
        )
        if self.depth.shape != (self.camera.height, self.camera.width):
            raise ShapeError(
                f'depth is {self.depth.shape} but the camera is '
                f'{self.camera.width}x{self.camera.height}'
            )
        for name, array, kind in (
            ('depth', self.depth, np.float32),
            ('sigma', self.sigma, np.float32),
            ('valid', self.valid, np.bool_),
        ):
            if array.dtype != kind:
                raise ShapeError(f'{name} must be {np.dtype(kind)}, got {array.dtype}')
        if not np.array_equal(np.isfinite(self.depth), self.valid):
            raise ShapeError('valid must be true exactly where depth is finite')
        if not np.array_equal(self.sigma > 0.0, self.valid):
            raise ShapeError('sigma must be positive where depth is finite, and NaN elsewhere')
        if bool(np.any(self.depth == 0.0)):
            raise ShapeError('depth must not be 0: unknown is NaN, too near is -Inf')

    @property
    def far(self) -> Mask:
        """(H, W) bool, true where the depth is sky or beyond the range."""
        return np.asarray(np.isposinf(self.depth))
