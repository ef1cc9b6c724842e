"""The evaluation sees what the robot sees: one bag, live and offline, gives the same bits."""

from depth_perception.evaluation.bag_writer import METADATA_VERSION
from depth_perception.evaluation.bags import Recording, typestore
from depth_perception.evaluation.offline import DropCounter, OfflineInputs, reader_of
from depth_perception.evaluation.references import RecordedReferences, ReferenceStreams
from depth_perception.evaluation.session import Server
from depth_perception.evaluation.streams import find_cameras, TruthStreams
from depth_perception.evaluation.truth import TruthSource
from depth_perception.evaluation.units import Span
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

rosbag2 = pytest.importorskip('rosbags.rosbag2')
pytestmark = pytest.mark.ros
FRAMES = 3
KINDS = {kind: kind.__name__ for kind in (Image, CameraInfo, CompressedImage, PointCloud2)}
SGBM = {
    'model': 'sgbm',
    'sgbm__num_disparities': 32,
    'max_input_age_s': 0.0,
    'diagnostics_period_s': 0.1,
}
FLOOR = {'ground__camera_height_m': 0.8, 'max_input_age_s': 0.0, 'diagnostics_period_s': 0.1}


@pytest.fixture
def record(tmp_path):
    """Return a function that records topic -> message of some frames, and returns the bag."""

    def write(frames):
        store, path, connections = typestore(), tmp_path / 'bag', {}
        plugin = rosbag2.StoragePlugin.MCAP
        with rosbag2.Writer(path, version=METADATA_VERSION, storage_plugin=plugin) as writer:
            for number, messages in enumerate(frames):
                for topic, message in messages.items():
                    kind = f'sensor_msgs/msg/{KINDS[type(message)]}'
                    if topic not in connections:
                        connections[topic] = writer.add_connection(topic, kind, typestore=store)
                    writer.write(
                        connections[topic], 10**9 * (number + 1), serialize_message(message)
                    )
        return path

    return write


def played(bag):
    """Yield topic -> ROS message of each recorded frame."""
    kinds = {f'sensor_msgs/msg/{name}': kind for kind, name in KINDS.items()}
    with rosbag2.Reader(bag) as reader:
        frames = {}
        for connection, log_ns, data in reader.messages():
            message = deserialize_message(bytes(data), kinds[connection.msgtype])
            frames.setdefault(log_ns, {})[connection.topic] = message
    return list(frames.values())


def live(system, node_class, bag, **settings):
    """Return the depth images that the live node publishes."""
    node = system.start(node_class, **settings)
    heard = system.peer.listen('/depth/image_rect', Image)
    depths = []
    for number, messages in enumerate(played(bag)):
        if points := messages.pop('/reference/points', None):
            system.peer.publish('/reference/points', points)
            received = node._references.buffer.received
            known = lambda n=number: received['reference/points'] > n  # noqa: E731, B023
            system.peer.until(known, 'points in the node')
        depths.append(system.depth_after(heard, messages))
    return depths


def offline(bag, settings, references=None):
    """Return the depth images of the evaluation."""
    drops = DropCounter()
    with Recording(bag) as recording, open_estimator(settings) as estimator:
        (camera,) = find_cameras(recording)
        source = TruthSource(TruthStreams(), None, tolerance_ns=0)
        inputs = OfflineInputs(recording, camera, settings, source, drops)
        if references is not None:
            inputs.references = RecordedReferences(recording, references, settings)
        server = Server(reader_of(camera, settings), estimator)
        depths = [server.serve(messages).estimate.depth for messages in inputs.sets(Span())]
    assert not drops.counts
    return depths


def assert_same_bits(one, other):
    assert len(one) == len(other) == FRAMES
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))
    known = [np.isfinite(depth) for depth in one]
    assert all(mask.mean() > 0.2 for mask in known)
    assert any(not np.array_equal(one[0], depth) for depth in one[1:])  # frames that differ


