"""The report as data: runs, summaries over frames and runs, and where everything came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
import importlib.metadata
import math
import os
from pathlib import Path
import platform
from typing import Any

import depth_perception
from depth_perception.evaluation.bootstrap import mean_intervals, pooled_interval
from depth_perception.evaluation.catalogue import METRICS, pooled_value
from depth_perception.evaluation.records import FrameRecord, plain
from depth_perception.evaluation.report_reader import SCHEMA, VERSION
import numpy as np
from numpy.typing import NDArray

_POOLED = frozenset(metric.sums for metric in METRICS.values() if metric.sums)
_PACKAGES = ('numpy', 'opencv-python-headless', 'onnxruntime', 'scipy', 'rosbags')


def columns_of(records: Iterable[FrameRecord]) -> dict[str, Any]:
    """Return stamps, columns and sums of the frames that were served, and the drops by cause.

    Under 'pooled' are the vectors of every frame that pooled figures are made of.

    Sums are added frame by frame in order, so that they do not depend on who worked when.
    """
    stamps: list[int] = []
    columns: dict[str, list[float]] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    drops: dict[str, int] = {}
    pooled: dict[str, list[list[float]]] = {}
    for record in records:
        if record.drop:
            drops[record.drop] = drops.get(record.drop, 0) + 1
            continue
        for key, value in record.scalars.items():
            column = columns.setdefault(key, [math.nan] * len(stamps))
            column.append(value)
        stamps.append(record.stamp_ns)
        for column in columns.values():
            if len(column) < len(stamps):
                column.append(math.nan)
        for key, vector in record.vectors.items():
            before = sums.get(key)
            added = np.asarray(vector, np.float64)
            sums[key] = added if before is None else before + added
            if key.partition('/')[2] in _POOLED:
                pooled.setdefault(key, []).append(vector)
    return {
        'stamps_ns': stamps,
        'columns': columns,
        'sums': {key: vector.tolist() for key, vector in sums.items()},
        'drops': dict(sorted(drops.items())),
        'pooled': pooled,
    }


def summary_of(model: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the summary of one model over all of its runs, in their order."""
    sums = _added([run['sums'] for run in runs])
    lengths = [len(run['stamps_ns']) for run in runs]
    keys = list(dict.fromkeys(key for run in runs for key in run['columns']))
    means = [key for key in keys if METRICS[key.partition('/')[2]].kind == 'mean']
    table = {key: _joined(key, runs) for key in keys}
    metrics: dict[str, Any] = {}
    if means:
        intervals = mean_intervals(np.stack([table[key] for key in means]), runs=lengths)
        for key, (low, high) in zip(means, intervals, strict=True):
            metrics[key] = _mean(table[key], float(low), float(high))
    for key in keys:
        kind = METRICS[key.partition('/')[2]].kind
        if kind == 'percentile':
            metrics[key] = _percentiles(table[key][np.isfinite(table[key])])
        elif kind == 'pooled':
            metrics[key] = _pooled(key, table[key], runs, sums)
    return {
        'model': model,
        'frames': sum(lengths),
        'metrics': {**{key: metrics[key] for key in keys}, **_run_metrics(runs)},
        'sums': {key: vector.tolist() for key, vector in sums.items()},
    }


