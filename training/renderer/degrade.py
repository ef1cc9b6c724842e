"""Faults of real cameras: exposure, blur, noise, compression, imperfect rectification."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.renderer.pair import Pair

Image = NDArray[np.uint8]
Random = np.random.Generator


def _tone(rng: Random, shared: tuple[float, float], strength: float) -> NDArray[np.uint8]:
    """Draw tables (256, 3) of exposure, gamma, contrast and white balance about shared ones."""
    x = np.linspace(0, 1, 256)[:, None]
    gain = np.exp(shared[0] + rng.normal(0, 0.06 * strength) + rng.normal(0, 0.03 * strength, 3))
    gamma = np.exp(shared[1] + rng.normal(0, 0.04 * strength))
    offset = rng.normal(0, 0.01 * strength)
    return np.clip(((x * gain) ** gamma + offset) * 255 + 0.5, 0, 255).astype(np.uint8)


def _blur(image: Image, sigma: float) -> Image:
    return image if sigma < 0.3 else cv2.GaussianBlur(image, (0, 0), sigma)


def _motion(image: Image, length: float, angle: float) -> Image:
    if length < 1.2:
        return image
    n = int(np.ceil(length)) | 1
    kernel = np.zeros((n, n), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (n // 2)
    middle = n // 2
    a = (round(float(middle - reach[0])), round(float(middle - reach[1])))
    b = (round(float(middle + reach[0])), round(float(middle + reach[1])))
    cv2.line(kernel, a, b, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _vignette(rng: Random, image: Image, strength: float) -> Image:
    height, width = image.shape[:2]
    x = (np.arange(width, dtype=np.float32) / width - 0.5 - np.float32(rng.normal(0, 0.03))) ** 2
    y = (np.arange(height, dtype=np.float32) / height - 0.5 - np.float32(rng.normal(0, 0.03))) ** 2
    gain = np.clip(256 - 256 * strength * (y[:, None] + x[None]), 0, 256).astype(np.uint16)
    return (image * gain[..., None] >> 8).astype(np.uint8)


_NOISE: dict[int, NDArray[np.int8]] = {}


def _noise(rng: Random, image: Image, read: float, shot: float) -> Image:
    """Add Gaussian noise whose variance grows with brightness, read off a fixed sheet."""
    if 0 not in _NOISE:
        sheet = np.random.default_rng(0).normal(0, 32, 1 << 22)
        _NOISE[0] = np.clip(sheet, -127, 127).astype(np.int8)
    start = int(rng.integers(0, (1 << 22) - image.size)) if image.size < 1 << 22 else 0
    sheet = np.resize(_NOISE[0][start:], image.size).reshape(image.shape)
    levels = np.arange(256, dtype=np.float32)
    sigma = (np.sqrt(read**2 + shot**2 * levels / 255) / 32 * 256).astype(np.int16)
    product = (sigma[image].astype(np.int32) * sheet + 128) >> 8
    return np.clip(image + product, 0, 255).astype(np.uint8)


def _misrectify(rng: Random, image: Image) -> Image:
    """Turn, scale and shift an image by what a calibration leaves: under a pixel or so vertically.

    The horizontal part is smaller yet: it would make the truth wrong.
    """
    height, width = image.shape[:2]
    s = rng.choice([0.15, 0.4, 0.8])
    turn, scale = rng.normal(0, s) / width, 1 + rng.normal(0, s) / width
    centre = np.array([width / 2, height / 2])
    a = np.array([(1.0, -turn), (turn, scale)])
    b = centre - a @ centre + np.array([0.0, rng.normal(0, s * 0.7)])
    matrix = np.c_[a, b]
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def degrade(pair: Pair, rng: Random) -> tuple[Image, Image]:
    """Take the pictures of a pair with faulty cameras; uint8 RGB (H, W, 3) each.

    Each fault is there in some samples only, and partly differs between the two cameras.
    """
    return degrade_images(pair.left, pair.right, rng)


def degrade_images(left: Image, right: Image, rng: Random) -> tuple[Image, Image]:
    """Do what degrade does, with images that need not come from a Pair."""
    if rng.random() < 0.5:
        right = _misrectify(rng, right)
    shared = (float(rng.normal(0, 0.25)), float(rng.normal(0, 0.2)))
    mismatch = float(rng.choice([0.0, 1.0, 1.0, 3.0]))
    blur = abs(float(rng.normal(0, 0.6))) if rng.random() < 0.5 else 0.0
    length, angle = (
        (rng.uniform(1, 6), rng.uniform(0, np.pi)) if rng.random() < 0.1 else (0.0, 0.0)
    )
    vignette = rng.uniform(0, 1) if rng.random() < 0.3 else 0.0
    read, shot = np.exp(rng.uniform(-1.5, 1.9)), np.exp(rng.uniform(-1.5, 2.2))
    noisy = rng.random() < 0.75
    quality = int(rng.uniform(35, 98)) if rng.random() < 0.35 else 0
    out = []
    for clean in (left, right):
        sigma = blur + (abs(float(rng.normal(0, 0.3))) if blur else 0.0)
        taken = _motion(_blur(clean, sigma), length, angle)
        taken = cv2.LUT(taken, _tone(rng, shared, mismatch)[None])
        if vignette:
            taken = _vignette(rng, taken, vignette)
        if noisy:
            taken = _noise(rng, taken, read, shot)
        if quality:
            coded = cv2.imencode('.jpg', taken, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
            taken = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        out.append(taken)
    return out[0], out[1]
