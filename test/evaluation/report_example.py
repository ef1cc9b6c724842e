"""A report as `evaluate` writes it: three models, two bags, hostile names, figures that lack."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.evaluation.bootstrap import mean_intervals
from depth_perception.evaluation.measures.depth import depth_measures, range_sums
from depth_perception.evaluation.measures.sigma import sigma_figures
import numpy as np

EDGES_M = (0.0, 2.0, 5.0, 10.0, 20.0)
HOSTILE = '<script>alert("x")</script>|`*_[a](https://e.org) @all'
# name, noise in 1/Z [1/m], factor of the claimed sigma, scale, coverage, latency [ms]
MODELS = (
    ('sgbm', 0.004, 1.1, 1.0, 0.78, 48.0),
    (HOSTILE, 0.012, 0.6, 1.04, 0.99, 13.0),
    ('depth-anything-metric-indoor', 0.009, 1.8, 0.97, 1.0, 160.0),
)
CAMERA = PinholeCamera(160, 120, 130.0, 130.0, 80.0, 60.0)


def scene(seed):
    """Return truth (H, W) [m] of a room with a box, and a picture of it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:120, 0:160]
    truth = np.minimum(130.0 * 1.2 / np.maximum(rows - 60, 1e-3), 14.0).astype(np.float32)
    left = 30 + seed % 40
    truth[40:100, left : left + 50] = 3.5
    truth[:30, 110:] = 8.0
    truth[(columns % 53 == 0) | (rows < 3)] = np.nan
    texture = rng.integers(0, 40, (120, 160))
    tone = np.nan_to_num(255.0 * np.exp(-truth / 8.0)) + texture
    rgb = np.stack([tone, 0.8 * tone + 20, 0.6 * tone + 40], -1)
    return truth, np.clip(rgb, 0, 255).astype(np.uint8)


def estimate_of(model, truth, seed):
    """Return what a model makes of the truth."""
    _, noise, claimed, scale, coverage, _ = model
    rng = np.random.default_rng(seed)
    spread = noise * np.exp(rng.normal(0.0, 0.5, truth.shape))
    whole = np.where(np.isfinite(truth), truth, 9.0)
    wobble = scale * (1.0 + 0.02 * math.sin(seed))
    rho = 1.0 / whole / wobble + spread * rng.normal(size=truth.shape)
    depth = (1.0 / np.clip(rho, 1 / 40.0, 10.0)).astype(np.float32)
    sigma = (claimed * spread * depth**2).astype(np.float32)
    missing = rng.random(truth.shape) > coverage
    depth[missing] = np.nan
    sigma[missing] = np.nan
    return DepthEstimate(depth, sigma, np.isfinite(depth), CAMERA, Scale(Rung.NETWORK))


def _run(model, bag, frames, start):
    columns, sums, stamps = {}, {}, []
    rng = np.random.default_rng(start)
    for frame in range(frames):
        truth, _ = scene(start + frame)
        found = estimate_of(model, truth, start + frame)
        mask = np.isfinite(truth)
        figures = sigma_figures(found.depth, found.sigma, truth, mask)
        scalars = {**depth_measures(found.depth, truth, mask), **figures.scalars}
        scalars['scale'] = float(np.median(truth[mask]) / np.nanmedian(found.depth[mask]))
        scalars['latency_ms'] = model[5] * float(np.exp(abs(rng.normal(0.0, 0.2))))
        if frame == 3:  # a frame without truth
            scalars = dict.fromkeys(scalars, math.nan) | {'latency_ms': scalars['latency_ms']}
        for name, value in scalars.items():
            shown = value if math.isfinite(value) else None
            columns.setdefault(f'online/{name}', []).append(shown)
        if scalars['abs_rel'] is not None and frame != 3:
            columns.setdefault('median/abs_rel', []).append(0.9 * scalars['abs_rel'])
            vectors = {**figures.sums, **range_sums(found.depth, truth, mask, EDGES_M)}
            for name, vector in vectors.items():
                old = sums.get(f'online/{name}', [0.0] * len(vector))
                sums[f'online/{name}'] = [a + b for a, b in zip(old, vector, strict=True)]
        elif frame == 3:
            columns.setdefault('median/abs_rel', []).append(None)
        stamps.append(1_700_000_000_000_000_000 + frame * 100_000_000)
    return {
        'model': model[0],
        'bag': bag,
        'camera': '/left/image_rect',
        'calibration': {
            'width': 160,
            'height': 120,
            'fx_px': 130.0,
            'fy_px': 130.0,
            'cx_px': 80.0,
            'cy_px': 60.0,
            'baseline_m': 0.12,
            'doffs_px': 0.0,
        },
        'truth': {'kind': 'depth_image', 'topic': '/truth/<b>depth</b>'},
        'backend': 'onnxruntime 1.20, CPU',
        'status': 'complete',
        'error': None,
        'frames_in': frames + 2,
        'frames_out': frames,
        'drops': {'truncated': 2},
        'warnings': ['frames dropped (truncated), e.g.: 12 of 100 bytes of <img src=x>'],
        'totals': {'online/drop_rate': 2 / (frames + 2)},
        'stamps_ns': stamps,
        'columns': columns,
        'sums': sums,
        'pictures': [],
    }


