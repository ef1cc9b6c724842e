"""Do frames keep coming while huge clouds of references come? The real mono node, loopback only.

    python benchmark/cloud_load.py [--points 5000000] [--seconds 20] [--json FILE]

A camera sends 10 pictures of 640x480 a second; a metric network, 10 % off, is corrected by
`reference/points`. The figures are taken with clouds of 2,000 points once a second, and then with
huge ones. `gap` is the time between two depth images as a listener sees them.
"""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Iterator
import contextlib
import json
import multiprocessing
import os
from pathlib import Path
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.ros.camera_codec import info_from_camera
from depth_perception.ros.image_codec import image_from_array
from diagnostic_msgs.msg import DiagnosticStatus
from feeder import PROFILE
import numpy as np
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from scale_accuracy import CODES, write_network
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
import yaml

CAMERA = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)
RHO = np.add.outer(np.linspace(0.1, 0.7, 480), np.linspace(0.0, 0.3, 640))
RATE_HZ, CLOUD_PERIOD_S, MOST_M = 10.0, 1.0, 20.0
RELIABLE = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def metric_network(folder: Path) -> Path:
    """Write the network that reads its answer from the picture, as one that gives metres."""
    path = write_network(folder)
    card = yaml.safe_load(path.read_text())
    card['output'] = {'tensor': 'depth', 'kind': 'depth_metric', 'gain': MOST_M}
    path.write_text(yaml.safe_dump(card))
    return path


def cloud(count: int) -> bytes:
    """Return a cloud of the scene, half of it behind the camera, as it goes over the wire."""
    rng = np.random.default_rng(0)
    v, u = rng.integers(0, 480, count), rng.integers(0, 640, count)
    z = 1.0 / RHO[v, u]
    table = np.zeros((count, 4), '<f4')
    table[:, 0], table[:, 1] = (u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z
    table[:, 2] = np.where(rng.random(count) < 0.5, z, -z)
    fields = [
        PointField(name=name, offset=4 * index, datatype=7, count=1)
        for index, name in enumerate(('x', 'y', 'z', 'intensity'))
    ]
    message = PointCloud2(height=1, width=count, fields=fields, point_step=16)
    message.row_step, message.data = 16 * count, array('B', table.tobytes())
    message.header.frame_id = 'camera'
    return bytes(serialize_message(message))


def send_clouds(count: int, seconds: float) -> None:
    """Publish clouds, one a second, as a process of its own."""
    rclpy.init()
    node = rclpy.create_node('laser')
    publisher = node.create_publisher(PointCloud2, 'reference/points', RELIABLE)
    wire = bytearray(cloud(count))
    due = time.monotonic()
    end = due + seconds
    while time.monotonic() < end and rclpy.ok():
        stamp = node.get_clock().now().to_msg()
        wire[4:12] = struct.pack('<iI', stamp.sec, stamp.nanosec)  # after the header of CDR
        publisher.publish(bytes(wire))
        due += CLOUD_PERIOD_S
        time.sleep(max(0.0, due - time.monotonic()))
    node.destroy_node()
    rclpy.shutdown()


@contextlib.contextmanager
def mono_node(model: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real executable."""
    parameters = [f'model:={model}', 'threads:=1', 'diagnostics_period_s:=0.5']
    parameters.append('reference.max_age_s:=20.0')  # huge clouds are long on their way
    arguments = [part for text in parameters for part in ('-p', text)]
    command = [sys.executable, '-m', 'depth_perception.ros.mono_depth_node', '--ros-args']
    process = subprocess.Popen([*command, '--log-level', 'fatal', *arguments])
    try:
        yield process
    finally:
        process.send_signal(2)
        process.wait(30.0)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process [MiB]."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def measured(model: Path, points: int, seconds: float) -> dict[str, Any]:
    """Return gaps between depth images, latency and memory while such clouds come."""
    node = rclpy.create_node('camera')
    arrivals: list[float] = []
    status: dict[str, str] = {}
    node.create_subscription(
        Image, 'depth/image_rect', lambda _: arrivals.append(time.monotonic()), RELIABLE, raw=True
    )
    node.create_subscription(
        DiagnosticStatus,
        'mono_depth_node/status',
        lambda message: status.update({pair.key: pair.value for pair in message.values}),
        LATCHED,
    )
    code = np.rint(1.1 / RHO / MOST_M * CODES).astype(np.int64)
    planes = [code >> 8, code & 255, np.zeros_like(code)]
    picture = np.stack(planes, axis=-1).astype(np.uint8)
    header = Header(frame_id='camera')
    image, info = image_from_array(picture, header, 'rgb8'), info_from_camera(CAMERA, header)
    publishers = [
        (node.create_publisher(CameraInfo, 'camera_info', RELIABLE), info),
        (node.create_publisher(Image, 'image', RELIABLE), image),
    ]
    sender = multiprocessing.get_context('spawn').Process(
        target=send_clouds, args=(points, seconds + 30.0)
    )
    with mono_node(model) as process:
        sender.start()
        due = time.monotonic()
        limit, start, first = due + 120.0, 0.0, 0
        while time.monotonic() < (start + seconds if start else limit):
            stamp = node.get_clock().now().to_msg()
            for publisher, message in publishers:
                message.header.stamp = stamp
                publisher.publish(message)
            due = max(due + 1.0 / RATE_HZ, time.monotonic())
            while time.monotonic() < due:
                rclpy.spin_once(node, timeout_sec=max(0.0, due - time.monotonic()))
            if not start and len(arrivals) > 2 * RATE_HZ:
                start, first = time.monotonic(), len(arrivals)
        memory = resident_mib(process.pid)
        sender.terminate()
        sender.join()
    node.destroy_node()
    if len(arrivals) < first + 3 or not start:
        raise SystemExit(f'hardly any frame came: {status}')
    gaps_ms = 1e3 * np.diff(arrivals[first:])
    p50, p95, most = np.percentile(gaps_ms, (50, 95, 100))
    return {
        'frames_per_s': len(gaps_ms) / seconds,
        'gap_p50_ms': float(p50),
        'gap_p95_ms': float(p95),
        'gap_most_ms': float(most),
        'resident_mib': memory,
        **{
            key: status.get(key, '')
            for key in (
                'latency stamp to publish p50/p95/p99 [ms]',
                'references took [ms]',
                'reference/points',
                'large reference/points thinned',
                'frames dropped',
                'scale rung',
                'reference problem',
                'scale not from references',
            )
        },
    }


def main() -> None:
    """Print the figures without and with the load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--points', type=int, default=5_000_000)
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    options = parser.parse_args()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('FASTDDS_DEFAULT_PROFILES_FILE', str(PROFILE))
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(PROFILE))
    rclpy.init()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        model = metric_network(Path(folder))
        for points in (2000, options.points):
            figures[f'{points} points'] = measured(model, points, options.seconds)
            print(f'{points} points once a second:')
            for name, value in figures[f'{points} points'].items():
                text = f'{value:.1f}' if isinstance(value, float) else value
                print(f'  {name}: {text}', flush=True)
    rclpy.shutdown()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
