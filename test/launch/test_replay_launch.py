"""replay.launch.py: a bag in, a bag of depth out, by launch_testing (see test_depth_launch.py)."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any
import unittest

from depth_perception.resources import resource_path
import numpy as np
import pytest

WIDTH, HEIGHT = 320, 240
FOCAL_PX, BASELINE_M, DISPARITY_PX = 250.0, 0.12, 16
FRAMES, PERIOD_NS, START_NS = 20, 200_000_000, 1_700_000_000_000_000_000

launch = pytest.importorskip('launch')
launch_testing = pytest.importorskip('launch_testing')
index = pytest.importorskip('ament_index_python.packages')
pytest.importorskip('launch_ros')
sources = pytest.importorskip('launch.launch_description_sources')
rosbag2 = pytest.importorskip('rosbags.rosbag2')
highlevel = pytest.importorskip('rosbags.highlevel')
typesys = pytest.importorskip('rosbags.typesys')

TYPES = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
T = TYPES.types


def stereo_messages(stamp_ns: int) -> dict[str, Any]:
    """Return topic -> message of one stereo pair of a wall parallel to the image."""
    wide = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH + DISPARITY_PX), np.uint8)
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = T['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
    header = T['std_msgs/msg/Header'](stamp=stamp, frame_id='optical')
    roi = T['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, do_rectify=False)
    messages = {}
    for side, offset, baseline_m in (('left', 0, 0.0), ('right', DISPARITY_PX, BASELINE_M)):
        pixels = np.ascontiguousarray(wide[:, offset : offset + WIDTH]).ravel()
        k = np.array([[FOCAL_PX, 0, 160], [0, FOCAL_PX, 120], [0, 0, 1]], float)
        p = np.hstack([k, [[-FOCAL_PX * baseline_m], [0], [0]]])
        messages[f'/{side}/image_rect'] = T['sensor_msgs/msg/Image'](
            header, HEIGHT, WIDTH, 'mono8', 0, WIDTH, pixels
        )
        messages[f'/{side}/camera_info'] = T['sensor_msgs/msg/CameraInfo'](
            header, HEIGHT, WIDTH, 'plumb_bob', np.zeros(5), k.ravel(), np.eye(3).ravel(),
            p.ravel(), 0, 0, roi,
        )  # fmt: skip
    return messages


def write_bag(path: Path) -> None:
    with rosbag2.Writer(path, version=9) as writer:
        connections: dict[str, Any] = {}
        for i in range(FRAMES):
            stamp_ns = START_NS + i * PERIOD_NS
            for topic, message in stereo_messages(stamp_ns).items():
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
                raw = TYPES.serialize_cdr(message, kind)
                writer.write(connections[topic], stamp_ns, raw)


def generate_test_description() -> tuple[Any, dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix='replay_launch_'))
    write_bag(folder / 'bag')
    arguments = {'bag': str(folder / 'bag'), 'record': str(folder / 'depth')}
    path = str(resource_path('launch', 'replay.launch.py'))
    start = launch.actions.IncludeLaunchDescription(
        sources.PythonLaunchDescriptionSource(path), launch_arguments=arguments.items()
    )
    ready = launch_testing.actions.ReadyToTest()
    return launch.LaunchDescription([start, ready]), {'folder': folder}


class TestRunning(unittest.TestCase):
    __test__ = False  # for launch_testing alone

    def test_player_ends(self, proc_info: Any) -> None:
        proc_info.assertWaitForStartup(process='player', timeout=60)
        proc_info.assertWaitForShutdown(process='player', timeout=120)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    __test__ = False

    def test_exit_codes(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)

    def test_depth_was_recorded(self, folder: Path) -> None:
        stamps_ns, medians_m = [], []
        with highlevel.AnyReader([folder / 'depth'], default_typestore=TYPES) as reader:
            wanted = [c for c in reader.connections if c.topic == '/depth/image_rect']
            for connection, _, raw in reader.messages(connections=wanted):
                image = reader.deserialize(raw, connection.msgtype)
                stamp = image.header.stamp
                stamps_ns.append(stamp.sec * 10**9 + stamp.nanosec)
                values_m = image.data.view(np.float32)
                medians_m.append(float(np.median(values_m[np.isfinite(values_m)])))
        played_ns = {START_NS + i * PERIOD_NS for i in range(FRAMES)}
        assert set(stamps_ns) <= played_ns
        assert len(stamps_ns) > FRAMES // 2
        np.testing.assert_allclose(medians_m, FOCAL_PX * BASELINE_M / DISPARITY_PX, atol=0.02)


@pytest.mark.apt
@pytest.mark.slow
def test_by_launch_testing(tmp_path):
    if 'depth_perception' not in index.get_packages_with_prefixes():
        pytest.skip('depth_perception is not in an ament index: build it with colcon, source it')
    command = [sys.executable, '-m', 'launch_testing.launch_test', __file__]
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'PYTHONWARNINGS': 'ignore',
        'TMPDIR': str(tmp_path),
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
