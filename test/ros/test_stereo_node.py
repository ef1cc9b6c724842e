"""The stereo node over the real middleware: published numbers, stamps, laziness, live settings."""

import sys
import threading
import time

from depth_perception.messages.clouds import xyz_from_cloud
from depth_perception.messages.compressed import depth_from_compressed_depth
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

pytestmark = pytest.mark.ros
SMALL = {
    'sgbm__num_disparities': 32,
    'threads': 1,
    'max_input_age_s': 50.0,
    'diagnostics_period_s': 0.1,
}
TOPICS = {
    '/depth/image_rect': Image,
    '/depth/camera_info': CameraInfo,
    '/depth/image_rect/compressedDepth': CompressedImage,
    '/uncertainty/image': Image,
    '/uncertainty/camera_info': CameraInfo,
    '/confidence/image': Image,
    '/confidence/camera_info': CameraInfo,
    '/points': PointCloud2,
    '/disparity': DisparityImage,
}


@pytest.fixture
def everything(system, scene):
    """Return topic -> message of all outputs of one frame, some of it out of range."""
    system.start(StereoDepthNode, **SMALL, max_depth_m=1.7, min_depth_m=1.2)
    heard = {topic: system.peer.listen(topic, kind) for topic, kind in TOPICS.items()}
    matched = lambda: all(  # noqa: E731 - every output must be wanted before the frame is sent
        system.peer.node.count_publishers(topic) for topic in TOPICS
    )
    system.peer.until(matched, 'discovery')
    complete = lambda: all(heard.values())  # noqa: E731
    system.peer.until(complete, 'all outputs', each=lambda: system.send(scene.stereo()))
    return heard


def newest_common(heard):
    """Return the messages of the newest stamp that all topics have."""
    stamps = [
        {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in ms} for ms in heard.values()
    ]
    stamp = max(set.intersection(*(set(s) for s in stamps)))
    return {topic: table[stamp] for topic, table in zip(heard, stamps, strict=True)}


def test_depth_of_a_rendered_scene_is_right(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    depth = system.depth_after(heard, scene.stereo())
    assert scene.error(depth) < 0.01


def test_network_that_ships_runs_in_the_node(system, scene):
    system.start(StereoDepthNode, **SMALL, model='depth-perception-stereo-small')
    status = system.status()
    heard = system.peer.listen('/depth/image_rect', Image)
    depth = system.depth_after(heard, scene.stereo())
    assert scene.error(depth) < 0.03
    system.peer.until(lambda: 'model' in status.values, 'status')
    assert status.values['model'] == 'depth-perception-stereo-small'


def test_without_a_runtime_the_matcher_serves_alone_and_the_log_says_so(
    system, scene, monkeypatch, capfd
):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    system.start(StereoDepthNode, **SMALL)
    status = system.status()
    heard = system.peer.listen('/depth/image_rect', Image)
    depth = system.depth_after(heard, scene.stereo())
    assert scene.error(depth) < 0.01
    system.peer.until(lambda: 'model' in status.values, 'status')
    assert status.values['model'] == 'sgbm'
    said = ''.join(capfd.readouterr())
    assert 'the matcher alone (sgbm) instead of depth-perception-stereo: ONNX Runtime' in said


def test_all_outputs_carry_the_header_of_the_left_image(everything):
    messages = newest_common(everything)
    headers = [m.header for m in messages.values()]
    assert all(header == headers[0] for header in headers)
    assert headers[0].frame_id == 'left_optical'
    assert messages['/disparity'].image.header == headers[0]


def test_camera_infos_are_identical_and_describe_the_left_camera(everything, scene):
    messages = newest_common(everything)
    infos = [messages[f'/{group}/camera_info'] for group in ('depth', 'uncertainty', 'confidence')]
    assert infos[0] == infos[1] == infos[2]
    assert (infos[0].width, infos[0].height) == (scene.width, scene.height)
    assert infos[0].p[2] == scene.cx
    assert infos[0].p[3] == 0.0


def test_convention_depth_values(everything, scene, values_of):
    """REP 117/118: -Inf nearer than 1.2 m, +Inf beyond 1.7 m, NaN unknown, never 0."""
    image = newest_common(everything)['/depth/image_rect']
    depth = values_of(image)
    assert (image.encoding, image.is_bigendian, image.step) == ('32FC1', 0, 4 * scene.width)
    assert np.isposinf(depth[scene.depth > 1.75]).mean() > 0.5
    assert np.isneginf(depth[scene.depth < 1.15]).mean() > 0.5
    finite = depth[np.isfinite(depth)]
    assert finite.min() >= 1.2
    assert finite.max() <= 1.7
    assert np.isnan(depth).any()


def test_convention_uncertainty_and_confidence(everything, values_of):
    messages = newest_common(everything)
    depth, sigma, confidence = (
        values_of(messages[f'/{name}'])
        for name in ('depth/image_rect', 'uncertainty/image', 'confidence/image')
    )
    known = np.isfinite(depth)
    assert np.array_equal(sigma > 0.0, known)
    assert np.isnan(sigma[~known]).all()
    assert (sigma[known] < depth[known]).all()
    assert ((confidence >= 0.0) & (confidence <= 1.0)).all()
    assert (confidence[~known] == 0.0).all()
    assert (confidence[known] > 0.0).all()


def test_convention_cloud_holds_nan_but_never_infinity(everything, scene, values_of):
    messages = newest_common(everything)
    cloud, depth = messages['/points'], values_of(messages['/depth/image_rect'])
    assert (cloud.height, cloud.width, cloud.is_dense) == (scene.height, scene.width, False)
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'rgb', 'uncertainty']
    rows = np.frombuffer(cloud.data, '<f4').reshape(scene.height, scene.width, -1)
    assert not np.isinf(rows[..., [0, 1, 2, 4]]).any()
    assert np.array_equal(rows[..., 2], np.where(np.isfinite(depth), depth, np.nan), True)
    assert len(xyz_from_cloud(cloud)) == np.isfinite(depth).sum()
    v, u = np.argwhere(np.isfinite(depth))[7]
    assert rows[v, u, 0] == pytest.approx((u - scene.cx) / 200.0 * depth[v, u], rel=1e-5)


