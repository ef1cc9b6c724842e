"""From a frame to the input tensors of a network."""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import ColourOrder, GroundPose, MonoFrame, Picture, StereoFrame
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.errors import ModelError, NotMetricError
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.images import pixels_in
from depth_perception.inference.resize import resized_pixels, ResizePlan, shrunk_pixels
import numpy as np

_ORDERS: dict[str, ColourOrder] = {'rgb': 'rgb', 'bgr': 'bgr', 'gray': 'grey'}


@dataclass(frozen=True)
class Preparation:
    """All that shapes the inputs of one frame.

    Attributes:
        frame: The images and their cameras.
        plan: How they reach the grid of the network.
        resize: The policy the plan was made from.
        ground: Pose of the camera above the floor; None if it is not known.
        draw: Which sample of its noise a network with a random input gets.
    """

    frame: MonoFrame | StereoFrame
    plan: ResizePlan
    resize: ResizeSpec
    ground: GroundPose | None = None
    draw: int = 0

    @property
    def camera(self) -> PinholeCamera:
        """The camera at the resolution of the network."""
        return self.plan.camera(self.frame.camera)


def tensors_from(specs: tuple[InputSpec, ...], preparation: Preparation) -> dict[str, AnyArray]:
    """Return the input tensors of a network, by name.

    Raises:
        NotMetricError: If the network needs the pose of the camera above the floor, and it is not
            known.
    """
    return {spec.tensor: _tensor(spec, preparation) for spec in specs}


def normalised_tensor(pixels: Pixels, spec: InputSpec) -> AnyArray:
    """Return (x / divide - mean) / std of an image in the layout and type of `spec`.

    Args:
        pixels: (H, W) or (H, W, C) uint8 in the channel order of `spec`.
        spec: Normalisation, layout and type.

    Returns:
        (1, C, H, W), (1, H, W, C) or, for layout HW, (H, W).
    """
    if spec.layout == 'HW':
        return np.ascontiguousarray(pixels.astype(spec.dtype, copy=False))
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = planes.shape
    scale = [1.0 / (spec.divide * _at(spec.std, c)) for c in range(channels)]
    offset = [-_at(spec.mean, c) / _at(spec.std, c) for c in range(channels)]
    if spec.layout == 'NHWC':
        tensor = planes.astype(np.float32)
        tensor *= np.array(scale, np.float32)
        tensor += np.array(offset, np.float32)
        return tensor[None].astype(spec.dtype, copy=False)
    tensor = np.empty((1, channels, height, width), np.float32)
    for channel in range(channels):
        plane = tensor[0, channel]
        np.multiply(planes[..., channel], np.float32(scale[channel]), out=plane, casting='unsafe')
        if offset[channel] != 0.0:
            plane += np.float32(offset[channel])
    return tensor.astype(spec.dtype, copy=False)


def _at(values: tuple[float, ...], index: int) -> float:
    """Return the value of a channel; images packed from two repeat theirs."""
    return values[index % len(values)]


def _tensor(spec: InputSpec, preparation: Preparation) -> AnyArray:
    frame = preparation.frame
    if spec.source == 'left':
        return _image_tensor(frame.image, spec, preparation)
    if spec.source == 'right' and isinstance(frame, StereoFrame):
        return _image_tensor(frame.right, spec, preparation)
    if spec.source == 'pair_concat' and isinstance(frame, StereoFrame):
        pair = [_image_tensor(p, spec, preparation) for p in (frame.left, frame.right)]
        return np.concatenate(pair, axis=3 if spec.layout == 'NHWC' else 1)
    if spec.source == 'const':
        return np.asarray(spec.value, dtype=spec.dtype)
    if spec.source == 'noise':  # the same for the same frame, live and offline
        random = np.random.default_rng((abs(frame.stamp_ns), preparation.draw))
        return np.asarray(random.standard_normal(spec.value), dtype=spec.dtype)
    return _camera_tensor(spec, preparation)


def _image_tensor(picture: Picture, spec: InputSpec, preparation: Preparation) -> AnyArray:
    pixels = pixels_in(_ORDERS[spec.color], picture)
    pixels = resized_pixels(pixels, preparation.plan, preparation.resize)
    if spec.shrink > 1:
        pixels = shrunk_pixels(pixels, spec.shrink)
    return normalised_tensor(pixels, spec)


def _camera_tensor(spec: InputSpec, preparation: Preparation) -> AnyArray:
    """Return an input that is made from the calibration."""
    camera = preparation.camera
    if spec.source == 'intrinsics':
        return camera.K.astype(spec.dtype)[None]
    if spec.source == 'rays':
        rays = np.empty((1, 3, camera.height, camera.width), np.float32)
        rays[0, 0] = camera.ray_x
        rays[0, 1] = camera.ray_y[:, None]
        rays[0, 2] = 1.0
        rays /= camera.ray_norm
        return rays.astype(spec.dtype, copy=False)
    if spec.source != 'ground_inverse_depth':
        raise ModelError(f'input {spec.tensor}: {spec.source} does not belong to this task')
    ground = preparation.ground
    if ground is None:
        raise NotMetricError(
            'the height of the camera above the floor is not known; set '
            'ground.camera_height_m [m] and ground.pitch_deg [deg], or ground.frame'
        )
    rho = ground_inverse_depth(camera, ground.height_m, ground.pitch_rad, ground.roll_rad)
    return np.asarray(rho, spec.dtype)[None, None]
