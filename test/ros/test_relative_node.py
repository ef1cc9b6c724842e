"""A relative network in the live node: metres by references, jumps held back, refusals told."""

from array import array
import time

from depth_perception.ros.mono_depth_node import MonoDepthNode
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2, PointField

pytestmark = pytest.mark.ros
NAME = 'mono_depth_node'


class Robot:
    """A mono node with a relative network, a camera, and a laser in the frame of the camera."""

    def __init__(self, system, scene, pixels, **settings):
        self.system, self.scene, self.pixels = system, scene, pixels
        self.node = system.start(
            MonoDepthNode,
            threads=1,
            max_input_age_s=50.0,
            diagnostics_period_s=0.1,
            reference__source='points',
            reference__sigma_m=0.005,
            **settings,
        )
        self.depths = system.peer.listen('/depth/image_rect', Image)
        self.status = system.status(NAME)
        self.stamp_ns = time.time_ns()
        system.peer.until(lambda: self.node.state == 'active', 'active node')

    def measure(self, factor=1.0):
        """Publish 300 points of the scene, all depths times `factor`, and wait for them."""
        scene = self.scene
        rng = np.random.default_rng(2)
        v, u = rng.integers(0, scene.height, 300), rng.integers(0, scene.width, 300)
        z = factor * scene.depth[v, u]
        x, y = (u - scene.cx) / scene.focal_px * z, (v - scene.cy) / scene.focal_px * z
        message = PointCloud2(header=scene.header(self.stamp_ns), height=1, width=300)
        for index, name in enumerate('xyz'):
            message.fields.append(PointField(name=name, offset=4 * index, datatype=7, count=1))
        message.point_step, message.row_step = 12, 3600
        message.data = array('B', np.stack([x, y, z], axis=1).astype('<f4').tobytes())
        buffer = self.node._references.buffer
        before = buffer.received['reference/points']
        self.system.peer.publish('/reference/points', message)
        self.system.peer.until(
            lambda: buffer.received['reference/points'] > before, 'points in the node'
        )

    def look(self):
        """Send a picture, 50 ms after the last."""
        self.system.send(
            {
                '/camera_info': self.scene.info(self.stamp_ns),
                '/image': self.scene.image(self.pixels, self.stamp_ns),
            }
        )

    def frame(self, factor=None):
        """Return the median of published depth over truth for one more frame."""
        self.stamp_ns += 50_000_000
        if factor is not None:
            self.measure(factor)
        before = len(self.depths)
        self.look()
        self.system.peer.until(lambda: len(self.depths) > before, 'depth')
        image = self.depths[-1]
        depth = np.frombuffer(image.data, '<f4').reshape(image.height, image.width)
        return float(np.nanmedian(depth / self.scene.depth))


@pytest.fixture
def robot(system, scene, coded_network, tmp_path):
    pixels = coded_network.picture_of((1.0 / scene.depth + 0.1) / 2.0)
    model = coded_network.write_network(tmp_path)
    return lambda **settings: Robot(system, scene, pixels, model=model, **settings)


def test_metres_come_from_the_points_and_are_carried_on(robot):
    robot = robot()
    assert robot.frame(1.0) == pytest.approx(1.0, abs=0.01)
    values = robot.status.until_count('scale references', least=200)
    assert values['scale rung'] == 'references'
    assert float(values['scale s']) == pytest.approx(2.0, rel=0.03)
    assert float(values['scale t']) == pytest.approx(-0.1, abs=0.02)
    assert int(values['scale references that agree']) > 200
    assert values['scale references from'] == 'the reference topics'
    robot.stamp_ns += 400_000_000  # the points are too old now
    assert robot.frame() == pytest.approx(1.0, abs=0.01)
    robot.system.peer.until(
        lambda: robot.status.values.get('scale rung') == 'filtered', 'carried scale'
    )
    assert 'no references' in robot.status.values['scale not from references']


def test_jump_of_one_frame_never_reaches_the_topic_and_a_lasting_one_does(robot):
    robot = robot()
    for _ in range(4):
        assert robot.frame(1.0) == pytest.approx(1.0, abs=0.02)
    assert robot.frame(1.3) == pytest.approx(1.0, abs=0.03)
    error = robot.status.until_message('held back')
    assert error.level == DiagnosticStatus.ERROR
    for _ in range(3):
        assert robot.frame(1.0) == pytest.approx(1.0, abs=0.02)
    lasting = [robot.frame(1.3) for _ in range(5)]
    assert lasting[0] == pytest.approx(1.0, abs=0.03)
    assert lasting[-1] == pytest.approx(1.3, abs=0.03)
    robot.status.until_message('is followed')


def test_without_any_source_nothing_is_published_and_the_status_says_why(robot):
    robot = robot()
    robot.look()
    error = robot.status.until_message('nothing is published')
    assert error.level == DiagnosticStatus.ERROR
    for part in ('reference/points: nothing has come yet', 'no ground plane is known'):
        assert part in error.message
    assert robot.depths == []
    robot.status.until_count('dropped not_metric')


def test_by_default_our_network_serves_where_points_give_the_metres(system, new_scene, shared_dir):
    cv2 = pytest.importorskip('cv2')
    stem = shared_dir / 'data' / 'kinect_sequence' / 'frame-000024'
    pixels = cv2.imread(f'{stem}.color.jpg')[..., ::-1]
    depth = cv2.imread(f'{stem}.depth.png', cv2.IMREAD_UNCHANGED) / 1000.0
    scene = new_scene(width=640, height=480)
    scene.focal_px, scene.cx, scene.cy = 585.0, 320.0, 240.0
    scene.depth = np.where((depth > 0.0) & (depth < 60.0), depth, np.nan)
    robot = Robot(system, scene, np.ascontiguousarray(pixels), scale__method='references')
    assert robot.node._estimator.card.id == 'room-depth'
    assert robot.frame(1.0) == pytest.approx(1.0, abs=0.05)
    image = robot.depths[-1]
    found = np.frombuffer(image.data, '<f4').reshape(image.height, image.width)
    error = np.abs(found / scene.depth - 1.0)
    assert np.nanmean(error[np.isfinite(found)]) < 0.2
    assert np.isfinite(found).mean() > 0.7
    values = robot.status.until_count('scale references', least=150)
    assert values['scale rung'] == 'references'