def _failed(run):
    empty = {'columns': {}, 'sums': {}, 'stamps_ns': [], 'totals': {}, 'drops': {}}
    lost = {'status': 'failed', 'error': 'no such <tensor>', 'frames_in': 0, 'frames_out': 0}
    return {**run, **empty, **lost, 'calibration': {}, 'warnings': []}


def _summary(model, runs):
    keys = {key for run in runs for key in run['columns']}
    metrics, sums = {}, {}
    for key in sorted(keys):
        values = [v for run in runs for v in run['columns'].get(key, []) if v is not None]
        metrics[key] = _entry(key, np.array(values, float), len(values))
    for run in runs:
        for key, vector in run['sums'].items():
            old = sums.get(key, [0.0] * len(vector))
            sums[key] = [a + b for a, b in zip(old, vector, strict=True)]
    metrics['online/tae_pct'] = {'value': None, 'low': None, 'high': None, 'frames': 0}
    metrics['online/drop_rate'] = {'value': 0.1, 'frames': 24, 'kind': 'run'}
    frames = sum(run['frames_out'] for run in runs)
    return {'model': model, 'frames': frames, 'metrics': metrics, 'sums': sums}


def _entry(key, values, frames):
    if key.endswith('_ms'):
        found = {name: float(np.percentile(values, int(name[1:]))) for name in ('p50', 'p95')}
        found |= {'p99': float(np.percentile(values, 99)), 'max': float(values.max())}
        return {'value': found['p50'], **found, 'frames': frames, 'kind': 'percentile'}
    ((low, high),) = mean_intervals(values[None, :])
    low, high = float(low), float(high)
    mean = float(values.mean())
    return {'value': mean, 'low': low, 'high': high, 'frames': frames, 'kind': 'mean'}


def example():
    """Return the report."""
    bags = (('motorcycle', 16, 100), ('yard "<b>"', 8, 500))
    runs = [_run(model, name, n, start) for name, n, start in bags for model in MODELS]
    runs[-1] = _failed(runs[-1])
    return {
        'schema': 'depth_perception.evaluation',
        'version': 1,
        'created_utc': '2026-01-02T03:04:05Z',
        'command': ['evaluate', 'motorcycle', 'yard', '--model', 'sgbm'],
        'provenance': {'depth_perception': '0.1.0', 'cpu': 'A processor', 'cores': 2},
        'options': {'alignments': ['online', 'median'], 'range_edges_m': EDGES_M, 'max_m': None},
        'bags': [
            {
                'name': name,
                'sha256': f'{i}f' * 32,
                'storage': 'mcap',
                'bytes': 123456789,
                'duration_s': n / 10,
                'messages': 9 * n,
                'warnings': ['2 messages are damaged'] if i else [],
                'error': None,
            }
            for i, (name, n, _) in enumerate(bags)
        ],
        'models': [
            {
                'id': model[0],
                'task': 'mono' if i else 'stereo',
                'title': 'A model',
                'sha256': 'ab' * 32,
                'artifact_sha256': None,
                'licence': 'CC-BY-NC-4.0' if i else 'Apache-2.0',
                'commercial': i == 0,
                'backend': 'onnxruntime 1.20, CPU',
                'settings': {'filters.temporal_weight': 0.5} if i else {},
            }
            for i, model in enumerate(MODELS)
        ],
        'runs': runs,
        'summary': [_summary(m[0], [r for r in runs if r['model'] == m[0]]) for m in MODELS],
        'gates': [
            {
                'gate': 'abs_rel>0.1',
                'model': 'sgbm',
                'value': 0.02,
                'failed': False,
                'reason': 'a',
            },
            {'gate': 'latency_ms.p95>50', 'model': HOSTILE, 'value': None, 'failed': True}
            | {'reason': 'no data: <none>'},
        ],
    }
