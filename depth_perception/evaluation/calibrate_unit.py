"""Errors of one model on one bag against the truth, with their raw scores: a bounded sample.

The frames pass as in an evaluation. Two things differ, so that the result does not depend on an
earlier calibration: none is in force, and pixels of up to 100 % sigma are let through.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from depth_perception.core.calibration_fit import ScoredErrors, spread_places
from depth_perception.core.estimate import Domain
from depth_perception.core.stereo import (
    depth_from_disparity,
    disparity_from_depth,
    StereoRig,
)
from depth_perception.core.types import AnyArray
from depth_perception.errors import CalibrationError, FrameError, ModelError
from depth_perception.evaluation.measures.masks import truth_mask
from depth_perception.evaluation.runner import Report
from depth_perception.evaluation.session import cause_of, Served, Session
from depth_perception.evaluation.truth import Truth
from depth_perception.evaluation.units import Unit
from depth_perception.inference.sigma import NO_CALIBRATION
import numpy as np
from numpy.typing import NDArray

FRAME_PIXELS = 4000
"""Most pixels of one frame, so that none outweighs another by its size."""
BAG_PIXELS = 100_000
_FIRST = ('max_relative_sigma=1.0',)  # what the user sets wins
_FIRST_OF_PAIRS = ('filters.max_sigma_px=1000',)
_LAST = (f'uncertainty.calibration_file={NO_CALIBRATION}', 'uncertainty.online=false')

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TruthSigma:
    """How well the truth is known: one standard deviation, the parts added in quadrature.

    Attributes:
        metres: Of the depth [m].
        relative: Of the depth, as a share of it.
        disparity_px: Of a truth that was recorded as disparity [px].
    """

    metres: float = 0.0
    relative: float = 0.0
    disparity_px: float = 0.0


@dataclass(frozen=True)
class Collecting:
    """One unit of work: see `collect`.

    Attributes:
        unit: The bag, the model, and which frames and pixels count.
        truth_sigma: How well the truth is known.
        frame_pixels: Most pixels of a frame.
        bag_pixels: Most pixels of the whole bag.
    """

    unit: Unit
    truth_sigma: TruthSigma = TruthSigma()
    frame_pixels: int = FRAME_PIXELS
    bag_pixels: int = BAG_PIXELS


@dataclass(frozen=True)
class FrameErrors:
    """Sampled pixels of one frame, (N,) float32 each.

    Attributes:
        stamp_ns: Stamp of the frame [ns].
        error: Prediction - truth [unit of the domain].
        score: Raw score.
        reference_sigma: Standard deviation of the truth and, which sigma has apart, of the scale
            [unit of the domain].
        truth_m: Depth of the truth [m].
    """

    stamp_ns: int
    error: _Floats
    score: _Floats
    reference_sigma: _Floats
    truth_m: _Floats

    def thinned(self, first: int, step: int) -> FrameErrors:
        """Return every `step`-th pixel from `first` on, in memory of their own."""
        if step == 1:
            return self
        kept = slice(first % step, None, step)
        return FrameErrors(
            self.stamp_ns,
            self.error[kept].copy(),
            self.score[kept].copy(),
            self.reference_sigma[kept].copy(),
            self.truth_m[kept].copy(),
        )

    def scored(self, group: str) -> ScoredErrors:
        """Return the pixels as one sample of a group."""
        parts = (self.error, self.score, self.reference_sigma)
        return ScoredErrors(group, *(part.astype(np.float64) for part in parts))


@dataclass
class Collected:
    """What one unit gave.

    Attributes:
        name: Name of the score; '' while no frame had one.
        domain: What the errors are in.
        frames: Frames with at least one usable pixel, in order.
        served: Frames that the model answered.
        without_truth: Frames served that have no truth.
        problems: Cause -> the first reason, of frames that gave nothing.
        complete: Whether all of the span was seen.
    """

    name: str = ''
    domain: Domain = 'output'
    frames: list[FrameErrors] = field(default_factory=list)
    served: int = 0
    without_truth: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def pixels(self) -> int:
        """Number of pixels kept."""
        return sum(frame.error.size for frame in self.frames)


def collect(work: Collecting, report: Report) -> Collected:
    """Return the errors of one unit with their scores.

    Raises:
        RecordingError: If the recording cannot be read.
        ModelError: If the model cannot be opened, or gives no raw score.
    """
    collected, thinning = Collected(), _Thinning(work.bag_pixels)
    with Session(_uncalibrated(work.unit)) as session:
        for index, messages in enumerate(session.sets()):
            if report.should_stop():
                collected.complete = False
                break
            try:
                served = session.server.serve(messages)
            except (FrameError, CalibrationError, ModelError) as error:
                collected.problems.setdefault(cause_of(error), str(error))
                continue
            collected.served += 1
            _check_score(collected, served, work.unit)
            truth = _truth_of(session, served, collected)
            if truth is not None:
                frame = frame_errors(served, truth, work)
                thinning.add(collected.frames, frame, index)
            report.progress(index + 1, work.unit.expected)
    return collected


def _uncalibrated(unit: Unit) -> Unit:
    first = (*_FIRST, *_FIRST_OF_PAIRS) if unit.model.task == 'stereo' else _FIRST
    assignments = (*first, *unit.model.assignments, *_LAST)
    return replace(unit, model=replace(unit.model, assignments=assignments))


def _check_score(collected: Collected, served: Served, unit: Unit) -> None:
    score = served.estimate.score
    if score is None:
        raise ModelError(
            f'{unit.model.label} gives no raw score, so there is nothing to make sigma of; name '
            'sources of uncertainty in its card'
        )
    if score.domain == 'output':
        raise ModelError(
            f'{unit.model.label}: the score {score.name!r} is in the units of the output, which '
            'mean something else in every frame'
        )
    if collected.name and (score.name, score.domain) != (collected.name, collected.domain):
        raise ModelError(
            f'{unit.model.label}: the score changed from {collected.name!r} to {score.name!r} '
            'within the recording'
        )
    collected.name, collected.domain = score.name, score.domain


def _truth_of(session: Session, served: Served, collected: Collected) -> Truth | None:
    try:
        truth = session.truth_of(served)
    except (FrameError, CalibrationError) as error:
        collected.problems.setdefault(cause_of(error), str(error))
        truth = None
    collected.without_truth += truth is None
    return truth


class _Thinning:
    """Keeps the pixels of a bag below a limit: all frames are halved whenever it is passed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._step = 1
        self._total = 0

    def add(self, frames: list[FrameErrors], frame: FrameErrors, index: int) -> None:
        """Append what is to be kept of a frame; later frames lose as much as earlier ones."""
        frame = frame.thinned(index, self._step)
        if not frame.error.size:
            return
        frames.append(frame)
        self._total += frame.error.size
        while self._total > self._limit:
            self._step *= 2
            halved = [one.thinned(place, 2) for place, one in enumerate(frames)]
            frames[:] = [one for one in halved if one.error.size]
            self._total = sum(one.error.size for one in frames)


