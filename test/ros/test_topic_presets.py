"""Standing in for other drivers: the same names, types, encodings, units, frames and QoS."""

from array import array

from compressed_depth import read
from depth_perception.inference.topic_presets import topic_preset
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

pytestmark = pytest.mark.ros

# What a reader of each driver subscribes to; the facts are in docs/compatibility.md.
READERS = {
    'realsense': {
        '/camera/camera/depth/image_rect_raw': Image,
        '/camera/camera/depth/image_rect_raw/compressedDepth': CompressedImage,
        '/camera/camera/depth/camera_info': CameraInfo,
        '/camera/camera/depth/color/points': PointCloud2,
    },
    'zed': {
        '/zed/zed_node/depth/depth_registered': Image,
        '/zed/zed_node/depth/camera_info': CameraInfo,
        '/zed/zed_node/confidence/confidence_map': Image,
        '/zed/zed_node/confidence/camera_info': CameraInfo,
        '/zed/zed_node/point_cloud/cloud_registered': PointCloud2,
        '/zed/zed_node/disparity/map': DisparityImage,
    },
    'isaac': {'/disparity': DisparityImage, '/depth': Image, '/points2': PointCloud2},
}
# Where each publishes what we read: the images, in our order, and their camera_infos.
SOURCES = {
    'realsense': [
        f'/camera/camera/{side}/{name}'
        for name in ('image_rect_raw', 'camera_info')
        for side in ('infra1', 'infra2')
    ],
    'zed': [
        f'/zed/zed_node/{side}/color/rect/{name}'
        for name in ('image', 'camera_info')
        for side in ('left', 'right')
    ],
    'isaac': [
        f'/{side}/{name}'
        for name in ('image_rect', 'camera_info_rect')
        for side in ('left', 'right')
    ],
}
OWN = ('/left/image_rect', '/right/image_rect', '/left/camera_info', '/right/camera_info')
OUR_DEPTH, OUR_CONFIDENCE = '/plain/depth/image_rect', '/plain/confidence/image'


def frame_of(name, scene):
    """Return topic -> message of one pair as a driver publishes it, and under our names too."""
    sent = dict(zip(SOURCES[name], map(scene.stereo().get, OWN), strict=True))
    if name == 'zed':  # bgra8
        for topic in SOURCES[name][:2]:
            image = sent[topic]
            grey = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 1)
            pixels = np.concatenate([grey.repeat(3, axis=2), np.full_like(grey, 255)], axis=2)
            image.encoding, image.step = 'bgra8', 4 * image.width
            image.data = array('B', pixels.tobytes())
    return sent


