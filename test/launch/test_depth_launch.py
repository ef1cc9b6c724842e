"""stereo.launch.py and mono.launch.py on a running system, by launch_testing.

launch_testing reads this file by itself (`launch_test test/launch/test_depth_launch.py`); under
pytest it is started as a process of its own, because its plugin for pytest is disabled here.
"""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any
import unittest

from depth_perception.resources import resource_path
import numpy as np
import pytest

FLOOR = Path(__file__).with_name('floor.yaml')
WIDTH, HEIGHT = 320, 240
FOCAL_PX, BASELINE_M, DISPARITY_PX = 250.0, 0.12, 16
LIMIT_S = 60.0

launch = pytest.importorskip('launch')
launch_testing = pytest.importorskip('launch_testing')
rclpy = pytest.importorskip('rclpy')
index = pytest.importorskip('ament_index_python.packages')
pytest.importorskip('launch_ros')
sources = pytest.importorskip('launch.launch_description_sources')
lifecycle = pytest.importorskip('lifecycle_msgs.srv')
sensor = pytest.importorskip('sensor_msgs.msg')


@launch_testing.parametrize('task', ['stereo', 'mono'])
def generate_test_description(task: str) -> tuple[Any, dict[str, Any]]:
    arguments = {'namespace': 'rig'}
    if task == 'mono':
        arguments['params_file'] = str(FLOOR)
    path = str(resource_path('launch', f'{task}.launch.py'))
    start = launch.actions.IncludeLaunchDescription(
        sources.PythonLaunchDescriptionSource(path), launch_arguments=arguments.items()
    )
    ready = launch_testing.actions.ReadyToTest()
    return launch.LaunchDescription([start, ready]), {}


class TestRunning(unittest.TestCase):
    __test__ = False  # for launch_testing alone

    def setUp(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node('launch_test')
        self.depths: list[Any] = []
        self.node.create_subscription(sensor.Image, 'rig/depth/image_rect', self.depths.append, 1)

    def tearDown(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown()

    def camera(self, topic: str, image: np.ndarray, baseline_m: float) -> tuple[Any, Any, Any]:
        """Return an image message, its camera_info, and a function that publishes both."""
        message = sensor.Image(height=HEIGHT, width=WIDTH, encoding='mono8', step=WIDTH)
        message.data.frombytes(image.tobytes())
        p = [FOCAL_PX, 0.0, 160.0, -FOCAL_PX * baseline_m, 0.0, FOCAL_PX, 120.0, 0.0]
        k = [FOCAL_PX, 0.0, 160.0, 0.0, FOCAL_PX, 120.0, 0.0, 0.0, 1.0]
        info = sensor.CameraInfo(height=HEIGHT, width=WIDTH, p=[*p, 0.0, 0.0, 1.0, 0.0], k=k)
        info.distortion_model, info.d = 'plumb_bob', [0.0] * 5
        message.header.frame_id = info.header.frame_id = 'optical'
        folder = topic.rpartition('/')[0]
        images = self.node.create_publisher(sensor.Image, f'rig/{topic}', 1)
        name = f'rig/{folder}/camera_info' if folder else 'rig/camera_info'
        infos = self.node.create_publisher(sensor.CameraInfo, name, 1)

        def publish(stamp: Any) -> None:
            message.header.stamp = info.header.stamp = stamp
            infos.publish(info)
            images.publish(message)

        return publish

    def cameras(self, task: str) -> list[Any]:
        wide = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH + DISPARITY_PX), np.uint8)
        left, right = wide[:, :WIDTH], wide[:, DISPARITY_PX:]
        if task == 'mono':  # a floor before a dark wall, which begins below the horizon
            floor = (110 + left // 16).astype(np.uint8)
            floor[:140] //= 4
            return [self.camera('image', floor, 0.0)]
        return [
            self.camera('left/image_rect', left, 0.0),
            self.camera('right/image_rect', right, BASELINE_M),
        ]

    def test_becomes_active(self, task: str) -> None:
        client = self.node.create_client(lifecycle.GetState, f'rig/{task}_depth_node/get_state')
        assert client.wait_for_service(LIMIT_S)
        end_s, label = time.monotonic() + LIMIT_S, ''
        while label != 'active' and time.monotonic() < end_s:
            future = client.call_async(lifecycle.GetState.Request())
            rclpy.spin_until_future_complete(self.node, future, timeout_sec=5.0)
            label = future.result().current_state.label if future.done() else ''
        assert label == 'active'

    def test_publishes_depth(self, task: str) -> None:
        cameras = self.cameras(task)
        end_s = time.monotonic() + LIMIT_S
        while not self.depths and time.monotonic() < end_s:
            stamp = self.node.get_clock().now().to_msg()
            for publish in cameras:
                publish(stamp)
            rclpy.spin_once(self.node, timeout_sec=0.2)
        assert self.depths
        depth = self.depths[0]
        assert (depth.header.frame_id, depth.encoding) == ('optical', '32FC1')
        values_m = np.frombuffer(depth.data, np.float32)
        assert np.isfinite(values_m).mean() > 0.2
        if task == 'stereo':
            expected_m = FOCAL_PX * BASELINE_M / DISPARITY_PX
            median_m = float(np.median(values_m[np.isfinite(values_m)]))
            assert abs(median_m - expected_m) < 0.02
        else:  # a level camera 1.2 m above the floor sees row v at 1.2 * 250 / (v - 120)
            row_m = values_m.reshape(HEIGHT, WIDTH)[200]
            assert abs(float(np.nanmedian(row_m)) - 1.2 * FOCAL_PX / 80.0) < 0.05


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    __test__ = False

    def test_exit_codes(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)


@pytest.mark.apt
@pytest.mark.slow
def test_by_launch_testing():
    if 'depth_perception' not in index.get_packages_with_prefixes():
        pytest.skip('depth_perception is not in an ament index: build it with colcon, source it')
    command = [sys.executable, '-m', 'launch_testing.launch_test', __file__]
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'PYTHONWARNINGS': 'ignore',
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