def frame_errors(served: Served, truth: Truth, work: Collecting) -> FrameErrors:
    """Return sampled errors of one frame in the domain of its score."""
    estimate, rig = served.estimate, served.rig
    assert estimate.score is not None
    domain, score = estimate.score.domain, estimate.score.values
    options, truth_m = work.unit.options, _truth_m(truth, rig)
    usable = truth_mask(truth_m, min_m=options.min_m, max_m=options.max_m, crop=options.crop)
    if domain == 'disparity_px' and rig is not None:
        if estimate.disparity is not None:
            predicted: AnyArray = estimate.disparity.values
        else:
            predicted = disparity_from_depth(estimate.depth, rig)
        wanted = truth.disparity
        if wanted is None:
            wanted = disparity_from_depth(truth_m, rig)
    else:
        predicted, wanted = (_in_domain(one, domain) for one in (estimate.depth, truth_m))
    usable &= estimate.valid & np.isfinite(predicted) & np.isfinite(wanted)
    with np.errstate(invalid='ignore'):
        usable &= np.isfinite(score) & (score > 0.0)
    places = spread_places(usable, work.frame_pixels)
    taken = [array.reshape(-1)[places] for array in (predicted, wanted, score, truth_m)]
    error = taken[0].astype(np.float64) - taken[1]
    known = _relative_truth_sigma(taken[3], work.truth_sigma, truth, rig)
    known = np.hypot(known, estimate.scale.sigma_relative)  # sigma has the scale's part apart
    reference = _sigma_in_domain(known, taken[3], domain, rig)
    return FrameErrors(
        served.frame.stamp_ns,
        error.astype(np.float32),
        taken[2].astype(np.float32),
        reference.astype(np.float32),
        taken[3].astype(np.float32),
    )


def _truth_m(truth: Truth, rig: StereoRig | None) -> AnyArray:
    """Return the depth of the truth [m], from its disparity where that is all there is."""
    if truth.disparity is None or rig is None or np.isfinite(truth.depth).any():
        return truth.depth
    return depth_from_disparity(truth.disparity, rig)


def _in_domain(depth_m: AnyArray, domain: Domain) -> AnyArray:
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.log(depth_m) if domain == 'log_depth' else np.reciprocal(depth_m)


def _relative_truth_sigma(
    truth_m: AnyArray, sigma: TruthSigma, truth: Truth, rig: StereoRig | None
) -> AnyArray:
    """Return the relative standard deviation of the true depths."""
    relative = np.hypot(sigma.metres / truth_m, sigma.relative)
    if truth.disparity is not None and rig is not None:
        relative = np.hypot(relative, sigma.disparity_px * truth_m / rig.focal_baseline)
    return np.asarray(relative)


def _sigma_in_domain(
    relative: AnyArray, truth_m: AnyArray, domain: Domain, rig: StereoRig | None
) -> AnyArray:
    """Return a relative standard deviation in the domain, first order."""
    if domain == 'log_depth':
        return relative
    gain = rig.focal_baseline if domain == 'disparity_px' and rig is not None else 1.0
    return np.asarray(gain * relative / truth_m)
