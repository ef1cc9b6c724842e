"""Compare what a kernel writes with its numpy twin, on pictures and maps that are invented."""

from __future__ import annotations

from dataclasses import replace

from depth_perception.core.frame import Picture
from depth_perception.core.types import AnyArray
from depth_perception.inference.frame_jobs import ImageInput, Published, PublishJob
from depth_perception.inference.kernel_twins import (
    camera_of,
    cloud_twin,
    finish_twin,
    prepare_twin,
    publish_twin,
    TYPES,
)
import numpy as np

_MOST_STEP = 1.2  # of 8 bits, where kernel and twin round the same number otherwise
_MOST_STEPS = 0.03  # share of numbers for which that may be
_RTOL = 1e-4
_MOST_WRONG = 0.002  # share of pixels, at the edge between two codes


def probe_picture(like: Picture, seed: int) -> Picture:
    """Return slopes, edges and noise of the size and order of a picture."""
    random = np.random.default_rng(30_260 + seed)
    height, width = like.pixels.shape[:2]
    slope = np.add.outer(np.linspace(0.0, 120.0, height), np.linspace(0.0, 90.0, width))
    slope[:, width // 2 :] += 40.0 * (seed + 1) % 80.0
    tints = np.array([1.0, 0.7, 0.4]) if like.pixels.ndim == 3 else np.ones(())
    pixels = slope[..., None] * tints if tints.ndim else slope
    pixels = pixels + random.integers(0, 50, pixels.shape)
    return Picture(np.clip(pixels, 0.0, 255.0).astype(np.uint8), like.order)


def image_difference(image: ImageInput, found: AnyArray) -> str:
    """Return how a tensor differs from what the twin makes of the same picture; '' if not at all.

    Args:
        image: Picture and arguments.
        found: (N,) what the kernel wrote, in its order; numbers beyond the tensor do not count.
    """
    wanted = prepare_twin(image.picture.pixels, image.arguments).reshape(-1)
    gain = max(image.arguments.gain) if TYPES[image.arguments.type] != 'uint8' else 1.0
    step = np.abs(found[: wanted.size].astype(np.float64) - wanted) / gain
    if not np.isfinite(step).all():
        return 'is not finite'
    worst, share = float(step.max()), float((step > 0.01 + _half_step(wanted, gain)).mean())
    if worst <= _MOST_STEP and share <= _MOST_STEPS:
        return ''
    return f'differs by up to {worst:.3g} of 255, and in {share:.1%}'


def _half_step(wanted: AnyArray, gain: float) -> float:
    """Return the spacing of half precision in units of 8 bits; 0 for other types."""
    if wanted.dtype != np.float16:
        return 0.0
    return float(np.spacing(np.abs(wanted).max())) / gain


def probe_job(like: PublishJob) -> PublishJob:
    """Return a map of the size of a job, from too far to too near, with holes, sky and edges."""
    height, width = like.rho.shape
    low, high = 0.7 * like.publish.rho_far, 1.2 * like.publish.rho_near
    across, down = np.linspace(0.0, 1.0, width), np.linspace(0.0, 1.0, height)[:, None]
    rho = low * (high / low) ** (0.5 * across + 0.5 * down)
    rho += 0.05 * rho * np.sin(np.arange(width) / 3.0)
    rho[: height // 2, width // 3] *= 1.5
    rho[height // 3 : height // 3 + 2, : width // 2] = np.nan
    sigma = rho * like.publish.most_sigma * (0.05 + 1.1 * across * down)
    far = None
    if like.far is not None:
        far = np.zeros(like.rho.shape, np.bool_)
        far[: height // 8] = True
    picture = None if like.picture is None else probe_picture(like.picture, 0)
    return replace(
        like, rho=rho.astype(np.float32), sigma_rho=sigma.astype(np.float32), far=far,
        picture=picture,
    )  # fmt: skip


def publish_difference(job: PublishJob, found: Published) -> str:
    """Return how depth, sigma or cloud differ from what the twins make; '' if they do not."""
    depth, sigma = publish_twin(job.rho, job.publish, score=job.sigma_rho, far=job.far)
    if job.finish is not None:
        depth, sigma = finish_twin(depth, sigma, job.finish)
    for name, wanted, one in (('depth', depth, found.depth), ('sigma', sigma, found.sigma)):
        wrong = float((~np.isclose(one, wanted, rtol=_RTOL, atol=0.0, equal_nan=True)).mean())
        if wrong > _MOST_WRONG:
            return f'the {name} differs in {wrong:.1%} of the pixels'
    if found.cloud is None or job.picture is None:
        return ''
    packed = cloud_twin(found.depth, found.sigma, camera_of(job.publish), job.picture)
    if not np.array_equal(found.cloud[..., 3], packed[..., 3]):
        return 'the cloud has other colours'
    numbers = [0, 1, 2, 4]
    same = np.isclose(
        found.cloud.view(np.float32)[..., numbers], packed.view(np.float32)[..., numbers],
        rtol=_RTOL, atol=1e-5, equal_nan=True,
    )  # fmt: skip
    return '' if bool(same.all()) else f'the cloud differs in {float((~same).mean()):.1%}'
