"""The files that `depth_perception infer` writes."""

from __future__ import annotations

from dataclasses import asdict
import json
import math
from pathlib import Path
import platform
from typing import Any

import depth_perception
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, StereoFrame
from depth_perception.core.summary import summarise
from depth_perception.core.types import AnyArray
from depth_perception.errors import RecordingError
from depth_perception.evaluation.pictures import (
    colourise,
    depth_mm_from_depth,
    depth_scale,
    opencv,
    render_cloud,
    sigma_scale,
    with_colour_bar,
    write_image,
)
from depth_perception.evaluation.ply import points_of, write_ply
from depth_perception.parameters import EstimatorSettings
import numpy as np


def write_results(
    folder: Path,
    frame: MonoFrame | StereoFrame,
    estimate: DepthEstimate,
    settings: EstimatorSettings,
    facts: dict[str, str],
) -> str:
    """Write arrays, pictures, cloud and result.json into `folder`, and return a line about them.

    The image of the frame must be RGB.

    Raises:
        RecordingError: If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_arrays(folder, estimate)
        points = _write_pictures(folder, frame, estimate)
        result = _result(estimate, settings, facts) | {'points': points}
        text = json.dumps(_plain(result), indent=2, allow_nan=False)
        (folder / 'result.json').write_text(text + '\n', encoding='utf-8')
    except OSError as error:
        raise RecordingError(f'cannot write into {folder}: {error}') from error
    summary = summarise(estimate, stride=1)
    total_ms = sum(estimate.timings_ms.values())
    return (
        f'{folder}: {summary.valid_percent:.1f} % of the pixels have a depth, '
        f'median sigma {100 * summary.median_relative_sigma:.2f} % of it, '
        f'{facts["model"]} took {total_ms:.0f} ms'
    )


def _write_arrays(folder: Path, estimate: DepthEstimate) -> None:
    np.save(folder / 'depth.npy', estimate.depth)
    np.save(folder / 'sigma.npy', estimate.sigma)
    if estimate.disparity is not None:
        np.save(folder / 'disparity.npy', estimate.disparity.values)


def _write_pictures(folder: Path, frame: MonoFrame | StereoFrame, estimate: DepthEstimate) -> int:
    """Write pictures and cloud, and return the number of points."""
    rgb = frame.image.pixels
    depths, sigmas = depth_scale([estimate.depth]), sigma_scale(estimate.sigma)
    pictures: dict[str, AnyArray] = {
        'input.png': rgb,
        'depth.png': with_colour_bar(colourise(estimate.depth, depths), depths, 'Depth'),
        'sigma.png': with_colour_bar(
            colourise(estimate.sigma, sigmas), sigmas, 'Standard deviation of depth'
        ),
        'cloud.png': render_cloud(estimate.depth, rgb, estimate.camera),
        'depth_mm.png': depth_mm_from_depth(estimate.depth),
    }
    for name, pixels in pictures.items():
        write_image(folder / name, pixels)
    points = points_of(estimate.depth, estimate.sigma, rgb, estimate.camera)
    write_ply(folder / 'cloud.ply', points)
    return int(points.size)


def _result(
    estimate: DepthEstimate, settings: EstimatorSettings, facts: dict[str, str]
) -> dict[str, Any]:
    known = estimate.depth[estimate.valid]
    summary = summarise(estimate, stride=1)
    percentiles = np.percentile(known, (1, 50, 99)) if known.size else np.full(3, np.nan)
    return {
        **facts,
        'scale': {**asdict(estimate.scale), 'rung': estimate.scale.rung.value},
        'camera': asdict(estimate.camera),
        'statistics': {
            'valid_percent': summary.valid_percent,
            'median_relative_sigma': summary.median_relative_sigma,
            'depth_m': dict(zip(('p1', 'p50', 'p99'), map(float, percentiles), strict=True)),
            'beyond_range_percent': 100.0 * float(estimate.far.mean()),
            'too_near_percent': 100.0 * float(np.isneginf(estimate.depth).mean()),
        },
        'timings_ms': dict(estimate.timings_ms),
        'settings': {name.replace('__', '.'): value for name, value in asdict(settings).items()},
        'versions': {
            'depth_perception': depth_perception.__version__,
            'python': platform.python_version(),
            'numpy': np.__version__,
            'opencv': opencv().__version__,
        },
    }


def _plain(value: Any) -> Any:
    """Return JSON values: what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
