"""What references cost per 640x480 frame: from the message to points in the image, with TF.

python benchmark/bench_references.py [--json FILE]
"""

from __future__ import annotations

import argparse
from array import array
import json
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.references import DEPTH, POINTS, ReferenceBuffer
from depth_perception.parameters import MonoSettings
import numpy as np
from numpy.typing import NDArray

CAMERA = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)
NOW_NS = 1_700_000_000 * 10**9
ROUNDS = 50
LIMITS_MS = {'2000 landmarks': 1.0, '64 lines x 2048': 10.0, '131072 points in view': 10.0}
LASER_IN_EYE = ('eye', 'laser', (0.05, -0.3, -0.1), (0.5, -0.5, 0.5, 0.5))
DEPTH_IN_EYE = ('eye', 'depth', (0.05, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def header(frame: str) -> SimpleNamespace:
    """Return a header stamped now."""
    stamp = SimpleNamespace(sec=NOW_NS // 10**9, nanosec=0)
    return SimpleNamespace(frame_id=frame, stamp=stamp)


def cloud_of(points: NDArray[np.float32]) -> SimpleNamespace:
    """Return (N, 3) points as a cloud of a laser: x, y, z, intensity."""
    table = np.zeros((len(points), 4), '<f4')
    table[:, :3] = points
    fields = [
        SimpleNamespace(name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate(('x', 'y', 'z', 'intensity'))
    ]
    return SimpleNamespace(
        header=header('laser'),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=array('B', table.tobytes()),
    )


def scan(lines: int, columns: int, half_fov_deg: float) -> NDArray[np.float32]:
    """Return what a turning laser measures in a round room."""
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    elevation = np.radians(np.linspace(-half_fov_deg, half_fov_deg, lines))
    a, e = np.meshgrid(azimuth, elevation)
    reach = 6.0 + 2.0 * np.sin(5.0 * a)
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
    return (reach[..., None] * rays).reshape(-1, 3).astype(np.float32)


def in_view(count: int) -> NDArray[np.float32]:
    """Return random points ahead of a laser, all of them in the image."""
    rng = np.random.default_rng(0)
    x = rng.uniform(2.0, 15.0, count)
    y, z = rng.uniform(-0.5, 0.5, count) * x, rng.uniform(-0.35, 0.35, count) * x
    return np.stack([x, y, z], axis=1).astype(np.float32)


def depth_image(frame: str) -> SimpleNamespace:
    """Return a full depth image of sloping ground, 16UC1."""
    values = np.add.outer(np.linspace(5000, 1000, 480), np.linspace(0, 500, 640)).astype('<u2')
    return SimpleNamespace(
        header=header(frame),
        height=480,
        width=640,
        encoding='16UC1',
        is_bigendian=0,
        step=1280,
        data=values.tobytes(),
    )


def info(frame: str) -> SimpleNamespace:
    """Return the camera_info of the depth camera."""
    c = CAMERA
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return SimpleNamespace(
        header=header(frame),
        width=c.width,
        height=c.height,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=c.K.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([c.K, np.zeros(3)]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def transforms() -> SimpleNamespace:
    """Return where the sensors are, as a TFMessage."""
    made = []
    for parent, child, t, q in (LASER_IN_EYE, DEPTH_IN_EYE):
        pose = SimpleNamespace(
            translation=SimpleNamespace(**dict(zip('xyz', t, strict=True))),
            rotation=SimpleNamespace(**dict(zip('xyzw', q, strict=True))),
        )
        made.append(SimpleNamespace(header=header(parent), child_frame_id=child, transform=pose))
    return SimpleNamespace(transforms=made)


def timed(kind: str, message: Any, camera_info: Any = None) -> dict[str, float]:
    """Return median and 95th percentile of a call [ms], and the references it gives."""
    buffer = ReferenceBuffer(MonoSettings())
    buffer.locator.add(transforms(), static=True)
    if camera_info is not None:
        buffer.add_depth_info(camera_info)
    durations, count = [], 0
    for _ in range(ROUNDS):
        buffer.add(kind, message)  # read anew: what was read of the last one is of no use
        start = time.perf_counter()
        surroundings = buffer.surroundings_at(NOW_NS, CAMERA, 'eye')
        durations.append(1e3 * (time.perf_counter() - start))
        buffer.forget()
        count = len(surroundings.references) if surroundings.references is not None else 0
    p50, p95 = np.percentile(durations, (50, 95))
    return {'p50_ms': float(p50), 'p95_ms': float(p95), 'references': count}


def main() -> int:
    """Print the table; exit 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    figures = {
        '200 landmarks': timed(POINTS, cloud_of(in_view(200))),
        '2000 landmarks': timed(POINTS, cloud_of(in_view(2000))),
        '16 lines x 1800': timed(POINTS, cloud_of(scan(16, 1800, 15.0))),
        '64 lines x 2048': timed(POINTS, cloud_of(scan(64, 2048, 22.5))),
        '131072 points in view': timed(POINTS, cloud_of(in_view(131072))),
        'depth 640x480, registered': timed(DEPTH, depth_image('eye')),
        'depth 640x480, beside': timed(DEPTH, depth_image('depth'), info('depth')),
    }
    for name, row in figures.items():
        print(
            f'{name:26} {row["p50_ms"]:6.2f} ms   p95 {row["p95_ms"]:6.2f} ms   '
            f'{row["references"]:5} references'
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + '\n')
    return int(any(figures[name]['p50_ms'] > limit for name, limit in LIMITS_MS.items()))


if __name__ == '__main__':
    raise SystemExit(main())
