"""Cameras that publish on a real graph, each with one fault planted, or with none."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
import math
import threading
import time

from builtin_interfaces.msg import Time
from depth_perception.core.camera import PinholeCamera
from depth_perception.evaluation.rendered import rendered_view, shifted
import numpy as np
import rclpy
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

WIDTH, HEIGHT, FOCAL_PX, BASELINE_M = 200, 150, 165.0, 0.12
PERIOD_S = 0.2


def scene():
    """Return left and right grey images of the rendered scene."""
    camera = PinholeCamera(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 99.5, 69.5)
    left, _ = rendered_view(camera)
    right, _ = rendered_view(camera, shifted(np.eye(4), BASELINE_M))
    return tuple(
        np.ascontiguousarray(view.mean(axis=2).astype(np.uint8)) for view in (left, right)
    )


def header(stamp_ns, frame_id):
    seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def image(pixels, stamp_ns, frame_id, encoding='mono8'):
    message = Image(header=header(stamp_ns, frame_id), encoding=encoding)
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.nbytes // pixels.shape[0]
    message.data = array('B', pixels.tobytes())
    return message


def info(stamp_ns, frame_id, baseline_m=0.0):
    message = CameraInfo(header=header(stamp_ns, frame_id), distortion_model='plumb_bob')
    message.width, message.height = WIDTH, HEIGHT
    f, cx, cy = FOCAL_PX, 99.5, 69.5
    message.k = [f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [f, 0.0, cx, -f * baseline_m, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.d = [0.0] * 5
    return message


@dataclass
class Camera:
    """A camera or a pair; `change` may alter each set of messages, or drop some of them.

    Attributes:
        name: Namespace.
        sides: 'left' and 'right', or '' for a mono camera.
        change: Called with {(side, 'image' | 'info'): message} and the number of the frame.
        image_name: Last part of the image topics.
        qos: Quality of service of all its publishers.
        kinds: (side, 'image' | 'info') -> message type, where that is another one.
        twice: Publish the images from a second publisher too.
        clock_ns: Gives the stamps.
    """

    name: str
    sides: tuple = ('left', 'right')
    change: object = None
    image_name: str = 'image_rect'
    qos: object = 5
    kinds: dict = field(default_factory=dict)
    twice: bool = False
    clock_ns: object = time.time_ns

    def topic(self, side, what):
        last = self.image_name if what == 'image' else 'camera_info'
        return '/'.join(['', self.name, *([side] if side else []), last])


class Robot:
    """Publishes all cameras from one thread, in a participant of its own."""

    def __init__(self, domain_id):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node('robot', context=self.context)
        self.views = dict(zip(('left', 'right'), scene(), strict=True))
        self.views[''] = self.views['left']
        self.jobs = []
        self.errors = []
        self.each = lambda: None  # called once in every period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def publisher(self, kind, topic, qos=5):
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        return self.node.create_publisher(kind, topic, qos, event_callbacks=silent)

    def add(self, camera):
        publishers = {}
        for side in camera.sides:
            for what, usual in (('image', Image), ('info', CameraInfo)):
                kind = camera.kinds.get((side, what), usual)
                if kind is None:
                    continue
                publishers[side, what] = self.publisher(kind, camera.topic(side, what), camera.qos)
                if camera.twice and what == 'image':
                    self.publisher(kind, camera.topic(side, what), camera.qos)
        self.jobs.append((camera, publishers))

    def start(self):
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join(20.0)
        self.node.destroy_node()
        self.context.try_shutdown()
        assert not self.errors, self.errors

    def _run(self):
        number = 0
        try:
            while not self._stop.is_set():
                started_s = time.monotonic()
                self.each()
                for camera, publishers in self.jobs:
                    self._publish(camera, publishers, number)
                number += 1
                self._stop.wait(max(0.0, PERIOD_S - (time.monotonic() - started_s)))
        except Exception as error:  # noqa: BLE001 - told by close
            self.errors.append(repr(error))

    def _publish(self, camera, publishers, number):
        stamp_ns = camera.clock_ns()
        messages = {}
        for side in camera.sides:
            frame_id = f'{camera.name}_{side}_optical' if side else f'{camera.name}_optical'
            messages[side, 'image'] = image(self.views[side], stamp_ns, frame_id)
            baseline_m = BASELINE_M if side == 'right' else 0.0
            messages[side, 'info'] = info(stamp_ns, frame_id, baseline_m)
        if camera.change is not None:
            camera.change(messages, number)
        for key, message in messages.items():
            publisher = publishers.get(key)
            if publisher is not None and isinstance(message, publisher.msg_type):
                publisher.publish(message)


# Faults: each takes {(side, what): message} and the number of the frame, and changes them.

RIGHT_INFO, LEFT_INFO = ('right', 'info'), ('left', 'info')
RIGHT, LEFT = ('right', 'image'), ('left', 'image')


def each_info(edit):
    def change(messages, number):
        for (_, what), message in messages.items():
            if what == 'info':
                edit(message)

    return change


def right_info(edit):
    return lambda messages, number: edit(messages[RIGHT_INFO])


def pixels_of(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)


def repaint(message, pixels):
    message.data = array('B', np.ascontiguousarray(pixels).tobytes())


def blank_k(message):
    message.k, message.p = [0.0] * 9, [0.0] * 12


def distorted(message):
    message.d = [-0.3, 0.1, 0.0, 0.0, 0.0]


def other_size(message):
    message.width, message.height = 2 * WIDTH, 2 * HEIGHT


def silence(key):
    return lambda messages, number: messages.pop(key)


def swapped_images(messages, number):
    left, right = messages[LEFT], messages[RIGHT]
    left.data, right.data = right.data, left.data


def swapped_infos(messages, number):
    left, right = messages[LEFT_INFO], messages[RIGHT_INFO]
    left.p, right.p = right.p.copy(), left.p.copy()


def lower_right(messages, number):
    repaint(messages[RIGHT], np.roll(pixels_of(messages[RIGHT]), 3, axis=0))


def rolled_right(messages, number):
    import cv2

    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 2.5, 1.0)
    turned = cv2.warpAffine(pixels_of(messages[RIGHT]), turn, (WIDTH, HEIGHT))
    repaint(messages[RIGHT], turned)


def other_scene(messages, number):
    noise = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    repaint(messages[RIGHT], noise)


def same_picture(messages, number):
    messages[RIGHT].data = messages[LEFT].data


def black(messages, number):
    repaint(messages[LEFT], np.zeros((HEIGHT, WIDTH), np.uint8))


def no_baseline(message):
    p = list(message.p)
    p[3] = 0.0
    message.p = p


def millimetres(message):
    p = list(message.p)
    p[3] *= 1000.0
    message.p = p


def other_focal(message):
    p = list(message.p)
    p[0] = p[5] = 1.05 * FOCAL_PX
    message.p = p


def narrow(message):
    p = list(message.p)
    p[0] = p[5] = 50.0 * FOCAL_PX
    p[3] *= 50.0
    message.p = p


def infinite(message):
    p = list(message.p)
    p[2] = math.inf
    message.p = p


def shift_stamp(keys, seconds):
    def change(messages, number):
        for key in keys:
            stamp = messages[key].header.stamp
            total = stamp.sec * 10**9 + stamp.nanosec + round(seconds * 1e9)
            messages[key].header.stamp = Time(sec=total // 10**9, nanosec=total % 10**9)

    return change


def no_stamp(messages, number):
    for message in messages.values():
        message.header.stamp = Time()


def every(count):
    def change(messages, number):
        if number % count:
            messages.clear()

    return change


def lose_right(messages, number):
    if number % 4:
        messages.pop(RIGHT)


def info_once(messages, number):
    if number % 10:
        messages.pop(LEFT_INFO)


def frame(keys, name):
    def change(messages, number):
        for key in keys:
            messages[key].header.frame_id = name

    return change


def encoded(encoding):
    def change(messages, number):
        messages[LEFT].encoding = encoding

    return change


def cut(messages, number):
    messages[LEFT].data = messages[LEFT].data[: WIDTH * 20]


def breathing(messages, number):
    p = list(messages[LEFT_INFO].p)
    p[0] = p[5] = FOCAL_PX * (1.0 + 1e-5 * (number % 2))
    messages[LEFT_INFO].p = p


BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MONO = ('',)
ALL = (LEFT, RIGHT, LEFT_INFO, RIGHT_INFO)

# (camera, what the doctor must find there, and no other error or warning)
PLANTED = [
    (Camera('c_well'), set()),
    (Camera('c_mono', MONO), set()),
    (Camera('c_effort', qos=BEST_EFFORT), set()),
    (Camera('f_no_right', kinds={RIGHT: None}), {'topic.missing'}),
    (Camera('f_no_info', kinds={LEFT_INFO: None}), {'topic.missing'}),
    (Camera('f_type', kinds={RIGHT: CompressedImage}), {'topic.type'}),
    (Camera('f_silent', change=silence(RIGHT)), {'topic.silent'}),
    (Camera('f_info_silent', change=silence(LEFT_INFO)), {'topic.silent'}),
    (Camera('f_twice', twice=True), {'topic.two_publishers'}),
    (Camera('f_encoding', change=encoded('32FC1')), {'image.encoding'}),
    (Camera('f_cut', change=cut), {'image.broken'}),
    (Camera('f_black', change=black), {'image.blank'}),
    (Camera('f_empty', change=each_info(blank_k)), {'info.empty'}),
    (Camera('f_infinite', change=right_info(infinite)), {'info.unusable'}),
    (Camera('f_size', change=each_info(other_size)), {'info.size'}),
    (Camera('f_raw', change=each_info(distorted)), {'info.raw'}),
    (Camera('f_focal', change=each_info(narrow)), {'info.focal'}),
    (Camera('f_breathes', change=breathing), {'info.changes'}),
    (Camera('f_fx', change=right_info(other_focal)), {'pair.calibration'}),
    (Camera('f_no_baseline', change=right_info(no_baseline)), {'pair.no_baseline'}),
    (Camera('f_mm', change=right_info(millimetres)), {'pair.baseline'}),
    (Camera('f_infos', change=swapped_infos), {'pair.swapped_info'}),
    (Camera('f_images', change=swapped_images), {'pair.swapped'}),
    (Camera('f_rows', change=lower_right), {'pair.vertical'}),
    (Camera('f_rolled', change=rolled_right), {'pair.vertical'}),
    (Camera('f_elsewhere', change=other_scene), {'pair.unmatched'}),
    (Camera('f_same', change=same_picture), {'pair.identical'}),
    (Camera('f_apart', change=shift_stamp((RIGHT, RIGHT_INFO), -0.007)), {'pair.stamps'}),
    (Camera('f_info_late', change=shift_stamp((LEFT_INFO,), -0.004)), {'stamp.info'}),
    (Camera('f_info_once', change=info_once), {'stamp.info'}),
    (Camera('f_unstamped', change=no_stamp), {'stamp.zero'}),
    (Camera('f_old', change=shift_stamp(ALL, -3.0)), {'stamp.old'}),
    (Camera('f_future', change=shift_stamp(ALL, 60.0)), {'stamp.future'}),
    (Camera('f_frameless', change=frame(ALL, '')), {'frame.empty'}),
    (Camera('f_link', change=frame(ALL, 'f_camera_link')), {'frame.not_optical'}),
    (Camera('f_info_frame', change=frame((LEFT_INFO,), 'elsewhere_optical')), {'frame.info'}),
]
