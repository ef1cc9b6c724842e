"""From the raw outputs of a network to inverse depth with its sigma on the grid of the input.

The formulas per output kind are those of the networks' own code, see docs/model_cards.md. Values
are interpolated as inverse depth, where a surface is linear in the image; masks are taken from the
nearest pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import StereoFrame
from depth_perception.core.score_rank import ranked_sigma
from depth_perception.core.stereo import inverse_depth_from_disparity
from depth_perception.core.types import AnyArray, InverseDepthMap, Mask, SigmaMap
from depth_perception.errors import ModelError, NotMetricError
from depth_perception.inference.card_schema import ConfidenceSpec, FocalSpec, RELATIVE_KINDS
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.point_shift import z_shift
from depth_perception.inference.preprocess import Preparation
from depth_perception.inference.resize import restored_map
import numpy as np

_COMPARE: dict[str, Callable[[AnyArray, float], AnyArray]] = {
    '>': np.greater,
    '<': np.less,
    '>=': np.greater_equal,
    '<=': np.less_equal,
}
CLIPPED_PX = 2.0  # from the end of its range on a network cannot be trusted
_LEAST_RHO = np.float32(1e-6)  # 1000 km; keeps 1 / rho finite


@dataclass(frozen=True)
class Decoded:
    """Inverse depth of one frame on the grid of the input image.

    Attributes:
        rho: (H, W) float32 [1/m], NaN unknown.
        sigma_rho: (H, W) float32 [1/m], NaN where `rho` is.
        far: (H, W) bool, sky; None where the network does not tell.
        disparity: (H, W) float32 [px] of the input image, stereo only.
    """

    rho: InverseDepthMap
    sigma_rho: SigmaMap
    far: Mask | None
    disparity: AnyArray | None


def decode(outputs: Mapping[str, AnyArray], card: ModelCard, preparation: Preparation) -> Decoded:
    """Return the metric reading of a network's outputs.

    Args:
        outputs: Raw tensors by name.
        card: What they mean.
        preparation: How the input was made.

    Raises:
        ModelError: If a tensor is missing, holds no numbers, or has another shape than the card
            says.
        NotMetricError: If the output is relative.
    """
    if card.output.kind in RELATIVE_KINDS:
        raise NotMetricError(
            f'{card.id} gives relative depth ({card.output.kind}), which has no unit; it is read '
            'by decode_relative and needs a scale'
        )
    spec = card.output
    plane = plane_of(outputs, spec.tensor, spec.layout, spec.channel)
    with np.errstate(all='ignore'):
        raw = plane.astype(np.float32, copy=False)
        values = raw if (spec.gain, spec.bias) == (1.0, 0.0) else raw * spec.gain + spec.bias
        rho, slope = _inverse_depth(values, outputs, card, preparation)
        if spec.geometry == 'ray':
            norm = _at_output(preparation, rho.shape).ray_norm
            rho, slope = rho * norm, slope * norm
        sigma = _sigma(rho, slope, outputs, card, preparation)
        invalid, far = masks_of(raw, rho, outputs, card)
    rho[invalid] = np.nan
    rho, sigma = restored_map(rho, preparation.plan), restored_map(sigma, preparation.plan)
    sigma[np.isnan(rho)] = np.nan
    far_here = None
    if far is not None:
        nearest = restored_map(far.astype(np.uint8), preparation.plan, nearest=True)
        far_here = nearest.astype(bool)
    disparity = None
    if card.output.kind == 'disparity_px':
        disparity = _disparity_of(rho, preparation)
        _remove_clipped(disparity, rho, sigma, card, preparation)
        if not spec.params.keep_unseen:
            _remove_unseen(disparity, rho, sigma)
    return Decoded(rho, sigma, far_here, disparity)


def plane_of(
    outputs: Mapping[str, AnyArray], name: str, layout: str, channel: int | None
) -> AnyArray:
    """Return one (H, W) plane of an output tensor of shape (H, W), (1, H, W) or with channels.

    Raises:
        ModelError: If the tensor is missing, is empty, holds no numbers, lacks the channel, or
            its shape leaves a choice.
    """
    tensor = _numbers(outputs, name)
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    elif tensor.ndim == 3 and tensor.shape[0] == 1 and channel is None:
        return np.asarray(tensor[0])
    if tensor.ndim == 3:
        axis = 2 if layout == 'NHWC' else 0
        index, count = channel or 0, tensor.shape[axis]
        if index >= count or (channel is None and count != 1):
            raise ModelError(
                f'output {name} has {count} channels; the card must name one of them '
                '(output.channel)'
            )
        return np.asarray(np.take(tensor, index, axis=axis))
    if tensor.ndim != 2:
        raise ModelError(f'output {name} has shape {outputs[name].shape}, which is no image')
    return tensor


def _numbers(outputs: Mapping[str, AnyArray], name: str) -> AnyArray:
    """Return an output, which must be a tensor of real numbers with something in it."""
    if name not in outputs:
        raise ModelError(f'the network has no output {name!r}; it has {", ".join(outputs)}')
    tensor = np.asarray(outputs[name])  # a sequence or map of ONNX becomes something of objects
    if tensor.dtype.kind not in 'fiub' or tensor.size == 0:
        raise ModelError(
            f'output {name} must be a tensor of numbers and not empty, it is {tensor.dtype} '
            f'{tensor.shape}'
        )
    return tensor


def companion_plane(outputs: Mapping[str, AnyArray], name: str, main: AnyArray) -> AnyArray:
    """Return the plane of a mask or a confidence, which lies on the grid of the main output."""
    plane = plane_of(outputs, name, 'NCHW', None)
    if plane.shape != main.shape:
        raise ModelError(f'output {name} is {plane.shape} but the main output is {main.shape}')
    return plane


def _at_output(preparation: Preparation, shape: tuple[int, ...]) -> PinholeCamera:
    """Return the camera of the output, which may be smaller than the network's input."""
    return preparation.camera.resized(shape[1], shape[0])


