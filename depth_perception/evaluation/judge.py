"""All figures of one frame: the estimate against the ground truth, label by label."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.stereo import disparity_from_depth, StereoRig
from depth_perception.core.types import DepthMap, DisparityMap, Mask, SigmaMap
from depth_perception.errors import SettingsError
from depth_perception.evaluation.measures.alignment import Alignment, fit, LABELS
from depth_perception.evaluation.measures.clouds import (
    cloud_measures,
    obstacle_range_error_m,
)
from depth_perception.evaluation.measures.depth import depth_measures, range_sums
from depth_perception.evaluation.measures.masks import CROPS, Protocol, PROTOCOLS, truth_mask
from depth_perception.evaluation.measures.planes import plane_measures
from depth_perception.evaluation.measures.ranges import disparity_range_sums
from depth_perception.evaluation.measures.sigma import sigma_figures
from depth_perception.evaluation.measures.stereo import disparity_figures
from depth_perception.evaluation.measures.structure import boundary_f1, ssim_inverse_depth
from depth_perception.evaluation.truth import Truth
import numpy as np

ONLINE, VIDEO = 'online', 'lsq_disp_video'
GROUPS = ('depth', 'range', 'disparity', 'sigma', 'structure', 'cloud', 'time')
DEFAULT_EDGES_M = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)


@dataclass(frozen=True)
class JudgeOptions:
    """How estimates are compared with the truth.

    Attributes:
        alignments: Labels of the alignments, 'online' first.
        protocol: Name of a published protocol, which sets crop and caps; 'none'.
        crop: Part of the image that counts: 'none', 'garg', 'eigen' or 'nyu'.
        min_m: Nearer truth does not count [m].
        max_m: Farther truth does not count [m].
        clamp: Clamp predictions to [min_m, max_m], as the protocols of KITTI and NYU do.
        range_edges_m: Bounds of the bins of range [m]; the last bin is open.
        groups: Which figures are computed, of GROUPS.
        detailed: Whether to compute those too that cost much: by range, of sigma, of structure,
            of clouds, and of the nearest obstacle.

    Raises:
        SettingsError: If something is unknown, or the range is empty.
    """

    alignments: tuple[str, ...] = (ONLINE,)
    protocol: str = 'none'
    crop: str = 'none'
    min_m: float = 1e-3
    max_m: float = math.inf
    clamp: bool = False
    range_edges_m: tuple[float, ...] = DEFAULT_EDGES_M
    groups: tuple[str, ...] = field(default=GROUPS)
    detailed: bool = True

    def __post_init__(self) -> None:
        for what, given, known in (
            ('alignment', self.alignments, LABELS),
            ('group of figures', self.groups, GROUPS),
            ('crop', (self.crop,), CROPS),
        ):
            for name in given:
                if name not in known:
                    raise SettingsError(f'{what} {name!r} is unknown; wanted {", ".join(known)}')
        if not 0.0 <= self.min_m < self.max_m:
            raise SettingsError(f'the range is {self.min_m:g} to {self.max_m:g} m, which is empty')

    @classmethod
    def of_protocol(cls, name: str, **others: object) -> JudgeOptions:
        """Return the options of a published protocol.

        Raises:
            SettingsError: If there is none of that name.
        """
        if name == 'none':
            return cls(**others)  # type: ignore[arg-type]
        if name not in PROTOCOLS:
            raise SettingsError(
                f'protocol {name!r} is unknown; wanted none, {", ".join(PROTOCOLS)}'
            )
        chosen = PROTOCOLS[name]
        return cls(
            protocol=name,
            crop=chosen.crop,
            min_m=chosen.min_m,
            max_m=chosen.max_m,
            clamp=chosen.clamp,
            **others,  # type: ignore[arg-type]
        )


@dataclass
class Verdict:
    """Figures by 'LABEL/NAME': values of this frame, and sums that add up over frames."""

    scalars: dict[str, float] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)

    def add(self, label: str, figures: dict[str, float]) -> None:
        """Add figures under a label."""
        self.scalars.update({f'{label}/{name}': value for name, value in figures.items()})

    def add_sums(self, label: str, sums: dict[str, list[float]]) -> None:
        """Add sums under a label."""
        self.vectors.update({f'{label}/{name}': value for name, value in sums.items()})


def judge(
    estimate: DepthEstimate,
    truth: Truth,
    options: JudgeOptions,
    rig: StereoRig | None = None,
    video: Alignment | None = None,
) -> Verdict:
    """Return all figures of one estimate.

    Args:
        estimate: As published.
        truth: Truth on the grid of the estimate.
        options: What is computed, and how.
        rig: The rig of a stereo camera; disparity figures of any model are those its depth has in
            this rig.
        video: The alignment of the whole sequence, where that is among the alignments.
    """
    verdict = Verdict()
    mask = truth_mask(truth.depth, min_m=options.min_m, max_m=options.max_m, crop=options.crop)
    for label in options.alignments:
        floor_m = options.min_m if options.clamp else 0.0
        if label == VIDEO:
            if video is not None:
                _judge_depth(verdict, estimate, truth, mask, video, options)
            continue
        alignment = fit(label, estimate.depth, truth.depth, mask, options.max_m, floor_m)
        _judge_depth(verdict, estimate, truth, mask, alignment, options)
    if 'disparity' in options.groups and rig is not None:
        _judge_disparity(verdict, estimate, truth, mask, rig, options)
    return verdict


def _judge_depth(
    verdict: Verdict,
    estimate: DepthEstimate,
    truth: Truth,
    mask: Mask,
    alignment: Alignment,
    options: JudgeOptions,
) -> None:
    label, groups = alignment.label, options.groups
    depth = alignment.apply(estimate.depth)
    if options.clamp:
        depth = Protocol(options.crop, options.min_m, options.max_m, clamp=True).clamped(depth)
    if 'depth' in groups:
        verdict.add(label, depth_measures(depth, truth.depth, mask))
    if not options.detailed:
        return
    if 'range' in groups:
        verdict.add_sums(label, range_sums(depth, truth.depth, mask, options.range_edges_m))
        error_m = obstacle_range_error_m(depth, truth.depth, mask, estimate.camera)
        verdict.add(label, {'obstacle_range_error_m': error_m})
    if 'sigma' in groups:
        sigma = alignment.apply_sigma(estimate.depth, estimate.sigma)
        _judge_sigma(verdict, label, depth, sigma, truth.depth, mask)
    if 'structure' in groups and not truth.sparse:
        _judge_structure(verdict, label, depth, truth.depth, mask)
    if 'cloud' in groups:
        verdict.add(label, cloud_measures(depth, truth.depth, mask, estimate.camera))
        verdict.add(label, plane_measures(depth, truth.depth, mask, estimate.camera))


def _judge_sigma(
    verdict: Verdict, label: str, depth: DepthMap, sigma: SigmaMap, truth: DepthMap, mask: Mask
) -> None:
    figures = sigma_figures(depth, sigma, truth, mask)
    verdict.add(label, figures.scalars)
    verdict.add_sums(label, figures.sums)


def _judge_structure(
    verdict: Verdict, label: str, depth: DepthMap, truth: DepthMap, mask: Mask
) -> None:
    figures = {'ssim': ssim_inverse_depth(depth, truth, mask)}
    if label == ONLINE:  # it does not change with scale
        figures['boundary_f1'] = boundary_f1(depth, truth, mask)
    verdict.add(label, figures)


def _judge_disparity(
    verdict: Verdict,
    estimate: DepthEstimate,
    truth: Truth,
    mask: Mask,
    rig: StereoRig,
    options: JudgeOptions,
) -> None:
    """Add the figures of disparity, which exist for published depth alone."""
    disparity = published_disparity(estimate, rig)
    wanted = truth.disparity
    known = mask
    if wanted is None:
        wanted = disparity_from_depth(truth.depth, rig)
    else:
        known = np.isfinite(wanted) & (mask | ~np.isfinite(truth.depth))
    figures = disparity_figures(disparity, wanted, known, truth.visible)
    verdict.add(ONLINE, figures.scalars)
    verdict.add_sums(ONLINE, figures.sums)
    if 'range' in options.groups and options.detailed:
        by_range = disparity_range_sums(
            disparity, wanted, truth.depth, known, options.range_edges_m
        )
        verdict.add_sums(ONLINE, by_range)


def published_disparity(estimate: DepthEstimate, rig: StereoRig) -> DisparityMap:
    """Return (H, W) float32 [px] of what was published, NaN where there is no depth.

    What is beyond the range was matched, but is no claim of a disparity: it counts as missing.
    """
    if estimate.disparity is not None:
        values = estimate.disparity.values
        return np.where(estimate.valid, values, np.float32(np.nan))
    ranged = np.where(estimate.valid, estimate.depth, np.float32(np.nan))
    return disparity_from_depth(ranged, rig)


def camera_facts(camera: PinholeCamera, rig: StereoRig | None) -> dict[str, float | int | None]:
    """Return the calibration of a run for its provenance."""
    return {
        'width': camera.width,
        'height': camera.height,
        'fx_px': camera.fx,
        'fy_px': camera.fy,
        'cx_px': camera.cx,
        'cy_px': camera.cy,
        'baseline_m': None if rig is None else rig.baseline_m,
        'doffs_px': None if rig is None else rig.doffs_px,
    }
