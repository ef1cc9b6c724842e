"""References over the real middleware: what reaches the estimator beside the image."""

from array import array
import sys
import time

from depth_perception.core.references import MAX_REFERENCES
from depth_perception.messages.references import MOST_POINTS
from depth_perception.ros.mono_depth_node import MonoDepthNode
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2, PointField

pytestmark = pytest.mark.ros
NAME = 'mono_depth_node'
SETTINGS = {
    'threads': 1,
    'max_input_age_s': 50.0,
    'diagnostics_period_s': 0.1,
    'ground__pitch_deg': 25.0,
    'ground__camera_height_m': 0.8,
}
POINTS = np.array([[0.5, -0.25, 2.0], [-0.4, 0.3, 4.0], [0.1, 0.6, 3.0]])


def cloud(scene, points, stamp_ns, frame_id='left_optical', fields='xyz'):
    """Return a cloud of float32 columns."""
    message = PointCloud2(header=scene.header(stamp_ns, frame_id), height=1, width=len(points))
    for index, name in enumerate(fields if isinstance(fields, list) else list(fields)):
        message.fields.append(PointField(name=name, offset=4 * index, datatype=7, count=1))
    message.point_step = 4 * len(message.fields)
    message.row_step = message.point_step * len(points)
    message.data = array('B', np.asarray(points, '<f4').tobytes())
    return message


class Spied:
    """A running mono node whose estimator tells what it was given."""

    def __init__(self, system, scene, **settings):
        self.system, self.scene = system, scene
        self.node = system.start(MonoDepthNode, **{**SETTINGS, **settings})
        self.depths = system.peer.listen('/depth/image_rect', Image)
        system.peer.until(lambda: self.node.state == 'active', 'active node')
        self.frames = []
        begin = self.node._estimator.begin
        self.node._estimator.begin = lambda f: [self.frames.append(f), begin(f)][1]
        rng = np.random.default_rng(3)
        grey = rng.integers(80, 84, (scene.height, scene.width, 3))
        self.pixels = grey.astype(np.uint8)

    @property
    def buffer(self):
        return self.node._references.buffer

    def heard(self, *messages):
        """Send messages to their topics and wait until the node has kept them."""
        for topic, message in messages:
            kind = topic.lstrip('/')
            before = self.buffer.received[kind]
            self.system.peer.advertise(topic, type(message))
            self.system.peer.publish(topic, message)
            self.system.peer.until(
                lambda kind=kind, before=before: self.buffer.received[kind] > before, topic
            )

    def surroundings(self, stamp_ns):
        """Send an image and return what its frame had around it."""
        info, image = self.scene.info(stamp_ns), self.scene.image(self.pixels, stamp_ns)
        before = len(self.frames)
        self.system.send({'/camera_info': info, '/image': image})
        self.system.peer.until(lambda: len(self.frames) > before, 'estimate')
        return self.frames[-1].surroundings


def test_points_reach_the_estimator_where_the_camera_sees_them(system, scene):
    spied = Spied(system, scene)
    now = time.time_ns()
    spied.heard(('/reference/points', cloud(scene, POINTS, now)))
    references = spied.surroundings(now).references
    order = np.argsort(references.rho)
    f = scene.focal_px
    np.testing.assert_allclose(
        references.u[order], scene.cx + f * np.array([-0.1, 0.1 / 3, 0.25]), atol=1e-3
    )
    np.testing.assert_allclose(
        references.v[order], scene.cy + f * np.array([0.075, 0.2, -0.125]), atol=1e-3
    )
    np.testing.assert_allclose(references.rho[order], [1 / 4, 1 / 3, 1 / 2], rtol=1e-6)
    z = np.array([4.0, 3.0, 2.0])
    np.testing.assert_allclose(
        references.sigma_rho[order], np.hypot(0.03, 0.01 * z) / z**2, rtol=1e-5
    )


