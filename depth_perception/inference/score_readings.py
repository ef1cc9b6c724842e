"""Answers of further runs, brought to the terms of the first one, and what they say themselves."""

from __future__ import annotations

from dataclasses import replace

from depth_perception.core.score_combine import LEAST_RHO
from depth_perception.core.score_mirror import mirrored_map
from depth_perception.core.score_variants import Alignment, alignment
from depth_perception.core.types import AnyArray, SigmaMap
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import Decoded, says_nothing
from depth_perception.inference.relative import Relative
from depth_perception.inference.score_runs import Variant
from depth_perception.inference.score_sources import Reading, Scene
import numpy as np


def reading_of(
    answer: Decoded | Relative, card: ModelCard, variant: Variant, scene: Scene, factor: float
) -> Reading:
    """Return an answer mirrored back, in metres, and aligned with the one for the frame itself.

    Args:
        answer: What the network says of the variant.
        card: Its card.
        variant: What was different.
        scene: The estimate of the frame itself.
        factor: By what a metric network is corrected in this frame.
    """
    if isinstance(answer, Decoded) and answer.disparity is not None:
        own = own_score(answer, card, scene.unit, 1.0)
        if not variant.mirrored:
            return Reading(answer.disparity, own)
        return Reading(mirrored_map(answer.disparity), None)  # own: of the right image's pixels
    if isinstance(answer, Decoded):
        values, how = answer.rho * np.float32(factor), _metric_alignment(variant)
    else:
        values, how = answer.output, 'affine' if answer.affine else 'scale'
    values = mirrored_map(values) if variant.mirrored else values
    in_depth = isinstance(answer, Relative) and answer.domain == 'depth'
    with np.errstate(divide='ignore', invalid='ignore'):
        target = np.where(scene.rho > 0.0, 1.0 / scene.rho, np.nan) if in_depth else scene.rho
        a, b = alignment(values, target.astype(np.float32, copy=False), how)
        if (a, b) != (1.0, 0.0):
            values = (a * values.astype(np.float64) + b).astype(np.float32)
        if in_depth:
            values = np.where(values > 0.0, 1.0 / values, np.nan).astype(np.float32)
    unit = np.maximum(np.abs(values), LEAST_RHO)
    own = own_score(_mirrored_back(answer, variant), card, unit, a)
    return Reading(values, own)


def tells_own_score(card: ModelCard) -> bool:
    """Return whether the network says how sure it is."""
    return card.confidence is not None and not says_nothing(card.confidence)


def own_score(
    answer: Decoded | Relative, card: ModelCard, unit: AnyArray, factor: float
) -> SigmaMap | None:
    """Return the score that a network gives itself, without the floor of its card.

    Args:
        answer: What it says.
        card: Its card.
        unit: What of `rho` a score of 1 stands for [1/m].
        factor: By what a relative output is multiplied.

    Returns:
        (H, W) float32; None if it says nothing.
    """
    if not tells_own_score(card):
        return None
    spec = card.uncertainty
    with np.errstate(divide='ignore', invalid='ignore'):
        if isinstance(answer, Relative):
            square = np.square(answer.relative_sigma) - np.float32(spec.relative_floor**2)
            metric = np.reciprocal(unit) if answer.domain == 'depth' else unit
            relative = np.square(answer.sigma * np.float32(factor) / metric)
            square = np.maximum(square, np.float32(0.0)) + relative
            found = np.sqrt(square, dtype=np.float32)
            return np.asarray(np.broadcast_to(found, answer.output.shape))
        own: SigmaMap = np.divide(answer.sigma_rho, unit, dtype=np.float32)
        if answer.disparity is not None and spec.disparity_floor_px > 0.0:
            floor: AnyArray = np.asarray(spec.disparity_floor_px, np.float32)
        elif spec.relative_floor > 0.0:
            floor = np.abs(answer.rho) * np.float32(spec.relative_floor) / unit
        else:
            return own
        np.square(own, out=own)
        own -= np.square(floor)
    return np.sqrt(np.maximum(own, np.float32(0.0), out=own), out=own)


def _metric_alignment(variant: Variant) -> Alignment:
    """Return what an answer in metres may differ by.

    A network that learned one camera takes an image at another size for one of another camera.
    """
    return 'scale' if variant.size != 1.0 else 'none'


def _mirrored_back(answer: Decoded | Relative, variant: Variant) -> Decoded | Relative:
    """Return an answer with what `own_score` reads of it mirrored back."""
    if not variant.mirrored:
        return answer
    if isinstance(answer, Decoded):
        rho, sigma = mirrored_map(answer.rho), mirrored_map(answer.sigma_rho)
        return replace(answer, rho=rho, sigma_rho=sigma)
    sigma, relative = (
        values if values.ndim == 0 else mirrored_map(values)
        for values in (answer.sigma, answer.relative_sigma)
    )
    return replace(answer, sigma=sigma, relative_sigma=relative)
