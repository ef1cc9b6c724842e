"""From the grid of the input image to that of a network, and back.

Convention:
    Pixel centres lie at integers (see core.camera), so a pixel u of the input lies at
    (u + 0.5) * sx - 0.5 + left of the network. OpenCV's linear and area interpolation of
    `cv2.resize` follow the same convention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

from depth_perception.core.camera import MAX_SIDE_PX, PinholeCamera
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import PadSpec, ResizeSpec
import numpy as np

_ROUNDING: dict[str, Callable[[float], int]] = {
    'nearest': round,
    'floor': math.floor,
    'ceil': math.ceil,
}
_LITTLE = 1e-9  # so that a side that fits exactly is not rounded down


@dataclass(frozen=True)
class ResizePlan:
    """How an image of one size becomes the input of a network.

    Attributes:
        source: (width, height) of the image [px].
        scaled: (width, height) after scaling, before padding [px].
        target: (width, height) of the network input [px].
        left: Columns of padding before the image.
        top: Rows of padding above the image.
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    target: tuple[int, int]
    left: int = 0
    top: int = 0

    @property
    def sx(self) -> float:
        """Horizontal scale, network pixels per input pixel."""
        return self.scaled[0] / self.source[0]

    @property
    def sy(self) -> float:
        """Vertical scale, network pixels per input pixel."""
        return self.scaled[1] / self.source[1]

    def camera(self, camera: PinholeCamera) -> PinholeCamera:
        """Return the camera of the network input, padding included."""
        scaled = camera.resized(*self.scaled)
        return scaled.cropped(-self.left, -self.top, *self.target)


def plan_resize(spec: ResizeSpec, width: int, height: int) -> ResizePlan:
    """Return how an image of `width` x `height` reaches the network.

    The bound policies keep the aspect ratio but for the rounding to `multiple`, which follows
    MiDaS: nearest multiple, upwards where it would fall below a lower bound, downwards where it
    would exceed an upper one.

    Raises:
        ModelError: If the policy lacks the size it needs, or leads to an image that no camera
            has, e.g. a lower bound on the side of a sliver.
    """
    plan = _plan(spec, width, height)
    if max(plan.target) > MAX_SIDE_PX:
        raise ModelError(
            f'resize policy {spec.policy} makes {plan.target[0]}x{plan.target[1]} px of an image '
            f'of {width}x{height}; the greatest side is {MAX_SIDE_PX} px'
        )
    return plan


def _plan(spec: ResizeSpec, width: int, height: int) -> ResizePlan:
    source = (width, height)
    if spec.policy == 'none':
        return ResizePlan(source, source, source)
    if spec.policy == 'pad':
        target = (_padded(width, spec.multiple), _padded(height, spec.multiple))
        return ResizePlan(source, source, target, *_placed(spec.pad, source, target))
    size = _size_of(spec)
    if spec.policy == 'stretch':
        return ResizePlan(source, size, size)
    if spec.policy == 'letterbox':
        scale = min(size[0] / width, size[1] / height)
        scaled = (
            min(size[0], max(1, _ROUNDING[spec.round](width * scale + _LITTLE))),
            min(size[1], max(1, _ROUNDING[spec.round](height * scale + _LITTLE))),
        )
        return ResizePlan(source, scaled, size, *_placed(spec.pad, scaled, size))
    scale, low, high = _scale_of(spec, size, source)
    scaled = (
        _rounded(width * scale, spec, low * size[0], high * size[0]),
        _rounded(height * scale, spec, low * size[1], high * size[1]),
    )
    return ResizePlan(source, scaled, scaled)