def test_extrinsics_place_a_laser_without_tf(system, scene):
    spied = Spied(system, scene, reference__extrinsics='0.1 -0.4 -0.2 1.5707963 -1.5707963 0')
    now = time.time_ns()
    spied.heard(('/reference/points', cloud(scene, [[2.2, 0.1, -0.4]], now, 'laser')))
    references = spied.surroundings(now).references
    assert references.rho == pytest.approx([0.5], rel=1e-5)
    assert references.u == pytest.approx([scene.cx + scene.focal_px * (0.1 - 0.1) / 2.0], abs=1e-3)
    assert references.v == pytest.approx(
        [scene.cy + scene.focal_px * (-0.4 + 0.4) / 2.0], abs=1e-3
    )


def test_a_depth_camera_with_an_info_of_its_own(system, scene, new_scene):
    other = new_scene(0, 80, 60)
    other.cx, other.cy = 38.0, 31.0
    spied = Spied(
        system, scene, remaps=['reference/depth:=/d435/depth/image_raw'],
        reference__source='depth', reference__extrinsics='0.1 0 0.5 0 0 0',
    )  # fmt: skip
    now = time.time_ns()
    values = np.zeros((60, 80), np.uint16)
    values[40, 30] = 1500
    image = other.image(np.zeros((60, 80), np.uint8), now, 'd435')
    image.encoding, image.step, image.data = '16UC1', 160, array('B', values.tobytes())
    system.peer.advertise('/d435/depth/image_raw', Image)
    system.peer.advertise('/d435/depth/camera_info', type(other.info(now)))
    system.peer.until(lambda: spied.buffer.info_expected, 'the camera_info beside the depth')
    system.peer.publish('/d435/depth/image_raw', image)
    system.peer.until(lambda: spied.buffer.received['reference/depth'], 'depth')
    assert 'camera_info has not come' in spied.surroundings(now).problem
    system.peer.publish('/d435/depth/camera_info', other.info(now))
    system.peer.until(lambda: spied.buffer._info is not None, 'camera_info')
    references = spied.surroundings(now + 1).references
    f = scene.focal_px
    x, y = (30 - 38.0) / f * 1.5 + 0.1, (40 - 31.0) / f * 1.5
    assert references.rho == pytest.approx([0.5])
    assert references.u == pytest.approx([scene.cx + f * x / 2.0], abs=1e-3)
    assert references.v == pytest.approx([scene.cy + f * y / 2.0], abs=1e-3)


def test_live_tf_places_and_moves_a_laser(system, scene):
    tf2_msgs = pytest.importorskip('tf2_msgs.msg')
    from geometry_msgs.msg import TransformStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile

    def transform(parent, child, stamp_ns, translation, rotation=(0.0, 0.0, 0.0, 1.0)):
        made = TransformStamped(header=scene.header(stamp_ns, parent), child_frame_id=child)
        t, q = made.transform.translation, made.transform.rotation
        t.x, t.y, t.z = translation
        q.x, q.y, q.z, q.w = rotation
        return made

    spied = Spied(system, scene, ground__frame='base', fixed_frame='odom')
    now, ago = time.time_ns(), 100_000_000
    held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = [
        transform('base', 'left_optical', 0, (0.3, 0.0, 0.9), (-0.5, 0.5, -0.5, 0.5)),
        transform('base', 'laser', 0, (0.1, 0.2, 1.1)),
    ]
    system.peer.publish('/tf_static', tf2_msgs.TFMessage(transforms=static), held)
    for stamp_ns, x in ((now - 2 * ago, 0.0), (now - ago, 0.5), (now, 1.0)):
        moving = transform('odom', 'base', stamp_ns, (x, 0.0, 0.0))
        system.peer.publish('/tf', tf2_msgs.TFMessage(transforms=[moving]))
    system.peer.until(lambda: spied.buffer.locator.received >= 4, 'TF')
    # 3 m ahead of where the laser was, 0.4 m to its left, 0.6 m below it; now 0.5 m nearer.
    spied.heard(('/reference/points', cloud(scene, [[3.0, 0.4, -0.6]], now - ago, 'laser')))
    surroundings = spied.surroundings(now)
    z = 3.0 + 0.1 - 0.3 - 0.5
    references = surroundings.references
    assert references.rho == pytest.approx([1 / z], rel=1e-6)
    assert references.u == pytest.approx([scene.cx - scene.focal_px * 0.6 / z], abs=1e-3)
    assert references.v == pytest.approx([scene.cy + scene.focal_px * 0.4 / z], abs=1e-3)
    assert references.sigma_rho == pytest.approx(
        [np.sqrt(0.03**2 + (0.01 * z) ** 2 + 0.01**2) / z**2], rel=1e-5
    )
    assert surroundings.ground.height_m == pytest.approx(0.9)
    assert surroundings.ground.pitch_rad == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(surroundings.fixed_from_camera[:3, 3], [1.3, 0.0, 0.9])


