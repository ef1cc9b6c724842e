"""The arguments of the fused kernels, and the same computation in numpy.

The twins are the oracle of the kernels of `cuda_source`; tests hold them to the CPU path of the
package, which is what images go through where there is no GPU.
"""

from __future__ import annotations

import ctypes
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.cloud import pack_cloud
from depth_perception.core.filters import flying_pixel_mask
from depth_perception.core.frame import Picture
from depth_perception.core.types import AnyArray, DepthMap, Mask, SigmaMap
from depth_perception.core.uncertainty import sigma_depth_from_inverse_depth
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.resize import ResizePlan
import numpy as np

LINEAR, CUBIC, AREA, ENLARGE = range(4)
PAD_MODES = ('constant', 'replicate', 'reflect')
TYPES = ('float32', 'float16', 'uint8')
INVERSE, DEPTH, LOG = range(3)


class PrepareArguments(ctypes.Structure):
    """`struct Prepare` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_int) for name in (
            'width', 'height', 'channels', 'scaled_width', 'scaled_height', 'target_width',
            'target_height', 'left', 'top', 'pad_mode', 'interpolation', 'swap', 'planes',
            'channel_step', 'pixel_step', 'type',
        )),
        *((name, ctypes.c_float * 4) for name in ('pad', 'gain', 'offset')),
    )  # fmt: skip


class PublishArguments(ctypes.Structure):
    """`struct Publish` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_int) for name in (
            'width', 'height', 'map_width', 'map_height', 'scaled_width', 'scaled_height', 'left',
            'top', 'kind', 'channels', 'swap', 'absolute',
        )),
        *((name, ctypes.c_float) for name in (
            'gain', 'bias', 's', 't', 'ss', 'st', 'tt', 'relative', 'floor', 'rho_near', 'rho_far',
            'most_sigma', 'fx', 'fy', 'cx', 'cy',
        )),
    )  # fmt: skip


