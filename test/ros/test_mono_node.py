"""The mono node over the real middleware: a floor seen by a camera of known height and tilt."""

from array import array
import math
import os
import subprocess
import sys
import time

from depth_perception.ros.mono_depth_node import MonoDepthNode
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

pytestmark = pytest.mark.ros
HEIGHT_M, PITCH_DEG = 0.8, 25.0
SETTINGS = {
    'threads': 1,
    'max_input_age_s': 50.0,
    'diagnostics_period_s': 0.1,
    'ground__pitch_deg': PITCH_DEG,
    'ground__camera_height_m': HEIGHT_M,
}
NAME = 'mono_depth_node'


@pytest.fixture
def floor(new_scene):
    """Return a function of topic prefix to the messages of a camera that sees only floor."""
    scene = new_scene()
    rng = np.random.default_rng(3)
    colour = np.array([120, 90, 60]) + rng.integers(-3, 4, (scene.height, scene.width, 3))
    pixels = colour.astype(np.uint8)

    def messages(image='/image', info='/camera_info'):
        stamp_ns = time.time_ns()
        return {info: scene.info(stamp_ns), image: scene.image(pixels, stamp_ns)}

    return messages


def floor_depth(scene):
    """Return the true depth: Z (y cos pitch + sin pitch) = h."""
    y = (np.arange(scene.height)[:, None] - scene.cy) / scene.focal_px
    pitch = math.radians(PITCH_DEG)
    depth = HEIGHT_M / (y * math.cos(pitch) + math.sin(pitch))
    return np.broadcast_to(depth, (scene.height, scene.width))


def test_depth_of_the_floor_is_right(system, scene, floor):
    system.start(MonoDepthNode, **SETTINGS)
    heard = system.peer.listen('/depth/image_rect', Image)
    depth = system.depth_after(heard, floor())
    scene.depth = floor_depth(scene)
    assert scene.error(depth) < 0.01
    assert heard[-1].header.frame_id == 'left_optical'


def test_no_disparity_is_offered(system):
    system.start(MonoDepthNode, **SETTINGS)
    node = system.peer.node
    system.peer.until(lambda: node.count_publishers('/points'), 'publisher')
    assert node.count_publishers('/disparity') == 0


def test_cloud_lies_on_the_floor(system, floor):
    system.start(MonoDepthNode, **SETTINGS)
    heard = system.peer.listen('/points', PointCloud2)
    system.peer.until(lambda: heard, 'cloud', each=lambda: system.send(floor()))
    points = np.frombuffer(heard[-1].data, '<f4').reshape(-1, 5)
    points = points[np.isfinite(points[:, 2])]
    pitch = math.radians(PITCH_DEG)
    heights = points[:, 1] * math.cos(pitch) + points[:, 2] * math.sin(pitch)
    assert np.median(heights) == pytest.approx(HEIGHT_M, rel=0.01)
    assert tuple(points[:, 3].copy().view('u1').reshape(-1, 4)[50, :3]) == pytest.approx(
        (60, 90, 120), abs=4
    )


def test_without_scale_nothing_is_published_until_it_is_given(system, floor):
    """Live: the height of the camera makes a relative model metric."""
    system.start(MonoDepthNode, **{**SETTINGS, 'ground__camera_height_m': 0.0})
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status(NAME)
    said = status.until_message('not metric', each=lambda: system.send(floor()))
    assert said.level == DiagnosticStatus.ERROR
    assert 'set ground.camera_height_m' in said.message
    status.until_count('dropped not_metric')
    assert not heard
    assert system.peer.set_parameter(NAME, 'ground.camera_height_m', HEIGHT_M) == (True, '')
    system.peer.until(lambda: heard, 'depth image', each=lambda: system.send(floor()))
    status.until_message(
        'Hz to depth/camera_info, depth/image_rect', each=lambda: system.send(floor())
    )


@pytest.mark.parametrize(
    ('remaps', 'image', 'info'),
    [
        (['image:=/cam/image_rect'], '/cam/image_rect', '/cam/camera_info'),
        (['image:=/cam/image_rect', 'camera_info:=/other/info'], '/cam/image_rect', '/other/info'),
        (['__ns:=/robot'], '/robot/image', '/robot/camera_info'),
        (['/cam/camera_info:=/odd', 'image:=/cam/image'], '/cam/image', '/odd'),
    ],
)
def test_camera_info_is_the_sibling_of_the_image_unless_remapped(
    system, floor, remaps, image, info
):
    system.start(MonoDepthNode, remaps=remaps, **SETTINGS)
    output = '/robot/depth/camera_info' if '/robot' in image else '/depth/camera_info'
    heard = system.peer.listen(output, CameraInfo)
    system.peer.until(lambda: heard, 'answer', each=lambda: system.send(floor(image, info)))
    assert heard[-1].width == 160


def test_raw_images_are_rectified(system, scene, floor):
    """The output belongs to P: no distortion is left, and straight floor is straight."""
    system.start(MonoDepthNode, **SETTINGS)
    heard = system.peer.listen('/depth/image_rect', Image)
    infos = system.peer.listen('/depth/camera_info', CameraInfo)
    messages = floor()
    messages['/camera_info'].d = array('d', [0.05, 0.0, 0.0, 0.0, 0.0])
    depth = system.depth_after(heard, messages)
    scene.depth = floor_depth(scene)
    assert scene.error(depth) < 0.01
    system.peer.until(lambda: infos, 'camera_info')
    assert not any(infos[-1].d)


ANOTHER_PUBLISHER = """
import sys
import rclpy
from sensor_msgs.msg import Image
rclpy.init(args=[])
node = rclpy.create_node('another')
publisher = node.create_publisher(Image, sys.argv[1], 5)
sys.stdin.read()
"""


@pytest.fixture
def advertise_elsewhere(domain_id):
    """Return a function that offers images, from a process of its own.

    One participant may not use a topic with two types.
    """
    processes = []

    def advertise(topic):
        words = [sys.executable, '-c', ANOTHER_PUBLISHER, topic]
        environment = os.environ | {'ROS_DOMAIN_ID': str(domain_id)}
        processes.append(subprocess.Popen(words, stdin=subprocess.PIPE, env=environment))

    yield advertise
    for process in processes:
        process.communicate()


def test_wrong_transport_is_explained(system, advertise_elsewhere, monkeypatch):
    monkeypatch.setattr('depth_perception.ros.inputs.ARRIVING_S', 0.5)
    system.start(MonoDepthNode, image_transport='compressed', **SETTINGS, lazy=False)
    advertise_elsewhere('/image/compressed')
    said = system.status(NAME).until_message('carries sensor_msgs/msg/Image')
    assert 'waiting for image, camera_info' in said.message
    assert '/image/compressed carries sensor_msgs/msg/Image' in said.message
    assert 'set image_transport:=raw' in said.message


def test_the_other_transport_is_pointed_out(system, floor, monkeypatch):
    monkeypatch.setattr('depth_perception.ros.inputs.ARRIVING_S', 0.5)
    system.start(MonoDepthNode, image_transport='compressed', **SETTINGS, lazy=False)
    system.peer.advertise('/image', Image)
    said = system.status(NAME).until_message('nobody publishes /image/compressed')
    assert 'but there is /image; set image_transport:=raw' in said.message