def xyz_of(cloud):
    """Return (N, 3) by the names of the fields, as readers of clouds do."""
    offsets = [next(f.offset for f in cloud.fields if f.name == axis) // 4 for axis in 'xyz']
    rows = np.frombuffer(cloud.data, '<f4').reshape(-1, cloud.point_step // 4)
    return rows[:, offsets]


@pytest.fixture
def stand_in(system, scene, values_of):
    """Return what a node under a preset publishes, and the depth and confidence behind it."""

    def run(name):
        preset = topic_preset(name, 'stereo')
        names = {**preset.inputs, **preset.outputs}
        shared = {'sgbm__num_disparities': 32, 'threads': 1, 'max_input_age_s': 10.0}
        remaps = [f'{own}:={other}' for own, other in names.items()]
        system.start(StereoDepthNode, **shared, **preset.parameters, remaps=remaps)
        inputs = [f'{own}:={other}' for own, other in preset.inputs.items()]
        plain = [f'{t[7:]}:={t}' for t in (OUR_DEPTH, OUR_CONFIDENCE)]
        remaps = [*inputs, *plain, 'depth/camera_info:=/plain/depth/camera_info']
        remaps += ['confidence/camera_info:=/plain/confidence/camera_info']
        system.start(StereoDepthNode, **shared, remaps=['__node:=plain', *remaps])
        heard = {t: system.peer.listen(t, kind) for t, kind in READERS[name].items()}
        ours = [system.peer.listen(t, Image) for t in (OUR_DEPTH, OUR_CONFIDENCE)]
        send = lambda: system.send(frame_of(name, scene))  # noqa: E731
        complete = lambda: all(heard.values()) and all(ours)  # noqa: E731
        system.peer.until(complete, f'all outputs under {name}', each=send)
        for topic in READERS[name]:
            offered = {
                (e.qos_profile.reliability, e.qos_profile.durability)
                for e in system.peer.node.get_publishers_info_by_topic(topic)
            }
            assert offered == {(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)}
        depth, confidence = (values_of(messages[-1]) for messages in ours)
        assert scene.error(depth) < 0.01
        return {topic: messages[-1] for topic, messages in heard.items()}, depth, confidence

    return run


def test_realsense(stand_in, scene):
    heard, depth, _ = stand_in('realsense')
    image, compressed, info, cloud = heard.values()
    assert (image.encoding, image.step, image.is_bigendian) == ('16UC1', 2 * scene.width, 0)
    millimetres = np.frombuffer(image.data, '<u2').reshape(depth.shape)
    wanted = np.where(np.isfinite(depth), np.rint(depth * np.float32(1000.0)), 0)
    np.testing.assert_array_equal(millimetres, wanted)
    assert compressed.format == '16UC1; compressedDepth png'
    np.testing.assert_array_equal(read(compressed), millimetres)
    assert {m.header.frame_id for m in heard.values()} == {'camera_depth_optical_frame'}
    assert (info.width, info.height, info.p[0]) == (scene.width, scene.height, scene.focal_px)
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, np.isfinite(depth).sum(), True)
    points = xyz_of(cloud)
    np.testing.assert_array_equal(points[:, 2], depth[np.isfinite(depth)])


def test_zed(stand_in, scene, values_of):
    heard, depth, confidence = stand_in('zed')
    image, _, doubt, _, cloud, disparity = heard.values()
    assert (image.encoding, doubt.encoding) == ('32FC1', '32FC1')
    np.testing.assert_array_equal(values_of(image), depth)
    np.testing.assert_allclose(values_of(doubt), np.clip(100 * (1 - confidence), 1, 100), 1e-5)
    assert values_of(doubt)[np.isnan(depth)].min() == 100.0  # 100 is the worst, not the best
    assert image.header.frame_id == 'left_optical'  # as the image
    assert cloud.header.frame_id == 'zed_left_camera_frame'  # x forward
    x, y, z = xyz_of(cloud).reshape(*depth.shape, 3).transpose(2, 0, 1)
    known = np.isfinite(depth)
    np.testing.assert_array_equal(x[known], depth[known])
    columns, rows = np.meshgrid(np.arange(scene.width), np.arange(scene.height))
    left = -(columns - scene.cx) / scene.focal_px * depth
    up = -(rows - scene.cy) / scene.focal_px * depth
    np.testing.assert_allclose(y[known], left[known], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(z[known], up[known], rtol=1e-4, atol=1e-6)
    assert_depth_of(disparity, depth)


def assert_depth_of(disparity, depth):
    values = np.frombuffer(disparity.image.data, '<f4').reshape(depth.shape)
    seen = values > 0.0  # how readers of Isaac and of OpenCV tell
    known = np.isfinite(depth)
    np.testing.assert_array_equal(seen[known], np.ones(known.sum(), np.bool_))
    np.testing.assert_allclose(disparity.f * disparity.t / values[known], depth[known], rtol=1e-4)


def test_isaac(stand_in, values_of):
    heard, depth, _ = stand_in('isaac')
    disparity, image, cloud = heard.values()
    np.testing.assert_array_equal(values_of(image), depth)
    assert image.encoding == '32FC1'
    assert_depth_of(disparity, depth)
    assert {m.header.frame_id for m in heard.values()} == {'left_optical'}
    np.testing.assert_array_equal(np.isfinite(xyz_of(cloud)[:, 2]), np.isfinite(depth).ravel())