def test_convention_disparity_message_alone_gives_the_depth(everything, scene, values_of):
    messages = newest_common(everything)
    message, depth = messages['/disparity'], values_of(messages['/depth/image_rect'])
    disparity, known = values_of(message.image), np.isfinite(depth)
    assert message.f * message.t / disparity[known] == pytest.approx(depth[known], rel=1e-4)
    assert (disparity[~known] < message.min_disparity).all()
    assert (message.delta_d, message.t) == (0.0625, pytest.approx(scene.baseline_m))


def test_compressed_depth_is_the_depth(everything, values_of):
    messages = newest_common(everything)
    depth = values_of(messages['/depth/image_rect'])
    unpacked = depth_from_compressed_depth(messages['/depth/image_rect/compressedDepth'])
    known = np.isfinite(depth)
    assert np.array_equal(np.isfinite(unpacked), known)
    assert unpacked[known] == pytest.approx(depth[known], rel=1e-3)


def test_inputs_are_subscribed_only_while_somebody_listens(system, scene):
    system.start(StereoDepthNode, **SMALL)
    peer = system.peer
    status = system.status()
    status.until_message('idle')
    camera = peer.node.create_publisher(Image, '/left/image_rect', 1)
    peer.until(lambda: peer.node.count_subscribers('/depth/image_rect') == 0, 'silence')
    assert camera.get_subscription_count() == 0
    listener = peer.node.create_subscription(Image, '/depth/image_rect', lambda _: None, 1)
    peer.until(camera.get_subscription_count, 'subscription')
    peer.node.destroy_subscription(listener)
    peer.until(lambda: camera.get_subscription_count() == 0, 'end of the subscription')
    status.until_message('idle')


def test_without_lazy_inputs_stay_subscribed_but_nothing_is_inferred(system, scene):
    system.start(StereoDepthNode, **SMALL, lazy=False)
    status = system.status()
    system.send(scene.stereo())
    values = status.until_count('dropped no_subscriber')
    assert values['frames out'] == '0'


def farthest(depth):
    return depth[np.isfinite(depth)].max()


def test_live_change_takes_effect_and_a_wrong_one_is_refused(system, scene, values_of):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    before = system.depth_after(heard, scene.stereo())
    change = system.peer.set_parameter
    assert change('stereo_depth_node', 'max_depth_m', 1.5) == (True, '')
    assert farthest(before) > 1.7
    nearer = lambda: farthest(values_of(heard[-1])) <= 1.5  # noqa: E731
    system.peer.until(nearer, 'new range', each=lambda: system.send(scene.stereo()))
    accepted, reason = change('stereo_depth_node', 'min_depth_m', 1.6)
    assert not accepted
    assert 'min_depth_m (1.6) must be below max_depth_m (1.5)' in reason
    accepted, reason = change('stereo_depth_node', 'sgbm.block_size', 7)
    assert not accepted
    assert 'read-only' in reason


def test_changed_camera_info_changes_the_depth(system, scene):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    system.depth_after(heard, scene.stereo())
    scene.baseline_m, scene.depth = 0.2, 2.0 * scene.depth
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01