def _joined(key: str, runs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Return the column of a metric over the frames of all runs, NaN where it is not defined."""
    parts = [
        np.asarray(run['columns'].get(key, [math.nan] * len(run['stamps_ns'])), np.float64)
        for run in runs
    ]
    return np.concatenate(parts)


def _added(parts: Iterable[Mapping[str, list[float]]]) -> dict[str, NDArray[np.float64]]:
    total: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        for key, vector in part.items():
            added = np.asarray(vector, np.float64)
            total[key] = total[key] + added if key in total else added
    return total


def _mean(values: NDArray[np.float64], low: float, high: float) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    value = float(finite.mean()) if finite.size else math.nan
    return {'value': value, 'low': low, 'high': high, 'frames': int(finite.size), 'kind': 'mean'}


def _pooled(
    key: str,
    values: NDArray[np.float64],
    runs: Sequence[Mapping[str, Any]],
    sums: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return a metric that is a quotient of sums over all frames."""
    label, _, name = key.partition('/')
    metric = METRICS[name]
    vector = sums.get(f'{label}/{metric.sums}')
    pairs = [np.asarray(run['pooled'].get(f'{label}/{metric.sums}', []), float) for run in runs]
    pairs = [part.reshape(-1, 2) for part in pairs]
    low, high = pooled_interval([p[:, 0] for p in pairs], [p[:, 1] for p in pairs])
    return {
        'value': math.nan if vector is None else pooled_value(metric, vector.tolist()),
        'low': metric.factor * low,
        'high': metric.factor * high,
        'frames': int(np.isfinite(values).sum()),
        'kind': 'pooled',
    }


def _percentiles(values: NDArray[np.float64]) -> dict[str, Any]:
    names = ('p50', 'p95', 'p99')
    if not values.size:
        found = dict.fromkeys((*names, 'max'), math.nan)
    else:
        found = {name: float(np.percentile(values, int(name[1:]))) for name in names}
        found['max'] = float(values.max())
    return {'value': found['p50'], **found, 'frames': int(values.size), 'kind': 'percentile'}


def _run_metrics(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metrics that a run has as a whole: means over runs, weighted by frames."""
    names = dict.fromkeys(name for run in runs for name in run.get('totals', {}))
    found = {}
    for name in names:
        pairs = [
            (float(run['totals'][name]), len(run['stamps_ns']))
            for run in runs
            if run.get('totals', {}).get(name) is not None and math.isfinite(run['totals'][name])
        ]
        weight = sum(frames for _, frames in pairs)
        value = sum(value * frames for value, frames in pairs) / weight if weight else math.nan
        found[name] = {
            'value': value,
            'low': math.nan,
            'high': math.nan,
            'frames': weight,
            'kind': 'run',
        }
    return found


def simulated_drop_rate(stamps_ns: Sequence[int], service_ms: Sequence[float]) -> float:
    """Return the share of frames that a live node of this speed would not have served.

    The node hands frames over through one slot, the newest wins: while one frame is served, of
    those that arrive only the last one is kept.

    Args:
        stamps_ns: When frames arrive, rising [ns]; a fall back starts afresh.
        service_ms: How long each takes [ms].
    """
    free_ns = served = 0
    waiting: int | None = None
    for index, stamp_ns in enumerate(stamps_ns):
        if index and stamp_ns < stamps_ns[index - 1]:
            served += waiting is not None
            free_ns, waiting = 0, None
        if waiting is not None and free_ns <= stamp_ns:
            free_ns += round(service_ms[waiting] * 1e6)
            served, waiting = served + 1, None
        if free_ns <= stamp_ns:
            free_ns = stamp_ns + round(service_ms[index] * 1e6)
            served += 1
        else:
            waiting = index
    served += waiting is not None
    return 1.0 - served / len(stamps_ns) if stamps_ns else math.nan


def provenance(device: str) -> dict[str, Any]:
    """Return the versions and the machine that the figures were made with."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package.removesuffix('-python-headless')] = importlib.metadata.version(
                package
            )
        except importlib.metadata.PackageNotFoundError:
            versions[package.removesuffix('-python-headless')] = _version_without_pip(package)
    return {
        'depth_perception': depth_perception.__version__,
        'python': platform.python_version(),
        **versions,
        'machine': platform.platform(),
        'cpu': _cpu_name(),
        'cores': len(os.sched_getaffinity(0)),
        'device': device,
    }


def _version_without_pip(package: str) -> str:
    """Return the version of a package that pip does not know, e.g. OpenCV of apt."""
    if package.startswith('opencv'):
        try:
            import cv2
        except ImportError:
            return 'not installed'
        return str(cv2.__version__)
    return 'not installed'


def _cpu_name() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return platform.processor()
    return next((ln.split(':', 1)[1].strip() for ln in lines if ln.startswith('model name')), '')


def assembled(
    *,
    command: Sequence[str],
    options: Mapping[str, Any],
    bags: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    device: str,
) -> dict[str, Any]:
    """Return the whole report, ready for JSON."""
    summaries = [
        summary_of(str(model['id']), [run for run in runs if run['model'] == model['id']])
        for model in models
    ]
    now = datetime.now(timezone.utc).replace(microsecond=0)
    report: dict[str, Any] = plain(
        {
            'schema': SCHEMA,
            'version': VERSION,
            'created_utc': now.isoformat().replace('+00:00', 'Z'),
            'command': list(command),
            'provenance': provenance(device),
            'options': options,
            'bags': list(bags),
            'models': list(models),
            'runs': [{k: v for k, v in run.items() if k != 'pooled'} for run in runs],
            'summary': summaries,
        }
    )
    return report
