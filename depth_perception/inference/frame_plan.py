"""What of a frame a GPU may do, and why not the rest."""

from __future__ import annotations

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.types import AnyArray, Mask, SigmaMap
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import InputSpec
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.frame_jobs import ImageInput, NetworkJob, PublishJob
from depth_perception.inference.kernel_twins import (
    FinishArguments,
    INVERSE,
    prepare_arguments,
    PublishArguments,
)
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.parameters import EstimatorSettings
import numpy as np

_SIDES = {'left': 1, 'right': 1, 'pair_concat': 2}


def image_problem(spec: InputSpec) -> str:
    """Return why the kernel does not make an input of pictures; '' if it does."""
    if spec.source not in _SIDES:
        return ''  # not made of a picture at all
    if spec.layout == 'HW':
        return f'{spec.tensor} has no channels'
    if spec.shrink > 1:
        return f'{spec.tensor} is shrunk by {spec.shrink}'
    if spec.source == 'pair_concat' and spec.layout != 'NCHW':
        return f'{spec.tensor} holds both images side by side'
    if spec.dtype not in ('float32', 'float16', 'uint8'):
        return f'{spec.tensor} is {spec.dtype}'
    return ''


def preparation_problem(card: ModelCard) -> str:
    """Return why images of a card are prepared on the CPU, all of them or some; '' if none is."""
    return '; '.join(problem for spec in card.inputs if (problem := image_problem(spec)))


def network_job(card: ModelCard, preparation: Preparation, *, kernels: bool) -> NetworkJob:
    """Return the run of a network on a frame.

    Args:
        card: The model.
        preparation: The frame, and how it reaches the grid of the network.
        kernels: Whether images may be left to the kernel; else all tensors are made here.
    """
    images: list[ImageInput] = []
    shapes: dict[str, tuple[int, ...]] = {}
    rest = []
    for spec in card.inputs:
        pictures = _pictures(spec, preparation) if kernels and not image_problem(spec) else ()
        if not pictures:
            rest.append(spec)
            continue
        made = [
            prepare_arguments(picture, preparation.plan, preparation.resize, spec)
            for picture in pictures
        ]
        width, height = preparation.plan.target
        planes = made[0].planes
        step = planes * width * height
        images += [
            ImageInput(spec.tensor, picture, arguments, index * step)
            for index, (picture, arguments) in enumerate(zip(pictures, made, strict=True))
        ]
        channels = planes * len(pictures)
        shapes[spec.tensor] = (
            (1, channels, height, width) if spec.layout == 'NCHW' else (1, height, width, channels)
        )
    return NetworkJob(tuple(images), tensors_from(tuple(rest), preparation), shapes)


def _pictures(spec: InputSpec, preparation: Preparation) -> tuple[Picture, ...]:
    frame = preparation.frame
    if spec.source == 'left':
        return (frame.image,)
    if spec.source not in _SIDES:
        return ()
    if not isinstance(frame, StereoFrame):
        raise ModelError(f'input {spec.tensor}: {spec.source} does not belong to this task')
    return (frame.right,) if spec.source == 'right' else (frame.left, frame.right)


def publication_problem(settings: EstimatorSettings) -> str:
    """Return why the settings in force keep judging and packing on the CPU; '' if they do not."""
    if settings.filters__speckle_area_px > 0:
        return 'the filter of speckles runs on the CPU'
    return ''


def publish_job(
    maps: tuple[AnyArray, SigmaMap, Mask | None],
    camera: PinholeCamera,
    picture: Picture | None,
    settings: EstimatorSettings,
    most_sigma: float,
) -> PublishJob:
    """Return how a metric map becomes depth, sigma and cloud.

    Args:
        maps: Inverse depth [1/m] and its sigma, (H, W) float32 each, and the sky or None.
        camera: Camera of the map.
        picture: Colours of the cloud; None: no cloud.
        settings: Range and filter.
        most_sigma: Greatest sigma_rho / rho of a known pixel.
    """
    width, height = camera.width, camera.height
    view = {'width': width, 'height': height, 'fx': camera.fx, 'fy': camera.fy,
            'cx': camera.cx, 'cy': camera.cy}  # fmt: skip
    if picture is not None:
        view['channels'] = 1 if picture.order == 'grey' else 3
        view['swap'] = int(picture.order == 'bgr')
    publish = PublishArguments(
        **view, map_width=width, map_height=height, scaled_width=width, scaled_height=height,
        kind=INVERSE, absolute=1, gain=1.0, s=1.0, most_sigma=most_sigma,
        rho_near=1.0 / settings.min_depth_m, rho_far=1.0 / settings.max_depth_m,
    )  # fmt: skip
    finish = None
    if settings.filters__flying_pixels:
        tangent = math.tan(math.radians(settings.filters__flying_angle_deg))
        finish = FinishArguments(
            **view, jump=settings.filters__flying_jump, grazing_x=camera.fx * tangent,
            grazing_y=camera.fy * tangent,
            sigmas=math.sqrt(2.0) * settings.filters__flying_sigmas,
        )  # fmt: skip
    rho, sigma_rho, far = maps
    return PublishJob(
        np.ascontiguousarray(rho, np.float32), np.ascontiguousarray(sigma_rho, np.float32), far,
        picture, publish, finish,
    )  # fmt: skip
