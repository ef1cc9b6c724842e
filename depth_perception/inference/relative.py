"""From the raw outputs of a relative network to one output that is linear in what is metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from depth_perception.core.types import AnyArray, Mask
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import RELATIVE_KINDS
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import (
    companion_plane,
    decode,
    Decoded,
    masks_of,
    only_ranks,
    plane_of,
    says_nothing,
    sigma_of_score,
)
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import ResizePlan, restored_map
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Relative:
    """An output o on the grid of the input image: what is metric is s o + t.

    Attributes:
        output: (H, W) float32; NaN unknown.
        sigma: (H, W) float32 or one number, one standard deviation of `output`, in its unit; 0
            where the network does not tell.
        relative_sigma: (H, W) float32 or one number: what the network, or its card, says of the
            error as a fraction of the inverse depth.
        far: (H, W) bool, sky; None where the network does not tell.
        domain: Whether s o + t is inverse depth [1/m] or depth [m].
        affine: Whether there is a shift t.
    """

    output: NDArray[np.float32]
    sigma: NDArray[np.float32]
    relative_sigma: NDArray[np.float32]
    far: Mask | None
    domain: Literal['inverse_depth', 'depth']
    affine: bool


def decode_relative(
    outputs: Mapping[str, AnyArray], card: ModelCard, preparation: Preparation
) -> Relative:
    """Return the reading of a relative network's outputs.

    `depth_scale`, depth up to a factor, is read as inverse depth up to a factor, and so is any
    other kind that is metric by itself where the card says that it is not (`up_to_scale`).

    Args:
        outputs: Raw tensors by name.
        card: What they mean.
        preparation: How the input was made.

    Raises:
        ModelError: If a tensor is missing, holds no numbers, or has another shape than the card
            says, or the output runs along the rays.
    """
    spec = card.output
    if spec.kind not in RELATIVE_KINDS:
        return _up_to_scale(decode(outputs, card, preparation))
    if spec.geometry == 'ray' and spec.kind != 'depth_scale':
        raise ModelError(
            f'{card.id}: an affine output along the rays has no scale and shift of its own; '
            'output.geometry must be z'
        )
    raw = plane_of(outputs, spec.tensor, spec.layout, spec.channel).astype(np.float32, copy=False)
    with np.errstate(all='ignore'):
        values = raw if (spec.gain, spec.bias) == (1.0, 0.0) else raw * spec.gain + spec.bias
        slope = np.ones((), np.float32)
        if spec.kind == 'depth_scale':
            if spec.geometry == 'ray':
                height, width = values.shape
                values = values / preparation.camera.resized(width, height).ray_norm
            inverse = np.where(values > 0.0, np.reciprocal(values), np.float32(np.nan))
            values, slope = inverse, np.square(inverse)
        sigma, relative = _doubt(values, slope, outputs, card)
        invalid, far = masks_of(raw, values, outputs, card)
    output = np.where(invalid, np.float32(np.nan), values).astype(np.float32, copy=False)
    plan = preparation.plan
    return Relative(
        output=restored_map(output, plan),
        sigma=_restored(sigma, plan),
        relative_sigma=_restored(relative, plan),
        far=None if far is None else restored_map(_bytes(far), plan, nearest=True).astype(bool),
        domain='depth' if spec.kind == 'depth_affine' else 'inverse_depth',
        affine=spec.kind != 'depth_scale',
    )


def _restored(sigma: AnyArray, plan: ResizePlan) -> AnyArray:
    return sigma if sigma.ndim == 0 else restored_map(sigma.astype(np.float32), plan)


def _up_to_scale(decoded: Decoded) -> Relative:
    """Return what reads like metres but is in a unit of its own."""
    return Relative(
        output=decoded.rho,
        sigma=decoded.sigma_rho,
        relative_sigma=np.zeros((), np.float32),
        far=decoded.far,
        domain='inverse_depth',
        affine=False,
    )


def _bytes(mask: AnyArray) -> AnyArray:
    return mask.astype(np.uint8)


def _doubt(
    values: AnyArray, slope: AnyArray, outputs: Mapping[str, AnyArray], card: ModelCard
) -> tuple[AnyArray, AnyArray]:
    """Return (sigma of the output, sigma as a fraction of the inverse depth)."""
    nothing = np.zeros((), np.float32)
    floor = np.asarray(card.uncertainty.relative_floor, np.float32)
    spec = card.confidence
    if spec is None or says_nothing(spec):
        return nothing, floor
    score = companion_plane(outputs, spec.tensor, values).astype(np.float32, copy=False)
    own = sigma_of_score(score, spec, card.uncertainty.relative_floor)
    if only_ranks(spec) or spec.meaning == 'log_error' or spec.domain == 'log_depth':
        return nothing, np.hypot(own, floor)
    return own * np.abs(slope * np.float32(card.output.gain)), floor
