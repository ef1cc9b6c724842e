"""The time of a network in the real mono node, against ONNX Runtime called directly.

Both in one run, turn by turn on the same tensor, with the same number of threads:

    python benchmark/network_time.py --model fastdepth --frames 60
"""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Callable
import contextlib
import json
import os
from pathlib import Path
import threading
import time
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture
from depth_perception.inference.backend import usable_cpus
from depth_perception.inference.cards import artifact_path, load_card
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.resize import plan_resize
from depth_perception.ros.mono_depth_node import MonoDepthNode
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

WIDTH, HEIGHT = 640, 480
LIMIT_S = 30.0
WARM_UPS = 5


def picture() -> Picture:
    """Return slopes with noise."""
    random = np.random.default_rng(2)
    slope = np.add.outer(np.linspace(0, 100, HEIGHT), np.linspace(0, 80, WIDTH))[..., None]
    pixels = slope * np.array([1.0, 0.8, 0.6]) + random.integers(0, 60, (HEIGHT, WIDTH, 3))
    return Picture(pixels.clip(0, 255).astype(np.uint8), 'rgb')


class Camera:
    """Publishes one image and waits until the node has published its depth."""

    def __init__(self, image: Picture) -> None:
        self.node = rclpy.create_node('camera')
        self._heard = 0
        self._image = self.node.create_publisher(Image, 'image', 5)
        self._info = self.node.create_publisher(CameraInfo, 'camera_info', 5)
        self.node.create_subscription(Image, 'depth/image_rect', self._count, 5)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._message = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=3 * WIDTH)
        self._message.data = array('B', image.pixels.tobytes())

    def _count(self, message: Any) -> None:
        del message
        self._heard += 1

    def shown(self) -> None:
        """Publish until an answer comes, which the first time may take a while."""
        end, before, sent = time.monotonic() + LIMIT_S, self._heard, 0.0
        while self._heard == before:
            now = time.monotonic()
            if now > end:
                raise SystemExit('the node does not answer')
            if now - sent > 3.0 and self._image.get_subscription_count():
                sent = now
                stamp = self.node.get_clock().now().to_msg()
                info = CameraInfo(width=WIDTH, height=HEIGHT)
                info.k = [500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0]
                info.p = [500.0, 0.0, 319.5, 0.0, 0.0, 500.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0]
                info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
                info.header.stamp = self._message.header.stamp = stamp
                self._info.publish(info)
                self._image.publish(self._message)
            self._executor.spin_once(timeout_sec=0.05)


def direct(model: str, image: Picture, threads: int, *, spins: bool) -> Callable[[], float]:
    """Return what runs a network in ONNX Runtime on the tensor of an image, and times it [ms]."""
    import onnxruntime

    card = load_card(model)
    plan = plan_resize(card.resize, WIDTH, HEIGHT)
    camera = PinholeCamera(WIDTH, HEIGHT, 500.0, 500.0, 319.5, 239.5)
    feeds = tensors_from(card.inputs, Preparation(MonoFrame(image, camera), plan, card.resize))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if not spins:
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(
        str(artifact_path(card)), options, providers=['CPUExecutionProvider']
    )

    def run() -> float:
        start = time.perf_counter()
        session.run(None, feeds)
        return (time.perf_counter() - start) * 1e3

    return run


@contextlib.contextmanager
def running(model: str, threads: int) -> Any:
    """Run the real node in a thread of its own."""
    values = {'model': model, 'threads': threads, 'backend': 'onnxruntime', 'max_input_age_s': 0.0}
    node = MonoDepthNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(LIMIT_S)
        node.close(LIMIT_S)
        node.destroy_node()


def measure(model: str = 'fastdepth', frames: int = 60, threads: int = 0) -> dict[str, float]:
    """Return medians of both, and their ratio, taken turn by turn."""
    threads = threads or usable_cpus()
    image = picture()
    ways = {
        'direct': direct(model, image, threads, spins=False),
        'direct, threads that spin': direct(model, image, threads, spins=True),
    }
    times: dict[str, list[float]] = {'node': [], **{name: [] for name in ways}}
    with running(model, threads) as node:
        camera = Camera(image)
        for index in range(WARM_UPS + frames):
            camera.shown()
            newest = node._worker.newest  # noqa: SLF001 - the figures of this very frame
            taken = {'node': float(newest.timings_ms['infer'])}
            taken |= {name: run() for name, run in ways.items()}
            if index >= WARM_UPS:
                for name, value in taken.items():
                    times[name].append(value)
        camera.node.destroy_node()
    medians = {f'{name} p50 [ms]': float(np.median(values)) for name, values in times.items()}
    pairs = np.array(times['node']) / np.array(times['direct'])
    return {
        'threads': threads,
        'frames': frames,
        **medians,
        'ratio of medians': medians['node p50 [ms]'] / medians['direct p50 [ms]'],
        'median of ratios': float(np.median(pairs)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', default='fastdepth', help='card of a network on one image')
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--threads', type=int, default=0, help='0: all that may be used')
    parser.add_argument('--json', type=Path, help='store the figures in this file')
    arguments = parser.parse_args()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    rclpy.init()
    figures = measure(arguments.model, arguments.frames, arguments.threads)
    for name, value in figures.items():
        print(f'{name:<36}{value:10.3f}')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
