"""Cloud packing against a memcpy of the same bytes, and against sensor_msgs_py where installed."""

from __future__ import annotations

import array
from collections.abc import Callable
import time
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.cloud import cloud_size, pack_cloud
from depth_perception.core.frame import Picture
from depth_perception.inference.cloud_packer import pack_cloud_fast
import numpy as np

WIDTH, HEIGHT = 640, 480
REPEATS = 60
FLUSH_BYTES = 96 << 20


def median_ms(run: Callable[[], Any], flush: np.ndarray[Any, Any] | None) -> float:
    """Return the median duration [ms]; with `flush`, the caches are emptied before each run."""
    run()
    durations = []
    for _ in range(REPEATS):
        if flush is not None:
            flush[::64] += 1
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return float(np.median(durations)) * 1e3


def measure() -> dict[str, float]:
    """Return durations [ms] and their ratios to the memcpy of the same run.

    `warm` repeats the same buffers, which then live in the cache. `cold` empties the caches in
    between, as a matcher or a network does that streams some ten megabytes per frame; that is
    what the node sees.
    """
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 9.0, (HEIGHT, WIDTH)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    sigma = depth * np.float32(0.01)
    camera = PinholeCamera(WIDTH, HEIGHT, 500.0, 500.0, 319.5, 239.5)
    picture = Picture(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), 'rgb')
    out = array.array('B', bytes(cloud_size(camera)))
    source, target = np.ones(cloud_size(camera), np.uint8), np.ones(cloud_size(camera), np.uint8)
    runs: dict[str, Callable[[], Any]] = {
        'memcpy': lambda: np.copyto(target, source),
        'pack_cloud_fast': lambda: pack_cloud_fast(depth, sigma, camera, picture, out),
        'pack_cloud': lambda: pack_cloud(depth, sigma, camera, picture, out),
    }
    create = _create_cloud(depth, sigma, camera)
    if create is not None:
        runs['sensor_msgs_py'] = create
    result: dict[str, float] = {}
    flush = np.ones(FLUSH_BYTES, np.uint8)
    for state, buffer in (('warm', None), ('cold', flush)):
        for name, run in runs.items():
            result[f'{name}_{state}_ms'] = median_ms(run, buffer)
            result[f'{name}_{state}_ratio'] = (
                result[f'{name}_{state}_ms'] / result[f'memcpy_{state}_ms']
            )
    return result


def _create_cloud(
    depth: np.ndarray[Any, Any], sigma: np.ndarray[Any, Any], camera: PinholeCamera
) -> Callable[[], Any] | None:
    """Return the same work done with sensor_msgs_py.create_cloud, or None without it."""
    try:
        from sensor_msgs.msg import PointField
        from sensor_msgs_py.point_cloud2 import create_cloud
        from std_msgs.msg import Header
    except ImportError:
        return None
    names = ('x', 'y', 'z', 'rgb', 'uncertainty')
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(names)
    ]

    def run() -> Any:
        points = np.empty((HEIGHT * WIDTH, 5), np.float32)
        points[:, 0] = (depth * camera.ray_x).ravel()
        points[:, 1] = (depth * camera.ray_y[:, None]).ravel()
        points[:, 2] = depth.ravel()
        points[:, 4] = sigma.ravel()
        return create_cloud(Header(), fields, points)

    return run
