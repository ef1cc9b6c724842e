"""The sources of raw scores, one class each.

A source says which further runs of the network it needs, and makes a score of the answers. Scores
are in disparity [px] for stereo and relative to the inverse depth for mono.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.matching import photometric_sigma
from depth_perception.core.scale_robust import median
from depth_perception.core.scale_types import References
from depth_perception.core.score_combine import LEAST_RHO
from depth_perception.core.score_fields import edge_sigma, range_sigma, residual_field
from depth_perception.core.score_mirror import checked_left_right, read_at_match
from depth_perception.core.score_temporal import TemporalScore
from depth_perception.core.score_variants import (
    fused_pair,
    median_and_spread,
    mixture,
    pair_sigma,
)
from depth_perception.core.types import AnyArray, DisparityMap, InverseDepthMap, SigmaMap
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import ScoreSpec, Source
from depth_perception.inference.images import pixels_in
from depth_perception.inference.score_runs import AUGMENTATIONS, FLIP, Variant
import numpy as np

_TEXTURE_WINDOW_PX = 9


@dataclass(frozen=True)
class Reading:
    """Another answer, mirrored back and aligned.

    Attributes:
        values: (H, W) float32 disparity [px] or inverse depth [1/m]; NaN unknown. That of a
            mirrored pair lies on the grid of the right image.
        own: (H, W) float32, the score that the network gives itself; None if it gives none.
    """

    values: AnyArray
    own: SigmaMap | None = None


@dataclass(frozen=True)
class Scene:
    """What a source may look at.

    Attributes:
        frame: The frame.
        rho: (H, W) float32 [1/m]; NaN unknown.
        disparity: (H, W) float32 [px] of a stereo network; None for one on one image.
        own: (H, W) float32, the score that the network gives itself; None if it gives none.
        references: Measured points of the image; None without.
        readings: What further runs answered.
        scratch: (H, W) float32 memory for one score, used anew by every source.
    """

    frame: MonoFrame | StereoFrame
    rho: InverseDepthMap
    disparity: DisparityMap | None = None
    own: SigmaMap | None = None
    references: References | None = None
    readings: Mapping[Variant, Reading] = field(default_factory=dict)
    scratch: AnyArray | None = None

    @property
    def values(self) -> AnyArray:
        """Disparity, or inverse depth for mono."""
        return self.rho if self.disparity is None else self.disparity

    @property
    def unit(self) -> AnyArray:
        """What of `rho` a score of 1 stands for: one number, or (H, W) float32 [1/m]."""
        if self.disparity is not None and isinstance(self.frame, StereoFrame):
            return np.asarray(1.0 / self.frame.rig.focal_baseline, np.float32)
        return np.maximum(np.abs(self.rho), LEAST_RHO)

    def score_of(self, difference: AnyArray, values: AnyArray | None = None) -> SigmaMap:
        """Return a difference of `values` as a score; relative to better ones, if there are."""
        if self.disparity is not None:
            return difference
        unit = self.unit if values is None else np.maximum(np.abs(values), LEAST_RHO)
        with np.errstate(invalid='ignore'):
            score: SigmaMap = np.divide(difference, unit, dtype=np.float32)
        return score

    def score_of_relative(self, relative: AnyArray) -> SigmaMap:
        """Return a relative error of inverse depth as a score, in the same memory.

        A map of every n-th pixel is drawn out, and takes its own median where it is unknown.
        """
        if relative.shape != self.rho.shape:
            relative = _drawn_out(relative, self.rho.shape, self.scratch)
        if self.disparity is not None:
            relative *= self.rho
            relative /= self.unit
        return relative

    def on_grid(self, variant: Variant) -> AnyArray:
        """Return a reading on the grid of the image, which for mirrored pairs is looked up."""
        values = self.readings[variant].values
        if variant.mirrored and self.disparity is not None:
            return read_at_match(self.disparity, values)
        return values


@dataclass(frozen=True)
class Outcome:
    """What a source found.

    Attributes:
        score: (H, W) float32, NaN where it cannot tell.
        values: (H, W) float32, a better disparity or inverse depth; None if it has none.
        own: (H, W) float32, the score that the network gives itself, over all runs.
        strict: Whether a pixel is unknown where the score cannot tell.
    """

    score: SigmaMap
    values: AnyArray | None = None
    own: SigmaMap | None = None
    strict: bool = False


class ScoreSource(abc.ABC):
    """One source of a score.

    Attributes:
        name: As in cards and parameters.
        variants: Further runs that it needs.
    """

    name: Source
    variants: tuple[Variant, ...] = ()

    @abc.abstractmethod
    def look(self, scene: Scene) -> Outcome | None:
        """Return what this source finds in a scene; None where it has nothing to go by."""

    def reset(self) -> None:  # noqa: B027
        """Forget earlier frames; most remember none."""


@final
class Confidence(ScoreSource):
    """What the network says itself."""

    name = 'confidence'

    def look(self, scene: Scene) -> Outcome | None:
        """Return the network's own score."""
        return None if scene.own is None else Outcome(scene.own)


