"""The viewer over the real middleware: what is published is what the browser gets."""

import argparse
import contextlib
import functools
import http.client
import json
import struct
import threading

from depth_perception.inference.estimator import AUTO_STEREO
from depth_perception.ros.image_codec import image_from_array
from depth_perception.ros.stereo_depth_node import StereoDepthNode
from depth_perception.ros.viewer import Viewer
from depth_perception.view.options import add_view_options
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros


class Browser:
    """Asks for frames in a thread, as the page does, while the peer spins."""

    def __init__(self, server):
        self._port = server.server_address[1]
        self.headers, self.frames = [], []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def get(self, target):
        connection = http.client.HTTPConnection('127.0.0.1', self._port, timeout=30.0)
        with contextlib.closing(connection):
            connection.request('GET', target)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _follow(self):
        after = -1
        while not self._over.is_set():
            data = self.get(f'/frame?after={after}')[1]
            (length,) = struct.unpack('<I', data[4:8])
            header = json.loads(data[8 : 8 + length])
            self.headers.append(header)
            if 'grid' in header:
                after = header['number']
                self.frames.append((header, data[8 + length :]))

    def close(self):
        self._over.set()
        self._thread.join(30.0)


@pytest.fixture
def viewer(system):
    """Return a function that starts a viewer and a browser."""
    open_browsers = []

    def start(*words):
        parser = argparse.ArgumentParser()
        add_view_options(parser)
        options = parser.parse_args(['--port', '0', *words])
        node = system.start(functools.partial(Viewer, options))
        open_browsers.append(Browser(node.server))
        return node, open_browsers[-1]

    yield start
    for browser in open_browsers:
        browser.close()


def halves(frame, name):
    header, parts = frame
    offset, size = header['parts'][name]
    columns, rows = header['grid']
    return np.frombuffer(parts[offset : offset + size], '<f2').reshape(rows, columns)


def test_a_stereo_node_is_found_and_its_pixels_arrive(system, scene, viewer, values_of):
    system.start(
        StereoDepthNode,
        sgbm__num_disparities=32,
        threads=1,
        max_input_age_s=60.0,
        diagnostics_period_s=0.1,
        remaps=('__ns:=/front', 'left/image_rect:=/left/image_rect',
                'right/image_rect:=/right/image_rect'),
    )  # fmt: skip
    depths = system.peer.listen('/front/depth/image_rect', Image)
    sigmas = system.peer.listen('/front/uncertainty/image', Image)
    _, browser = viewer()
    send = lambda: system.send(scene.stereo())  # noqa: E731
    whole = lambda: [f for f in browser.frames if {'sigma', 'image'} <= f[0]['parts'].keys()]  # noqa: E731
    system.peer.until(whole, 'a whole frame in the browser', each=send)
    frame = whole()[-1]
    header = frame[0]
    stamp_of = lambda m: str(m.header.stamp.sec * 10**9 + m.header.stamp.nanosec)  # noqa: E731
    same = lambda heard: [m for m in heard if stamp_of(m) == header['stamp_ns']]  # noqa: E731
    system.peer.until(lambda: same(depths) and same(sigmas), 'the same frame at the peer')
    np.testing.assert_allclose(halves(frame, 'depth'), values_of(same(depths)[0]), rtol=5e-4)
    np.testing.assert_allclose(halves(frame, 'sigma'), values_of(same(sigmas)[0]), rtol=5e-4)
    assert scene.error(halves(frame, 'depth').astype(float)) < 0.01
    assert header['name'] == '/front'
    assert header['camera'] == {'fx': 200.0, 'fy': 200.0, 'cx': 78.5, 'cy': 61.25}
    told = lambda: browser.headers[-1].get('status', {}).get('values', {}).get('model')  # noqa: E731
    assert system.peer.until(told, 'the status', each=send) == AUTO_STEREO


def test_nothing_is_subscribed_to_while_nobody_looks(system, scene, viewer, monkeypatch):
    monkeypatch.setattr('depth_perception.view.feed._WANTED_S', 0.5)
    node, browser = viewer()
    depth = scene.depth.astype(np.float32)
    publisher = system.peer.advertise('/depth/image_rect', Image)
    system.peer.until(publisher.get_subscription_count, 'subscription for the browser')
    held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    status = DiagnosticStatus(level=b'\x01', message='cold', values=[KeyValue(key='a', value='1')])
    system.peer.advertise('/peer/status', DiagnosticStatus, held).publish(status)
    publisher.publish(image_from_array(depth, scene.header(5), '32FC1'))
    publisher.publish(image_from_array(depth, scene.header(6), '32FC1'))
    cold = lambda: browser.headers and browser.headers[-1].get('status', {}).get('message')  # noqa: E731
    assert system.peer.until(cold, 'the status') == 'cold'
    browser.close()
    gone = lambda: publisher.get_subscription_count() == 0  # noqa: E731
    system.peer.until(gone, 'end of the subscription')
    assert node.feeds.names() == ['/']


def test_topics_of_another_depth_camera_can_be_named(system, scene, viewer):
    words = ('--depth', '/cam/depth/image_raw', '--image', '/cam/color/image_raw')
    _, browser = viewer(*words)
    millimetres = np.round(scene.depth * 1000.0).astype(np.uint16)
    colour = np.zeros((scene.height, scene.width, 3), np.uint8)

    def send():
        stamp_ns = send.stamp_ns = send.stamp_ns + 1000
        system.send(
            {
                '/cam/color/image_raw': scene.image(colour, stamp_ns),
                '/cam/depth/camera_info': scene.info(stamp_ns),
                '/cam/depth/image_raw': image_from_array(
                    millimetres, scene.header(stamp_ns), '16UC1'
                ),
            }
        )

    send.stamp_ns = 1000
    whole = lambda: [f for f in browser.frames if 'image' in f[0]['parts'] and f[0]['camera']]  # noqa: E731
    system.peer.until(whole, 'a frame with its image', each=send)
    frame = whole()[-1]
    assert 'sigma' not in frame[0]['parts']
    np.testing.assert_allclose(halves(frame, 'depth'), millimetres / 1000.0, rtol=5e-4)


def test_without_any_camera_the_page_says_what_to_do(system, viewer):
    _, browser = viewer('--namespace', 'front')
    advice = lambda: browser.headers and browser.headers[-1]['remark']  # noqa: E731
    text = system.peer.until(advice, 'advice')
    assert '/front/depth/image_rect' in text
    assert 'ROS_DOMAIN_ID' in text
    assert browser.get('/')[0] == 200