def _inverse_depth(
    o: AnyArray, outputs: Mapping[str, AnyArray], card: ModelCard, preparation: Preparation
) -> tuple[AnyArray, AnyArray]:
    """Return (rho, |d rho / d o|) of a metric kind, on the grid of the network's output."""
    kind, spec = card.output.kind, card.output
    if kind == 'disparity_px':
        rig = _stereo(preparation, card).rig
        scale = np.float32(1.0 / preparation.plan.sx)
        disparity = o if scale == 1.0 else o * scale
        return inverse_depth_from_disparity(disparity, rig), np.asarray(
            scale / np.float32(rig.focal_baseline)
        )
    if kind == 'inv_depth_fov':
        gain = np.float32(preparation.frame.camera.width / preparation.frame.camera.fx)
        return o * gain, np.asarray(gain)
    if kind in ('disparity_sigmoid', 'disparity_width'):
        gain, offset = _trained_rig(card, preparation)
        return o * gain + offset, np.asarray(gain)
    if kind == 'depth_focal' and spec.focal is not None:
        slope = np.asarray(_focal_px(spec.focal, preparation) / spec.focal.reference, np.float32)
        z = o * slope
    elif kind == 'log_depth':
        z = np.exp(o)
        slope = z
    elif kind == 'points_affine_z':
        z, slope = _shifted_points(o, outputs, card, preparation)
    else:  # depth_metric, points_metric
        z, slope = o, np.ones((), np.float32)
    rho = np.float32(1.0) / np.maximum(z, _LEAST_RHO)
    return np.where(z > 0.0, rho, np.float32(np.nan)), np.square(rho) * slope


def _focal_px(spec: FocalSpec, preparation: Preparation) -> float:
    """Return the focal length at the resolution of the network."""
    camera, plan = preparation.camera, preparation.plan
    if spec.use == 'scale':
        return preparation.frame.camera.fx * max(plan.sx, plan.sy)
    return camera.fx if spec.use == 'fx' else 0.5 * (camera.fx + camera.fy)


