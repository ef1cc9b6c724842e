"""Tell whether a network file answers as the one that its card was written for.

The file is fed a picture that everybody can make, and three numbers of its raw output are compared
with those in the card. A file of another training, of another normalisation or damaged by a
conversion answers something else, even if its tensors have the right names.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.errors import ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.card_schema import GoldenSpec
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import plane_of
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize
import numpy as np

WAVES = 'waves-640x480'
"""The one picture there is: waves of three colours under a fine texture."""
_WIDTH, _HEIGHT = 640, 480
_FAR_PX, _ROWS_PER_PX = 6, 24  # disparity of the pair, which grows downwards like a floor
_POSE = GroundPose(0.5, math.radians(12.0))


@dataclass(frozen=True)
class Golden:
    """What a network says about a golden picture; raw numbers of its main output."""

    mean: float
    p05: float
    p95: float


def golden_statistics(card: ModelCard, backend: Backend, picture: str = WAVES) -> Golden:
    """Return what the network answers.

    Args:
        card: How to feed it, and which output counts, with the real names of the tensors.
        backend: Runs it.
        picture: Name of the picture.

    Raises:
        ModelError: If there is no such picture, or the answer is not finite anywhere.
    """
    preparation = _preparation(card, picture)
    outputs = backend.infer(tensors_from(card.inputs, preparation))
    spec = card.output
    plane = plane_of(outputs, spec.tensor, spec.layout, spec.channel).astype(np.float64)
    values = plane[np.isfinite(plane)]
    if not values.size:
        raise ModelError(f'{card.id}: the network answers nothing finite to {picture}')
    low, high = np.percentile(values, (5.0, 95.0))
    return Golden(float(values.mean()), float(low), float(high))


def golden_problem(wanted: GoldenSpec, found: Golden) -> str | None:
    """Return how an answer differs from that in the card; None if it does not.

    Two numbers are equal if they differ by less than `rtol` of their size or of the spread of the
    answer, whichever is more.
    """
    spread = abs(wanted.output_p95 - wanted.output_p05)
    pairs = {
        'mean': (wanted.output_mean, found.mean),
        'p05': (wanted.output_p05, found.p05),
        'p95': (wanted.output_p95, found.p95),
    }
    off = [
        f'{name} is {there:.6g}, the card says {stated:.6g}'
        for name, (stated, there) in pairs.items()
        if not abs(there - stated) <= wanted.rtol * max(abs(stated), spread)
    ]
    return ', '.join(off) or None


def golden_picture(name: str) -> Pixels:
    """Return the (480, 640, 3) RGB picture of a name, the same on every machine.

    Raises:
        ModelError: If there is none of that name.
    """
    if name != WAVES:
        raise ModelError(f'there is no golden picture {name!r}; there is {WAVES}')
    row, column = np.ogrid[:_HEIGHT, :_WIDTH]
    texture = _noise(row // 2, column // 2) % 48
    planes = [
        (_wave(column * 3 + row, 640) + _wave(row * 5, 480)) * 3 // 8,
        (_wave(column * 2, 640) + _wave(row * 3 + column, 560)) * 3 // 8,
        (_wave(row * 2 + column * 4, 720) + _wave(column, 640)) * 3 // 8,
    ]
    return np.stack([plane + texture for plane in planes], axis=-1).astype(np.uint8)


def _right_of(pixels: Pixels) -> Picture:
    """Return the right picture of the pair."""
    row, column = np.ogrid[:_HEIGHT, :_WIDTH]
    source = (column + _FAR_PX + row // _ROWS_PER_PX) % _WIDTH
    return Picture(np.take_along_axis(pixels, source[..., None], axis=1), 'rgb')


def _noise(row: AnyArray, column: AnyArray) -> AnyArray:
    """Return an integer per place that follows no pattern."""
    mixed = (column * 374761393 + row * 668265263) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    return np.asarray(mixed ^ (mixed >> 16))


def _wave(phase: AnyArray, period: int) -> AnyArray:
    """Return a triangle wave of 0..255, in integers."""
    part = phase % period
    return np.asarray(np.minimum(part, period - part) * 510 // period)


def _preparation(card: ModelCard, picture: str) -> Preparation:
    pixels = golden_picture(picture)
    camera = PinholeCamera(_WIDTH, _HEIGHT, 500.0, 500.0, 319.5, 239.5)
    left = Picture(pixels, 'rgb')
    frame: MonoFrame | StereoFrame = MonoFrame(left, camera)
    if card.task == 'stereo':
        frame = StereoFrame(left, _right_of(pixels), StereoRig(camera, camera, 0.1))
    plan = plan_resize(card.resize, _WIDTH, _HEIGHT)
    return Preparation(frame, plan, card.resize, _POSE)
