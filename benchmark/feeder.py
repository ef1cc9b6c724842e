"""A camera, a listener and a real stereo node for the benchmarks: loopback only."""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.ros.camera_codec import info_from_camera
from depth_perception.ros.image_codec import image_from_array
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

PROFILE = Path(__file__).resolve().parent.parent / 'config' / 'fastdds_shm.xml'
RAW_OUTPUTS = {
    'depth/image_rect': Image,
    'uncertainty/image': Image,
    'confidence/image': Image,
    'points': PointCloud2,
    'disparity': DisparityImage,
    'depth/camera_info': CameraInfo,
    'uncertainty/camera_info': CameraInfo,
    'confidence/camera_info': CameraInfo,
}


def textured_pair(width: int, height: int, disparity_px: int) -> list[np.ndarray[Any, Any]]:
    """Return left and right (H, W, 3) uint8 of a wall with smooth random texture."""
    rng = np.random.default_rng(7)
    fine = rng.integers(0, 256, (height, width + disparity_px, 3)).astype(np.float32)
    wide = fine
    for axis in (0, 1):
        wide = (np.roll(wide, 1, axis) + wide + np.roll(wide, -1, axis)) / 3.0
    texture = np.clip((wide - 128.0) * 2.0 + 128.0, 0, 255).astype(np.uint8)
    return [
        np.ascontiguousarray(texture[:, :width]),
        np.ascontiguousarray(texture[:, disparity_px : disparity_px + width]),
    ]


class NodeProcess:
    """The real executable in a process of its own, on the cores given."""

    def __init__(self, parameters: Sequence[str], cores: set[int]) -> None:
        arguments = [part for parameter in parameters for part in ('-p', parameter)]
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'depth_perception.ros.stereo_depth_node', '--ros-args',
             '--log-level', 'warn', '-p', 'model:=sgbm', *arguments],
            env=environment,
        )  # fmt: skip
        os.sched_setaffinity(self._process.pid, cores)

    def resident_mib(self) -> float:
        """Return the resident memory of the process [MiB]."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 2**20

    def stop(self) -> int:
        """End the process as ctrl-C does, and return its exit code."""
        self._process.send_signal(2)
        return self._process.wait(10.0)


class Feeder:
    """Publishes a pair at a rate, subscribes to outputs, and keeps the node's newest status."""

    def __init__(self, width: int, height: int, outputs: Sequence[str]) -> None:
        self.received = 0
        self.status: dict[str, str] = {}
        self._node = rclpy.create_node('feeder')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        reliable = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            self._node.create_subscription(
                RAW_OUTPUTS[name], name, self._count if not i else _ignore, reliable, raw=True
            )
            for i, name in enumerate(outputs)
        ]
        self._node.create_subscription(
            DiagnosticStatus, 'stereo_depth_node/status', self._keep, latched
        )
        camera = PinholeCamera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
        disparity = max(4, width // 20)
        self._messages = []
        for side, pixels in zip(('left', 'right'), textured_pair(width, height, disparity)):  # noqa: B905
            info = info_from_camera(camera, Header(frame_id='camera'))
            info.p[3] = 0.0 if side == 'left' else -camera.fx * 0.1
            image = image_from_array(pixels, Header(frame_id='camera'), 'rgb8')
            for name, message in ((f'{side}/image_rect', image), (f'{side}/camera_info', info)):
                publisher = self._node.create_publisher(type(message), name, reliable)
                self._messages.append((publisher, message))

    def publish(self) -> None:
        """Publish one pair, stamped now."""
        stamp = self._node.get_clock().now().to_msg()
        for publisher, message in self._messages:
            message.header.stamp = stamp
            publisher.publish(message)

    def run(self, rate_hz: float, duration_s: float, frames: int | None = None) -> None:
        """Publish at a rate until the time is over, or so many frames have come back."""
        end = time.monotonic() + duration_s
        due = time.monotonic()
        while time.monotonic() < end and (frames is None or self.received < frames):
            if time.monotonic() >= due:
                self.publish()
                due = max(due + 1.0 / rate_hz, time.monotonic() - 1.0)
            self._executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))

    def wait_until_served(self, limit_s: float = 30.0) -> None:
        """Publish slowly until a first frame has come back.

        Raises:
            RuntimeError: If none does.
        """
        end = time.monotonic() + limit_s
        while self.received == 0:
            if time.monotonic() > end:
                raise RuntimeError(f'the node gave nothing in {limit_s:g} s: {self.status}')
            self.run(5.0, 0.5)

    def percentiles_ms(self, prefix: str) -> dict[str, list[float]]:
        """Return the figures 'p50 / p95 / p99' of the status whose names begin with `prefix`."""
        ending = ' p50/p95/p99 [ms]'
        return {
            name.removeprefix(prefix).removesuffix(ending).strip(): [
                float(part) for part in text.split('/')
            ]
            for name, text in self.status.items()
            if name.startswith(prefix) and name.endswith(ending)
        }

    def close(self) -> None:
        """Give up the node."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _count(self, message: bytes) -> None:
        del message
        self.received += 1

    def _keep(self, status: Any) -> None:
        self.status = {pair.key: pair.value for pair in status.values}


def _ignore(message: bytes) -> None:
    del message