@final
class Flip(ScoreSource):
    """The answer for the mirror image; pairs are swapped, too.

    With `fuse` the two answers are averaged: of a pair, only where they agree to the left-right
    limit, because elsewhere they are of different surfaces.
    """

    name = 'flip'
    variants = (FLIP,)

    def __init__(self, spec: ScoreSpec) -> None:
        self._spec = spec

    def look(self, scene: Scene) -> Outcome | None:
        """Return |one - other| / 1.128."""
        other = scene.on_grid(FLIP)
        apart = pair_sigma(scene.values, other)
        fused = None
        if self._spec.fuse and scene.disparity is None:
            fused = fused_pair(scene.values, other, border=self._spec.flip_border)
        elif self._spec.fuse:
            near = np.abs(scene.values - other) <= np.float32(self._spec.lr_limit_px)
            fused = fused_pair(scene.values, np.where(near, other, np.float32(np.nan)))
        return Outcome(scene.score_of(apart, fused), fused)


@final
class LeftRight(ScoreSource):
    """The left-right check: what the right image does not confirm is unknown."""

    name = 'lr'
    variants = (FLIP,)

    def __init__(self, spec: ScoreSpec) -> None:
        self._limit_px = spec.lr_limit_px

    def look(self, scene: Scene) -> Outcome | None:
        """Return |d_left(u) - d_right(u - d_left)| [px], NaN above the limit."""
        right = scene.readings[FLIP].values
        return Outcome(checked_left_right(scene.values, right, self._limit_px), strict=True)


@final
class Augmented(ScoreSource):
    """Spread of the answers for the image mirrored, resized, darker and brighter."""

    name = 'tta'

    def __init__(self, spec: ScoreSpec, *, any_size: bool) -> None:
        chosen = [AUGMENTATIONS[name] for name in spec.augmentations]
        self.variants = tuple(v for v in chosen if any_size or v.size == 1.0)
        self._fuse = spec.fuse
        if not self.variants:
            raise ModelError('tta: no augmentation is left that this network can take')

    def look(self, scene: Scene) -> Outcome | None:
        """Return 1.4826 times the median distance from the median of all answers."""
        stack = np.stack([scene.values, *(scene.on_grid(v) for v in self.variants)])
        middle, spread = median_and_spread(stack)
        if not self._fuse or len(stack) < 3:  # the median of two is another mean
            return Outcome(scene.score_of(spread), own=_own(scene, self.variants))
        fused = np.where(np.isfinite(scene.values) & np.isfinite(middle), middle, scene.values)
        return Outcome(scene.score_of(spread, fused), fused, _own(scene, self.variants))


@final
class Several(ScoreSource):
    """Variance of the answers of several models, or of several draws of one.

    sigma^2 = Var_k(mu_k) + mean_k(sigma_k^2); the second part takes the place of the network's own
    score.
    """

    def __init__(self, name: Source, variants: tuple[Variant, ...], *, fuse: bool) -> None:
        self.name = name
        self.variants = variants
        self._fuse = fuse

    def look(self, scene: Scene) -> Outcome | None:
        """Return the standard deviation over the answers.

        Raises:
            ModelError: If all draws of one network are equal.
        """
        stack = np.stack([scene.values, *(scene.on_grid(v) for v in self.variants)])
        mean, spread = mixture(stack)
        if self.name == 'monte_carlo' and not np.any(spread > 0.0):
            raise ModelError(
                'monte_carlo: all runs of the network give the same answer; it has no random '
                'input (from: noise) and no dropout that is on'
            )
        fused = np.where(np.isfinite(mean) & np.isfinite(scene.values), mean, scene.values)
        better = fused if self._fuse else None
        return Outcome(scene.score_of(spread, better), better, _own(scene, self.variants))