def resized_pixels(pixels: Pixels, plan: ResizePlan, spec: ResizeSpec) -> Pixels:
    """Return the pixels on the grid of the network, padding included."""
    import cv2

    if plan.scaled != plan.source:
        pixels = cv2.resize(pixels, plan.scaled, interpolation=_interpolation(spec.interp, plan))
    if plan.target == plan.scaled:
        return pixels
    below = plan.target[1] - plan.scaled[1] - plan.top
    right = plan.target[0] - plan.scaled[0] - plan.left
    mode = {
        'constant': cv2.BORDER_CONSTANT,
        'replicate': cv2.BORDER_REPLICATE,
        'reflect': cv2.BORDER_REFLECT_101,
    }[spec.pad.mode]
    padded: Pixels = cv2.copyMakeBorder(
        pixels, plan.top, below, plan.left, right, mode, value=spec.pad.value
    )
    return padded


def shrunk_pixels(pixels: Pixels, by: int) -> Pixels:
    """Return the pixels at 1 / `by` of their size, for networks with a coarse first pass."""
    import cv2

    size = max(1, pixels.shape[1] // by), max(1, pixels.shape[0] // by)
    shrunk: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return shrunk


def restored_map(values: AnyArray, plan: ResizePlan, *, nearest: bool = False) -> AnyArray:
    """Return a (H_net, W_net) map of the network on the grid of the input.

    Args:
        values: float32 map; NaN spreads to the pixels that would be interpolated from it.
        plan: How the input was brought to the network. The map may have another size than the
            network's input; it is taken to cover the same field of view.
        nearest: Take the nearest value instead of interpolating, for masks.
    """
    import cv2

    # INTER_NEAREST takes the pixel at floor(u / s), not the one whose centre is nearest.
    how = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR
    if values.shape != (plan.target[1], plan.target[0]):
        values = cv2.resize(values, plan.target, interpolation=how)
    top, left = plan.top, plan.left
    part = values[top : top + plan.scaled[1], left : left + plan.scaled[0]]
    if plan.scaled == plan.source:
        return np.ascontiguousarray(part)
    restored: AnyArray = cv2.resize(part, plan.source, interpolation=how)
    return restored


def _size_of(spec: ResizeSpec) -> tuple[int, int]:
    """Return the (width, height) of a spec; one number stands for both sides."""
    if spec.size is None:
        raise ModelError(f'resize policy {spec.policy} needs a size')
    if isinstance(spec.size, int):
        return spec.size, spec.size
    height, width = spec.size
    return width, height


def _scale_of(
    spec: ResizeSpec, size: tuple[int, int], source: tuple[int, int]
) -> tuple[float, bool, bool]:
    """Return the scale of a bound policy, and whether `size` is a lower or an upper bound."""
    across, down = size[0] / source[0], size[1] / source[1]
    if spec.policy == 'lower_bound':
        return max(across, down), True, False
    if spec.policy == 'upper_bound':
        return min(across, down), False, True
    if spec.policy == 'minimal':
        return (across if abs(1.0 - across) < abs(1.0 - down) else down), False, False
    area = source[0] * source[1]  # area_range: `size` holds the [least, greatest] area
    least, greatest = size[1], size[0]
    return math.sqrt(min(max(area, least), greatest) / area), False, False


def _rounded(value: float, spec: ResizeSpec, low: int, high: int) -> int:
    """Return `value` rounded to the multiple, inside the bounds; a bound of 0 is none."""
    step = spec.multiple
    result = _ROUNDING[spec.round](value / step) * step
    if low and result < low:
        result = math.ceil(value / step) * step
    if high and result > high:
        result = math.floor(value / step) * step
    return max(step, result)


def _padded(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _placed(pad: PadSpec, inner: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    """Return (left, top) of the image inside the padded one."""
    spare = outer[0] - inner[0], outer[1] - inner[1]
    if pad.place == 'center':
        return spare[0] // 2, spare[1] // 2
    return 0, spare[1] if pad.place == 'bottom_left' else 0


def _interpolation(interp: str, plan: ResizePlan) -> int:
    import cv2

    if interp == 'auto':
        interp = 'area' if plan.sx < 1.0 else 'cubic'
    return int(
        {'linear': cv2.INTER_LINEAR, 'cubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}[interp]
    )