def scenes(new_scene, *, noise=0):
    """Yield scenes that look different."""
    for seed in range(FRAMES):
        scene = new_scene(seed)
        rng = np.random.default_rng(seed)
        shape = scene.left.shape
        scene.left = (scene.left // 2 + rng.integers(0, noise + 1, shape)).astype(np.uint8)
        scene.right = (scene.right // 2).astype(np.uint8)
        yield seed, scene


def stamp(number):
    return 1_700_000_000_000_000_000 + number * 100_000_000


@pytest.mark.parametrize('weight', [0.0, 0.5])
def test_stereo(system, new_scene, record, weight):
    bag = record(s.stereo(stamp(n)) for n, s in scenes(new_scene, noise=3))
    settings = {**SGBM, 'filters__temporal_weight': weight}
    assert_same_bits(
        live(system, StereoDepthNode, bag, **settings), offline(bag, StereoSettings(**settings))
    )


def test_raw_images_are_rectified_alike(system, new_scene, record):
    def raw(scene, stamp_ns):
        messages = {
            t.replace('image_rect', 'image_raw'): m for t, m in scene.stereo(stamp_ns).items()
        }
        for side in ('left', 'right'):
            messages[f'/{side}/camera_info'].d = [-0.08, 0.02, 0.001, -0.0005, 0.0]
        return messages

    bag = record(raw(s, stamp(n)) for n, s in scenes(new_scene))
    remaps = ['left/image_rect:=/left/image_raw', 'right/image_rect:=/right/image_raw']
    assert_same_bits(
        live(system, StereoDepthNode, bag, remaps=remaps, **SGBM),
        offline(bag, StereoSettings(**SGBM)),
    )


def test_compressed_images(system, new_scene, record):
    cv2 = pytest.importorskip('cv2')

    def packed(scene, stamp_ns):
        messages = {}
        for topic, message in scene.stereo(stamp_ns).items():
            if isinstance(message, CameraInfo):
                messages[topic] = message
                continue
            pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
            jpeg = cv2.imencode('.jpg', pixels)[1].tobytes()
            messages[f'{topic}/compressed'] = CompressedImage(
                header=message.header, format='mono8; jpeg compressed ', data=jpeg
            )
        return messages

    bag = record(packed(s, stamp(n)) for n, s in scenes(new_scene))
    settings = {**SGBM, 'image_transport': 'compressed'}
    assert_same_bits(
        live(system, StereoDepthNode, bag, **settings), offline(bag, StereoSettings(**settings))
    )


def test_mono_network(system, new_scene, record):
    pytest.importorskip('onnxruntime')

    def mono(scene, stamp_ns):
        floor = np.linspace(60, 140, scene.height, dtype=np.uint8)[:, None, None]
        image = np.broadcast_to(floor, (scene.height, scene.width, 3)).copy()
        image[: scene.height // 2, :, 2] = scene.left[: scene.height // 2]
        image[-40:, 20 : 20 + scene.left[0, 0] // 4 + 20, 0] = 230
        return {'/camera_info': scene.info(stamp_ns), '/image': scene.image(image, stamp_ns)}

    bag = record(mono(s, stamp(n)) for n, s in scenes(new_scene))
    assert_same_bits(
        live(system, MonoDepthNode, bag, **FLOOR), offline(bag, MonoSettings(**FLOOR))
    )


def test_references_make_the_same_metres(system, new_scene, record, coded_network, tmp_path):
    """A relative network and a laser, whose extrinsics are given, because wheels have no TF."""
    generator, truths = np.random.default_rng(4), []

    def measured(scene, stamp_ns):
        """Return a cloud of float64 in big-endian, as no driver here would send it."""
        v, u = generator.integers(0, scene.height, 400), generator.integers(0, scene.width, 400)
        z = scene.depth[v, u]
        x, y = (u - scene.cx) / scene.focal_px * z, (v - scene.cy) / scene.focal_px * z
        points = np.stack([z + 0.1, 0.2 - x, 0.3 - y], 1)
        fields = [
            PointField(name=n, offset=8 * i, datatype=8, count=1) for i, n in enumerate('xyz')
        ]
        message = PointCloud2(header=scene.header(stamp_ns, 'laser'), fields=fields)
        message.height, message.width, message.point_step, message.row_step = 1, 400, 24, 9600
        message.is_bigendian = True
        message.data.frombytes(points.astype('>f8').tobytes())
        return message

    def frame(number, scene):
        scene.depth = scene.depth * (1.0 + 0.1 * number)
        truths.append(scene.depth)
        pixels = coded_network.picture_of((1.0 / scene.depth + 0.1) / 2.0)
        return {
            '/reference/points': measured(scene, stamp(number)),
            '/camera_info': scene.info(stamp(number)),
            '/image': scene.image(pixels, stamp(number)),
        }

    bag = record(frame(n, s) for n, s in scenes(new_scene))
    settings = {
        'model': coded_network.write_network(tmp_path),
        'reference__source': 'points',
        'reference__wait_s': 0.4,
        'reference__extrinsics': '0.2 0.3 -0.1 1.5707963267948966 -1.5707963267948966 0',
        'max_input_age_s': 0.0,
        'diagnostics_period_s': 0.1,
    }
    depths = live(system, MonoDepthNode, bag, **settings)
    streams = ReferenceStreams(points='/reference/points')
    assert_same_bits(depths, offline(bag, MonoSettings(**settings), streams))
    for depth, truth in zip(depths, truths, strict=True):
        assert np.nanmedian(np.abs(depth / truth - 1.0)) < 0.005
