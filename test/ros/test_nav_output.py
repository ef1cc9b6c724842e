"""points_nav and points_clear of a live node."""

import time

from depth_perception.core.nav_points import NavCloud
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.ros.nav_codec import message_of_nav
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


def columns_of(message):
    """Return field name -> values, by offsets."""
    assert message.row_step == message.width * message.point_step == len(message.data)
    assert message.height == 1
    raw = np.frombuffer(message.data, np.uint8).reshape(message.width, message.point_step)
    return {f.name: raw[:, f.offset : f.offset + 4].copy().view('<f4').ravel()
            for f in message.fields}  # fmt: skip


@pytest.mark.parametrize('count', [0, 1, 7])
def test_message_holds_the_cloud(count):
    random = np.random.default_rng(count)
    points, sigma, height = (random.uniform(size=(count, n)).astype('f4') for n in (3, 1, 1))
    header = Header(frame_id='optical')
    message = message_of_nav(NavCloud(points, sigma[:, 0], height[:, 0]), header)
    columns = columns_of(message)
    assert list(columns) == ['x', 'y', 'z', 'uncertainty', 'height']
    np.testing.assert_array_equal(columns['y'], points[:, 1])
    np.testing.assert_array_equal(columns['height'], height[:, 0])
    assert message.is_dense
    assert message.header.frame_id == 'optical'
    assert message.point_step == 20
    flat = message_of_nav(NavCloud(points, sigma[:, 0], None), header)
    assert list(columns_of(flat)) == ['x', 'y', 'z', 'uncertainty']
    assert flat.point_step == 16


def started(system, **parameters):
    return system.start(
        StereoDepthNode, sgbm__num_disparities=32, threads=1, max_input_age_s=50.0, **parameters
    )


def test_node_publishes_both_and_nothing_while_nobody_listens(system, scene):
    node = started(system, ground__camera_height_m=0.3, nav__max_range_m=10.0)
    marks = system.peer.listen('/points_nav', PointCloud2)
    alone = lambda: node._outputs and node._outputs.wanted() == {'points_nav'}  # noqa: E731
    system.peer.until(alone, 'points_nav alone to be wanted')
    send = lambda: system.send(scene.stereo())  # noqa: E731
    system.peer.until(lambda: len(marks) >= 3, 'points_nav', each=send)
    columns = columns_of(marks[-1])
    assert 0 < len(columns['x']) <= 0.05 * 160 * 120
    assert all(np.isfinite(values).all() for values in columns.values())
    assert columns['height'].min() > 0.1
    assert columns['height'].max() <= 2.0
    assert marks[-1].header.frame_id == 'left_optical'
    ends = system.peer.listen('/points_clear', PointCloud2)
    system.peer.until(lambda: ends, 'points_clear', each=send)
    assert all(np.isfinite(values).all() for values in columns_of(ends[-1]).values())
    # Heights count from a floor 0.3 m below a level camera.
    np.testing.assert_allclose(columns['height'], 0.3 - columns['y'], atol=0.05)


def test_a_frame_that_says_nothing_is_silent(system, scene):
    started(system, nav__seen_frames=1)
    marks = system.peer.listen('/points_nav', PointCloud2)
    clouds = system.peer.listen('/points', PointCloud2)
    send = lambda: system.send(scene.stereo())  # noqa: E731
    system.peer.until(lambda: marks and clouds, 'both clouds', each=send)
    scene.left, scene.right = np.full_like(scene.left, 90), np.full_like(scene.right, 90)
    changed_ns = time.time_ns()
    later = lambda: [c for c in clouds if stamp_ns_of(c) >= changed_ns]  # noqa: E731
    system.peer.until(lambda: len(later()) >= 2, 'clouds of nothing', each=send)
    before = len(marks)
    system.peer.until(lambda: len(later()) >= 5, 'more of them', each=send)
    assert len(marks) == before


def test_labels_and_their_camera(system, new_scene):
    scene = new_scene(width=320, height=120)
    started(system, ground__camera_height_m=0.3, nav__max_height_m=0.5)
    labels = system.peer.listen('/labels/image', Image)
    infos = system.peer.listen('/labels/camera_info', CameraInfo)
    send = lambda: system.send(scene.stereo())  # noqa: E731
    system.peer.until(lambda: labels and infos, 'labels', each=send)
    grid = np.frombuffer(labels[-1].data, np.uint8).reshape(60, 160)
    # The scene is a wall 1.8 m away above, 1.0 to 1.7 m below, seen by a level camera.
    y = (np.arange(120) - scene.cy) / 200.0 * scene.depth[:, 200]
    wanted = np.where(0.3 - y > 0.5, 3, np.where(0.3 - y > 0.1, 2, 1))[1::2]
    known = grid > 0
    assert known.mean() > 0.4
    assert (grid == wanted[:, None])[known].mean() > 0.9
    info = infos[-1]
    assert (info.width, info.height, info.p[0]) == (160, 60, 100.0)
    assert info.p[2] == (scene.cx - 1) / 2