def test_without_tf_messages_the_node_says_what_to_do(system, scene, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    spied = Spied(system, scene)
    status = system.status(NAME)
    now = time.time_ns()
    spied.heard(('/reference/points', cloud(scene, POINTS, now, 'laser')))
    surroundings = spied.surroundings(now)
    assert surroundings.references is None
    assert 'tf2_msgs is not installed' in surroundings.problem
    assert 'reference.extrinsics' in surroundings.problem
    system.peer.until(lambda: spied.depths, 'depth')  # of the floor, which needs no reference
    system.peer.until(lambda: 'tf2_msgs' in status.values.get('reference problem', ''), 'status')


def test_a_bad_cloud_costs_no_frame_and_is_counted(system, scene):
    spied = Spied(system, scene)
    status = system.status(NAME)
    now = time.time_ns()
    short = cloud(scene, POINTS, now)
    short.width = 1_000_000
    spied.heard(('/reference/points', short))
    assert 'whole clouds' in spied.surroundings(now).problem
    system.peer.until(lambda: spied.depths, 'depth')
    status.until_count('refused reference/points truncated')
    spied.heard(('/reference/points', cloud(scene, POINTS, now + 1)))
    assert len(spied.surroundings(now + 1).references) == 3
    system.peer.until(
        lambda: '3 points used' in status.values.get('reference/points', ''),
        'status of references',
    )


def test_frames_keep_coming_between_huge_clouds_and_nothing_piles_up(system, scene):
    spied = Spied(system, scene)
    status = system.status(NAME)
    rng = np.random.default_rng(1)
    wall = np.full((MOST_POINTS + 40_000, 3), 4.0, np.float32)
    wall[:, :2] = rng.uniform(-4.0, 4.0, (len(wall), 2))
    now = time.time_ns()
    huge = cloud(scene, wall, now)
    for number in range(1, 9):
        huge.header = scene.header(now + 40_000_000 * number)
        spied.heard(('/reference/points', huge))
        for part in (0, 20_000_000):
            surroundings = spied.surroundings(now + 40_000_000 * number + part)
            assert len(surroundings.references) == MAX_REFERENCES
            np.testing.assert_allclose(surroundings.references.rho, 0.25, rtol=1e-6)
    system.peer.until(lambda: len(spied.depths) >= 8, 'depth')  # of 16, were none overtaken
    kept = list(spied.buffer._kept['reference/points'])
    assert len(kept) == 6
    assert all(one.message is None and len(one.cloud[0]) <= MOST_POINTS for one in kept)
    status.until_count('large reference/points thinned', least=8)


def test_references_are_heard_only_while_they_are_needed(system, scene):
    node = system.start(MonoDepthNode, **SETTINGS)
    system.peer.until(lambda: node.state == 'active', 'active node')
    points = system.peer.advertise('/reference/points', PointCloud2)
    depth = system.peer.advertise('/reference/depth', Image)
    system.peer.until(lambda: system.peer.node.count_subscribers('/tf') == 0, 'no TF')
    heard = system.peer.node.create_subscription(Image, '/depth/image_rect', print, 1)
    system.peer.until(
        lambda: points.get_subscription_count() and depth.get_subscription_count(), 'subscriptions'
    )
    system.peer.node.destroy_subscription(heard)
    system.peer.until(
        lambda: not points.get_subscription_count() + depth.get_subscription_count(), 'the end'
    )


def test_none_is_heard_where_none_is_wanted(system, scene):
    node = system.start(MonoDepthNode, reference__source='none', lazy=False, **SETTINGS)
    points = system.peer.advertise('/reference/points', PointCloud2)
    system.peer.until(lambda: node.state == 'active' and node._inputs.is_open, 'active node')
    assert points.get_subscription_count() == 0
    assert node._references.topics == {}