@final
class Edge(ScoreSource):
    """Edges are misplaced by some pixels."""

    name = 'edge'

    def __init__(self, spec: ScoreSpec) -> None:
        self._edge_px = spec.edge_px

    def look(self, scene: Scene) -> Outcome | None:
        """Return edge_px |grad rho| / rho."""
        return Outcome(
            scene.score_of_relative(edge_sigma(scene.rho, self._edge_px, scene.scratch))
        )


@final
class Range(ScoreSource):
    """Far things are known less well."""

    name = 'range'

    def __init__(self, spec: ScoreSpec) -> None:
        self._base, self._per_m = spec.range_base, spec.range_per_m

    def look(self, scene: Scene) -> Outcome | None:
        """Return base + per_m Z."""
        relative = range_sigma(scene.rho, self._base, self._per_m, scene.scratch)
        return Outcome(scene.score_of_relative(relative))


@final
class Photometric(ScoreSource):
    """How well the texture pins the disparity down."""

    name = 'photometric'

    def look(self, scene: Scene) -> Outcome | None:
        """Return the photometric sigma [px] of the left image."""
        grey = pixels_in('grey', scene.frame.image)
        return Outcome(np.minimum(photometric_sigma(grey, _TEXTURE_WINDOW_PX), np.float32(1e3)))


@final
class Residual(ScoreSource):
    """What the estimate misses the references by, near here and at this depth."""

    name = 'residual'

    def look(self, scene: Scene) -> Outcome | None:
        """Return the smoothed misfit; None without references."""
        if scene.references is None:
            return None
        found = residual_field(scene.rho, scene.references)
        return None if found is None else Outcome(scene.score_of_relative(found))


@final
class Temporal(ScoreSource):
    """Whether the frame before, moved along, says the same."""

    name = 'temporal'

    def __init__(self, spec: ScoreSpec) -> None:
        self._score = TemporalScore(spec.temporal_memory)

    def look(self, scene: Scene) -> Outcome | None:
        """Return the root of the mean of r^2; None for the first frame or without a pose."""
        pose = scene.frame.surroundings.fixed_from_camera
        found = self._score.step(scene.rho, scene.frame.camera, pose)
        return None if found is None else Outcome(scene.score_of_relative(found))

    def reset(self) -> None:
        """Forget earlier frames."""
        self._score.reset()


def _own(scene: Scene, variants: tuple[Variant, ...]) -> SigmaMap | None:
    """Return sqrt(mean_k(sigma_k^2)) of the network's own scores, over runs on the same grid."""
    if scene.own is None:
        return None
    squares = [np.square(scene.own)]
    for variant in variants:
        own = scene.readings[variant].own
        if own is not None and not (variant.mirrored and scene.disparity is not None):
            squares.append(np.square(own))
    stack = np.stack(squares)
    known = np.isfinite(stack)
    with np.errstate(invalid='ignore', divide='ignore'):
        mean = np.where(known, stack, np.float32(0.0)).sum(axis=0) / known.sum(axis=0)
    together: SigmaMap = np.sqrt(mean, dtype=np.float32)
    return together


def _drawn_out(values: AnyArray, shape: tuple[int, ...], out: AnyArray | None) -> SigmaMap:
    """Return a small map at full size, its median where it is unknown."""
    import cv2

    known = np.isfinite(values)
    if not known.all():
        middle = median(values[known]) if known.any() else 0.0
        values = np.where(known, values, np.float32(middle))
    full: SigmaMap = cv2.resize(
        values, (shape[1], shape[0]), dst=out, interpolation=cv2.INTER_LINEAR
    )
    return full