def _stereo(preparation: Preparation, card: ModelCard) -> StereoFrame:
    if not isinstance(preparation.frame, StereoFrame):
        raise ModelError(f'{card.id}: {card.output.kind} needs a stereo pair')
    return preparation.frame


def _trained_rig(card: ModelCard, preparation: Preparation) -> tuple[np.float32, np.float32]:
    """Return (gain, offset) of rho = gain * o + offset for networks that know one rig only."""
    params = card.output.params
    if card.output.kind == 'disparity_sigmoid':
        low, high = 1.0 / params.z_max, 1.0 / params.z_min
        return np.float32((high - low) / params.rig_gain), np.float32(low / params.rig_gain)
    camera = preparation.frame.camera
    return np.float32(camera.width / (camera.fx * params.baseline_m)), np.float32(0.0)


def _shifted_points(
    o: AnyArray, outputs: Mapping[str, AnyArray], card: ModelCard, preparation: Preparation
) -> tuple[AnyArray, AnyArray]:
    """Return Z = m (o_z + t) with the shift t solved from the intrinsics."""
    params, layout = card.output.params, card.output.layout
    x = plane_of(outputs, card.output.tensor, layout, 0)
    y = plane_of(outputs, card.output.tensor, layout, 1)
    usable = np.isfinite(o)
    for mask in card.masks:
        usable &= _COMPARE[mask.op](companion_plane(outputs, mask.tensor, o), mask.value)
    gain = 1.0
    if params.metric_scale_tensor is not None:
        gain = float(np.ravel(_numbers(outputs, params.metric_scale_tensor))[0])
    shift = z_shift(x, y, o, usable, _at_output(preparation, o.shape))
    slope = np.asarray(gain, np.float32)
    return (o + np.float32(shift)) * slope, slope


def _sigma(
    rho: AnyArray,
    slope: AnyArray,
    outputs: Mapping[str, AnyArray],
    card: ModelCard,
    preparation: Preparation,
) -> AnyArray:
    """Return sigma_rho: the network's own word, and the floor of the card, in quadrature."""
    floor = _sigma_floor(rho, card, preparation)
    spec = card.confidence
    if spec is None or says_nothing(spec):
        return np.broadcast_to(floor, rho.shape).astype(np.float32)
    score = companion_plane(outputs, spec.tensor, rho).astype(np.float32, copy=False)
    own = sigma_of_score(score, spec, 1.0)
    if only_ranks(spec):
        own = own * floor
    elif spec.meaning == 'log_error' or spec.domain == 'log_depth':
        own = own * rho
    elif spec.domain == 'depth':
        own = own * np.square(rho)
    elif spec.domain in ('disparity', 'raw'):
        own = own * np.abs(slope * np.float32(card.output.gain))
    if not np.any(floor):
        return np.asarray(own)
    return np.asarray(np.hypot(own, floor))


def _sigma_floor(rho: AnyArray, card: ModelCard, preparation: Preparation) -> AnyArray:
    """Return the least sigma_rho that the card believes in, one number or a map."""
    uncertainty = card.uncertainty
    if uncertainty.disparity_floor_px > 0.0 and card.output.kind == 'disparity_px':
        rig = _stereo(preparation, card).rig
        return np.asarray(uncertainty.disparity_floor_px / rig.focal_baseline, np.float32)
    if uncertainty.relative_floor == 0.0:
        return np.zeros((), np.float32)
    return np.abs(rho * np.float32(uncertainty.relative_floor))


def says_nothing(spec: ConfidenceSpec) -> bool:
    """Return whether a confidence is there to be looked at only."""
    return spec.meaning == 'none' and spec.scope == 'pixel_sigma'


def only_ranks(spec: ConfidenceSpec) -> bool:
    """Return whether a confidence has no unit: it stretches the floor of the card."""
    return spec.meaning == 'prob' or spec.scope == 'rank_in_image'