class FinishArguments(ctypes.Structure):
    """`struct Finish` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ('width', 'height', 'channels', 'swap')),
        *((name, ctypes.c_float) for name in (
            'jump', 'grazing_x', 'grazing_y', 'sigmas', 'fx', 'fy', 'cx', 'cy',
        )),
    )  # fmt: skip


def prepare_arguments(
    picture: Picture, plan: ResizePlan, resize: ResizeSpec, spec: InputSpec
) -> PrepareArguments:
    """Return how `prepare` makes an input tensor of a picture.

    Raises:
        ModelError: If the layout is one that the kernel does not write.
    """
    if spec.layout == 'HW':
        raise ModelError(f'{spec.tensor}: the kernel writes NCHW and NHWC')
    planes = 1 if spec.color == 'gray' else 3
    width, height = plan.target
    stepped = spec.layout == 'NCHW'
    made = PrepareArguments(
        width=picture.width, height=picture.height,
        channels=1 if picture.order == 'grey' else 3,
        scaled_width=plan.scaled[0], scaled_height=plan.scaled[1],
        target_width=width, target_height=height, left=plan.left, top=plan.top,
        pad_mode=PAD_MODES.index(resize.pad.mode),
        interpolation=_interpolation(resize.interp, plan),
        swap=int(picture.order == 'bgr') if planes == 1 else int(picture.order != spec.color),
        planes=planes,
        channel_step=width * height if stepped else 1, pixel_step=1 if stepped else planes,
        type=TYPES.index(spec.dtype),
    )  # fmt: skip
    for channel in range(planes):
        std = spec.std[channel % len(spec.std)]
        made.gain[channel] = 1.0 / (spec.divide * std)
        made.offset[channel] = -spec.mean[channel % len(spec.mean)] / std
        made.pad[channel] = (*resize.pad.value, 0.0, 0.0, 0.0, 0.0)[channel]
    return made


def _interpolation(interp: str, plan: ResizePlan) -> int:
    if plan.scaled == plan.source:
        return LINEAR
    if interp == 'auto':
        interp = 'area' if plan.sx < 1.0 else 'cubic'
    if interp == 'area':
        return AREA if plan.sx <= 1.0 and plan.sy <= 1.0 else ENLARGE
    return CUBIC if interp == 'cubic' else LINEAR


def prepare_twin(image: AnyArray, arguments: PrepareArguments) -> AnyArray:
    """Return the tensor that `prepare` writes.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        arguments: How.

    Returns:
        (planes, H, W) or, where the channels lie side by side, (H, W, planes).
    """
    a = arguments
    pixels = image.reshape(a.height, a.width, a.channels).astype(np.float32)
    if a.channels == 3 and a.swap:
        pixels = pixels[..., ::-1]
    if a.channels == 3 and a.planes == 1:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        pixels = np.floor(pixels @ weights + np.float32(0.5))[..., None]
    down = _matrix(a.interpolation, a.height, a.scaled_height)
    across = _matrix(a.interpolation, a.width, a.scaled_width)
    scaled = np.einsum('vh,hwc,uw->vuc', down, pixels, across, optimize=True)
    scaled = np.rint(scaled).clip(0.0, 255.0)
    scaled = np.broadcast_to(scaled, (*scaled.shape[:2], a.planes))
    below = a.target_height - a.scaled_height - a.top
    right = a.target_width - a.scaled_width - a.left
    margins = ((a.top, below), (a.left, right))
    mode = ('constant', 'edge', 'reflect')[a.pad_mode]
    planes = []
    for channel in range(a.planes):
        extra = {'constant_values': a.pad[channel]} if mode == 'constant' else {}
        plane = np.pad(scaled[..., channel], margins, mode, **extra)  # type: ignore[call-overload]
        if TYPES[a.type] != 'uint8':
            plane = plane * np.float32(a.gain[channel]) + np.float32(a.offset[channel])
        planes.append(plane.astype(TYPES[a.type]))
    return np.stack(planes, axis=0 if a.pixel_step == 1 else -1)


def _matrix(kind: int, size: int, scaled: int) -> AnyArray:
    """Return the weights (scaled, size) of a resize along one axis."""
    scale = size / scaled
    index = np.arange(scaled)[:, None]
    if kind == AREA:
        pixel = np.arange(size)[None]
        weights = np.minimum(pixel + 1, (index + 1) * scale) - np.maximum(pixel, index * scale)
        weights = weights.clip(0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(weights, np.float32)
    centre = (index + 0.5) * scale - 0.5
    if kind == ENLARGE:
        first = np.floor(index * scale)
        share = (index + 1) - (first + 1) / scale
        centre = first + np.where(share <= 0.0, 0.0, share - np.floor(share))
    taps = np.floor(centre) + (np.arange(-1, 3) if kind == CUBIC else np.arange(2))
    distance = np.abs(centre - taps)
    values = 1.0 - distance
    if kind == CUBIC:
        a = -0.75
        near = ((a + 2.0) * distance - (a + 3.0)) * distance**2 + 1.0
        far = (((distance - 5.0) * distance + 8.0) * distance - 4.0) * a
        values = np.where(distance <= 1.0, near, far)
    weights = np.zeros((scaled, size))
    for tap in range(taps.shape[1]):
        np.add.at(
            weights, (index[:, 0], taps[:, tap].clip(0, size - 1).astype(int)), values[:, tap]
        )
    return weights.astype(np.float32)


def publish_twin(
    network_map: AnyArray,
    arguments: PublishArguments,
    *,
    score: AnyArray | None = None,
    far: Mask | None = None,
) -> tuple[DepthMap, SigmaMap]:
    """Return depth and sigma [m] as `publish` writes them.

    Args:
        network_map: (H_net, W_net) float32, what the network says.
        arguments: What to make of it.
        score: (H_net, W_net) float32 relative sigma, or sigma of rho [1/m] where the arguments
            say `absolute`; None takes `arguments.relative`.
        far: (H, W) bool, sky.
    """
    a = arguments
    value = np.float32(a.gain) * network_map + np.float32(a.bias)
    with np.errstate(all='ignore'):
        if a.kind == DEPTH:
            inverse = np.reciprocal(np.maximum(value, np.float32(1e-6)))
            value = np.where(value > 0.0, inverse, np.float32(np.nan))
        elif a.kind == LOG:
            value = np.exp(-value)
        o = _restored(value, a)
        rho = np.float32(a.s) * o + np.float32(a.t)
        told = np.float32(a.relative) if score is None else _restored(score, a)
        deviation = np.broadcast_to(told, rho.shape)
        if not a.absolute:
            own = told * rho
            shared = np.maximum(a.ss * o * o + 2.0 * a.st * o + a.tt, 0.0)
            deviation = np.sqrt(own * own + a.floor * a.floor + shared)
        depth: DepthMap = np.reciprocal(rho, dtype=np.float32)
        depth[rho > a.rho_near] = -np.inf
        depth[rho < a.rho_far] = np.inf
        most = np.float32(a.most_sigma) * np.maximum(rho, np.float32(a.rho_far))
        certain = (deviation > 0.0) & (deviation <= most)
        depth[~certain] = np.nan
        if far is not None:
            depth[far] = np.inf
    sigma = sigma_depth_from_inverse_depth(depth, deviation.astype(np.float32))
    sigma[~np.isfinite(depth)] = np.nan
    return depth, sigma


def finish_twin(
    depth: DepthMap, sigma: SigmaMap, arguments: FinishArguments
) -> tuple[DepthMap, SigmaMap]:
    """Return depth and sigma [m] without flying pixels, as `calm` and `finish` write them."""
    a = arguments
    angle_deg = math.degrees(math.atan(a.grazing_x / a.fx))
    flying = flying_pixel_mask(
        depth, camera_of(a), a.jump, angle_deg, sigma if a.sigmas > 0.0 else None,
        a.sigmas / math.sqrt(2.0),
    )  # fmt: skip
    kept_depth, kept_sigma = depth.copy(), sigma.copy()
    kept_depth[flying] = kept_sigma[flying] = np.nan
    return kept_depth, kept_sigma


def camera_of(arguments: PublishArguments | FinishArguments) -> PinholeCamera:
    """Return the camera that a kernel was told of."""
    a = arguments
    return PinholeCamera(a.width, a.height, a.fx, a.fy, a.cx, a.cy)


def cloud_twin(
    depth: DepthMap, sigma: SigmaMap, camera: PinholeCamera, picture: Picture | None
) -> AnyArray:
    """Return the bytes of the cloud as `publish` writes them, (H, W, 5) uint32."""
    out = bytearray(camera.width * camera.height * 20)
    pack_cloud(depth, sigma, camera, picture, out)
    return np.frombuffer(out, np.uint32).reshape(camera.height, camera.width, 5)


def _restored(values: AnyArray, a: PublishArguments) -> AnyArray:
    """Return a map of the network on the grid of the image."""
    part = values[a.top : a.top + a.scaled_height, a.left : a.left + a.scaled_width]
    if (a.scaled_height, a.scaled_width) == (a.height, a.width):
        return part.astype(np.float32)
    rows, columns = _matrix_taps(a.scaled_height, a.height), _matrix_taps(a.scaled_width, a.width)
    result = np.zeros((a.height, a.width), np.float32)
    for row, wy in rows:
        for column, wx in columns:
            result += wy[:, None] * wx * part[row[:, None], column]
    return result


def _matrix_taps(size: int, wanted: int) -> list[tuple[AnyArray, AnyArray]]:
    """Return index and weight of both neighbours, for each pixel along one axis."""
    centre = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    first = np.floor(centre)
    share = (centre - first).astype(np.float32)
    one = np.float32(1.0)
    return [
        (first.clip(0, size - 1).astype(int), one - share),
        ((first + 1).clip(0, size - 1).astype(int), share),
    ]
