"""The raw score of a model that has no other: its own sigma, before any calibration."""

from __future__ import annotations

from dataclasses import replace

from depth_perception.core.estimate import RawScore
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, SigmaMap
from depth_perception.inference.decode import Decoded
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.relative import Relative
import numpy as np

NAME = 'sigma'
_ROWS_PER_BLOCK = 64  # rows whose temporaries stay in the cache


def disparity_score(sigma_rho: SigmaMap, rig: StereoRig) -> RawScore:
    """Return sigma of the disparity [px] as the score of a stereo model."""
    values: SigmaMap = np.multiply(sigma_rho, np.float32(rig.focal_baseline), dtype=np.float32)
    return RawScore(values, NAME, 'disparity_px')


def with_relative_score(raw: RawEstimate, decoded: Decoded | Relative) -> RawEstimate:
    """Return a metric estimate of a network on one image with its score, sigma of ln Z.

    What its sigma has beyond that is the part of scale and floor, unless that is known already.
    """
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        values = _relative_sigma(raw, decoded).astype(np.float32, copy=False)
        if raw.shared_sigma_rho is not None:
            return replace(raw, score=RawScore(values, NAME, 'log_depth'))
        shared = np.empty_like(raw.sigma_rho)
        for top in range(0, len(shared), _ROWS_PER_BLOCK):
            rows = slice(top, top + _ROWS_PER_BLOCK)
            part = np.square(raw.sigma_rho[rows], out=shared[rows])
            part -= np.square(values[rows] * raw.rho[rows])
            np.maximum(part, np.float32(0.0), out=part)
            np.sqrt(part, out=part)
    return replace(raw, score=RawScore(values, NAME, 'log_depth'), shared_sigma_rho=shared)


def _relative_sigma(raw: RawEstimate, decoded: Decoded | Relative) -> AnyArray:
    if isinstance(decoded, Decoded):
        return decoded.sigma_rho / np.abs(decoded.rho)
    floor = np.broadcast_to(decoded.relative_sigma, raw.rho.shape)
    if decoded.sigma.ndim == 0 and float(decoded.sigma) == 0.0:
        return floor
    gain = np.float32(abs(raw.scale.s))
    own = gain * decoded.sigma
    own = own / raw.rho if decoded.domain == 'inverse_depth' else own * raw.rho
    return np.asarray(np.sqrt(np.square(own) + np.square(floor)))