def sigma_of_score(score: AnyArray, spec: ConfidenceSpec, floor: float) -> AnyArray:
    """Return the standard deviation that a score stands for, in the domain of the card.

    A probability has no unit, and neither has a score that compares the pixels of one image only
    (`rank_in_image`). They stretch the floor until a calibration says better: a probability p to
    floor / p, a rank to that of a normal error, see `core.score_rank`.
    """
    if spec.scope == 'rank_in_image':
        return ranked_sigma(_badness(score, spec), floor)
    if spec.meaning == 'prob':
        share = score if spec.better == 'high' else np.float32(1.0) - score
        return np.asarray(np.float32(floor) / np.clip(share, 0.05, 1.0))
    return _badness(score, spec)


def _badness(score: AnyArray, spec: ConfidenceSpec) -> AnyArray:
    """Return what a score means as a sigma, or anything that grows with it if it only ranks."""
    if spec.meaning == 'variance':
        return np.asarray(np.sqrt(np.maximum(score, np.float32(0.0))))
    if spec.meaning == 'log_sigma':
        return np.asarray(np.exp(score))
    if spec.meaning == 'log_variance':
        return np.asarray(np.exp(np.float32(0.5) * score))
    if spec.meaning == 'precision':
        return np.asarray(np.reciprocal(np.sqrt(np.maximum(score, np.float32(1e-12)))))
    if spec.meaning in ('prob', 'none'):
        return -score if spec.better == 'high' else score
    return np.abs(score)  # sigma, log_error


def masks_of(
    raw: AnyArray, rho: AnyArray, outputs: Mapping[str, AnyArray], card: ModelCard
) -> tuple[AnyArray, AnyArray | None]:
    """Return (invalid, far) on the grid of the network's output."""
    invalid = ~np.isfinite(rho)
    spec = card.output
    if spec.saturate is not None:
        invalid |= np.abs(raw) >= spec.saturate
    if spec.range_m:
        invalid |= (rho * spec.range_m[1] < 1.0) | (rho * spec.range_m[0] > 1.0)
    if spec.kind == 'disparity_px':
        disparity = raw * spec.gain + spec.bias
        invalid |= disparity < spec.params.min_disp
        if spec.params.max_disp is not None:
            invalid |= disparity >= spec.params.max_disp - 1
    far = None
    for mask in card.masks:
        outside = ~_COMPARE[mask.op](companion_plane(outputs, mask.tensor, rho), mask.value)
        if mask.otherwise == 'far':
            far = outside if far is None else far | outside
        else:
            invalid |= outside
    return invalid, far


def _disparity_of(rho: AnyArray, preparation: Preparation) -> AnyArray:
    """Return the disparity of the input image."""
    frame = preparation.frame
    if not isinstance(frame, StereoFrame):
        raise ModelError('disparity needs a stereo pair')
    unit, doffs_px = np.float32(frame.rig.focal_baseline), np.float32(frame.rig.doffs_px)
    return np.asarray(rho * unit - doffs_px)


def _remove_clipped(
    disparity: AnyArray, rho: AnyArray, sigma: AnyArray, card: ModelCard, preparation: Preparation
) -> None:
    """Make unknown where a network may say its least disparity for all that lies beyond.

    That is where infinity, at -doffs, has a smaller disparity than the network can say.
    """
    frame = preparation.frame
    least = card.output.params.min_disp / preparation.plan.sx
    if not isinstance(frame, StereoFrame) or -frame.rig.doffs_px >= least - CLIPPED_PX:
        return
    clipped = disparity < least + CLIPPED_PX
    for values in (disparity, rho, sigma):
        values[clipped] = np.nan


def _remove_unseen(disparity: AnyArray, rho: AnyArray, sigma: AnyArray) -> None:
    """Make unknown what would lie left of the right image."""
    columns = np.arange(disparity.shape[1], dtype=np.float32)
    outside = disparity > columns + np.float32(0.5)
    if bool(outside.any()):
        for values in (disparity, rho, sigma):
            values[outside] = np.nan