@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
def test_inputs_adapt_to_their_publishers(system, scene, reliability):
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])

    def send():
        for topic, message in scene.stereo().items():
            system.peer.publish(topic, message, qos)

    system.peer.until(lambda: heard, 'depth image', each=send)
    adapted = lambda: status.values.get('input left/image_rect', '').endswith(  # noqa: E731
        reliability
    )
    system.peer.until(adapted, f'{reliability} subscription')


def test_compressed_input(system, scene):
    import cv2

    system.start(StereoDepthNode, **SMALL, image_transport='compressed')
    heard = system.peer.listen('/depth/image_rect', Image)
    messages = scene.stereo()
    for side, pixels in (('left', scene.left), ('right', scene.right)):
        raw = messages.pop(f'/{side}/image_rect')
        packed = CompressedImage(header=raw.header, format='png')
        packed.data = cv2.imencode('.png', pixels)[1].tobytes()
        messages[f'/{side}/image_rect/compressed'] = packed
    assert scene.error(system.depth_after(heard, messages)) < 0.01


def test_cached_camera_info_serves_images_of_other_stamps(system, scene, values_of):
    system.start(StereoDepthNode, **SMALL, cache_camera_info=True)
    heard = system.peer.listen('/depth/image_rect', Image)
    messages = scene.stereo(stamp_ns=time.time_ns() - 1_000_000_000)
    infos = {topic: messages[topic] for topic in messages if topic.endswith('info')}
    system.send(infos)

    def send_images():
        images = scene.stereo()
        system.send({topic: images[topic] for topic in images if topic not in infos})

    system.peer.until(lambda: heard, 'depth image', each=send_images)
    assert scene.error(values_of(heard[-1])) < 0.01


def test_simulated_time_jumping_back_starts_afresh(system, scene):
    node = system.start(StereoDepthNode, **SMALL, use_sim_time=True)
    heard = system.peer.listen('/depth/image_rect', Image)
    for stamp_ns in (1000 * 10**9, 20 * 10**9):
        system.peer.publish('/clock', Clock(clock=scene.header(stamp_ns).stamp))
        told = lambda now=stamp_ns: node.get_clock().now().nanoseconds == now  # noqa: E731
        system.peer.until(told, 'the time in the node')
        depth = system.depth_after(heard, scene.stereo(stamp_ns=stamp_ns))
        assert heard[-1].header.stamp.sec == stamp_ns // 10**9
        assert scene.error(depth) < 0.01


def test_every_frame_is_published_or_counted(system, scene):
    """A burst is more than one worker can serve: the newest win, the others are counted."""
    system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    status = system.status()
    system.depth_after(heard, scene.stereo())
    for _ in range(40):
        system.send(scene.stereo())
    last = scene.stereo()
    system.send(last)
    stamp = last['/left/image_rect'].header.stamp
    system.peer.until(lambda: heard[-1].header.stamp == stamp, 'the newest frame')
    served = lambda: (  # noqa: E731
        status.count('frames out') + status.count('frames dropped')
        == status.count('frames in')
        > 2
    )
    system.peer.until(served, 'all frames accounted for')


def test_under_overload_the_newest_frame_is_served_never_a_queue(system, scene):
    """Ten frames come while one is served: the last of them is the next, the others are lost."""
    node = system.start(StereoDepthNode, **SMALL)
    heard = system.peer.listen('/depth/image_rect', Image)
    system.depth_after(heard, scene.stereo())
    begin, begun, go_on = node._estimator.begin, threading.Event(), threading.Semaphore(0)

    def held(frame):
        begun.set()
        assert go_on.acquire(timeout=60.0)
        return begin(frame)

    def send():
        pair, before = scene.stereo(), node._ledger.frames_in
        system.send(pair)
        system.peer.until(lambda: node._ledger.frames_in > before, 'a frame in the node')
        return pair['/left/image_rect'].header.stamp

    node._estimator.begin = held
    wanted = [heard[0].header.stamp, send()]
    for _ in range(3):
        system.peer.until(begun.is_set, 'the worker at work')
        begun.clear()
        wanted.append([send() for _ in range(10)][-1])
        go_on.release()
    go_on.release()
    system.peer.until(lambda: len(heard) == len(wanted), 'the newest frames')
    assert [image.header.stamp for image in heard] == wanted
    assert node._ledger.drops() == {'overload': 3 * 9}


def test_simulated_time_without_a_clock_is_pointed_out(system, scene, capfd):
    system.start(StereoDepthNode, **SMALL, use_sim_time=True)
    heard = system.peer.listen('/depth/image_rect', Image)
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
    assert 'nobody publishes /clock' in capfd.readouterr().err
