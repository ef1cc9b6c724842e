"""Real nodes over the real middleware: a node under test, and a peer that plays the robot."""

from array import array
import contextlib
import importlib.util
import os
from pathlib import Path
import threading
import time
import warnings

import numpy as np
import pytest

HAS_ROS = importlib.util.find_spec('rclpy') is not None
if HAS_ROS:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # its parser imports a module that 3.11 deprecates
        importlib.import_module('rosidl_generator_py')

os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
DOMAIN_ID = 1 + os.getpid() % 100  # runs beside each other must not hear each other
LIMIT_S = 90.0  # discovery alone may take 2.3 s, and the machine may be busy


class WithoutRos(pytest.Module):
    """A module that cannot be imported here: one visible skip in its place."""

    def collect(self):
        pytest.skip('rclpy is not installed', allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return None if HAS_ROS else WithoutRos.from_parent(parent, path=module_path)


class Peer:
    """Publishes, listens and calls services; spun by the test itself, so nothing races."""

    def __init__(self, context):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.node = rclpy.create_node('peer', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.publishers = {}

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()

    def until(self, condition, what, limit_s=LIMIT_S, each=None):
        """Spin until `condition` holds and return its value; call `each` in every round."""
        end = time.monotonic() + limit_s
        while not (value := condition()):
            assert time.monotonic() < end, f'{what} did not happen within {limit_s} s'
            if each is not None:
                each()
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def listen(self, topic, kind, qos=5):
        """Return a list that grows with every message of `topic`."""
        from rclpy.event_handler import SubscriptionEventCallbacks

        # rclpy's own callback for incompatible QoS raises a deprecation warning.
        silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        heard = []
        self.node.create_subscription(kind, topic, heard.append, qos, event_callbacks=silent)
        return heard

    def advertise(self, topic, kind, qos=5):
        """Make the publisher of `topic`, once."""
        from rclpy.event_handler import PublisherEventCallbacks

        if topic not in self.publishers:
            silent = PublisherEventCallbacks(use_default_callbacks=False)
            self.publishers[topic] = self.node.create_publisher(
                kind, topic, qos, event_callbacks=silent
            )
        return self.publishers[topic]

    def publish(self, topic, message, qos=5):
        """Publish once the topic has a subscriber, so that the message cannot be lost."""
        publisher = self.advertise(topic, type(message), qos)
        self.until(publisher.get_subscription_count, f'subscription to {topic}')
        publisher.publish(message)

    def call(self, service, kind, request):
        """Call a service and return its answer."""
        client = self.node.create_client(kind, service)
        self.until(client.service_is_ready, f'service {service}')
        future = client.call_async(request)
        self.until(future.done, f'answer of {service}')
        self.node.destroy_client(client)
        return future.result()

    def set_parameter(self, node_name, name, value):
        """Set a parameter of another node; return (successful, reason)."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        wanted = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[wanted])
        result = self.call(f'/{node_name}/set_parameters', SetParameters, request).results[0]
        return result.successful, result.reason

    def transition(self, node_name, transition_id):
        """Ask for a lifecycle transition; return whether it succeeded."""
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.id = transition_id
        return self.call(f'/{node_name}/change_state', ChangeState, request).success

    def state_of(self, node_name):
        """Return the label of the lifecycle state."""
        from lifecycle_msgs.srv import GetState

        answer = self.call(f'/{node_name}/get_state', GetState, GetState.Request())
        return answer.current_state.label


class Status:
    """The newest ~/status of a node, as a level, a message and a dict."""

    def __init__(self, peer, node_name):
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.qos import DurabilityPolicy, QoSProfile

        held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.peer = peer
        self.heard = peer.listen(f'/{node_name}/status', DiagnosticStatus, held)

    @property
    def values(self):
        return {pair.key: pair.value for pair in self.heard[-1].values} if self.heard else {}

    def count(self, key):
        return int(self.values.get(key, 0))

    def until_message(self, part, each=None):
        """Wait for a status whose message holds `part`, and return it."""
        seen = lambda: self.heard and part in self.heard[-1].message  # noqa: E731
        try:
            self.peer.until(seen, f'status {part!r}', each=each)
        except AssertionError as error:
            last = self.heard[-1].message if self.heard else None
            raise AssertionError(f'{error}; the last one was {last!r}') from error
        return self.heard[-1]

    def until_count(self, key, least=1, each=None):
        """Wait until a counter reaches `least`."""
        self.peer.until(lambda: self.count(key) >= least, f'{key} >= {least}', each=each)
        return self.values


class Scene:
    """A textured scene seen by a stereo camera, with its true depth.

    The left image is the right one sampled at u - d, so disparity and depth are known exactly:
    a plane parallel to the image above, a slanted one below.
    """

    width, height = 160, 120
    focal_px, baseline_m, doffs_px = 200.0, 0.1, 3.0
    cx, cy = 78.5, 61.25

    def __init__(self, seed=0, width=160, height=120):
        self.width, self.height = width, height
        rng = np.random.default_rng(seed)
        noise = rng.uniform(0.0, 255.0, (height, width + 2))
        right = 0.5 * noise[:, 1:-1] + 0.25 * (noise[:, :-2] + noise[:, 2:])
        self.disparity = np.full((height, width), 8.0)
        slanted = np.linspace(9.0, 15.0, height - height // 2)[:, None]
        self.disparity[height // 2 :] = slanted
        columns = np.arange(width)
        rows = zip(right, self.disparity, strict=True)
        left = np.array([np.interp(columns - d, columns, row) for row, d in rows])
        self.left, self.right = left.astype(np.uint8), right.astype(np.uint8)
        self.depth = self.focal_px * self.baseline_m / (self.disparity + self.doffs_px)

    def header(self, stamp_ns, frame_id='left_optical'):
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
        return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)

    def image(self, pixels, stamp_ns, frame_id='left_optical'):
        from sensor_msgs.msg import Image

        grey = pixels.ndim == 2
        message = Image(header=self.header(stamp_ns, frame_id))
        message.height, message.width = pixels.shape[:2]
        message.encoding = 'mono8' if grey else 'rgb8'
        message.step = pixels.nbytes // pixels.shape[0]
        message.data = array('B', pixels.tobytes())
        return message

    def info(self, stamp_ns, *, right=False, frame_id='left_optical'):
        from sensor_msgs.msg import CameraInfo

        cx = self.cx + self.doffs_px * right
        tx = -self.focal_px * self.baseline_m * right
        message = CameraInfo(header=self.header(stamp_ns, frame_id))
        message.width, message.height = self.width, self.height
        message.distortion_model = 'plumb_bob'
        f = self.focal_px
        message.k = [f, 0.0, cx, 0.0, f, self.cy, 0.0, 0.0, 1.0]
        message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        message.p = [f, 0.0, cx, tx, 0.0, f, self.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        return message

    def stereo(self, stamp_ns=None):
        """Return topic -> message of one pair, stamped now unless told otherwise."""
        stamp_ns = time.time_ns() if stamp_ns is None else stamp_ns
        return {
            '/left/camera_info': self.info(stamp_ns),
            '/right/camera_info': self.info(stamp_ns, right=True),
            '/right/image_rect': self.image(self.right, stamp_ns, 'right_optical'),
            '/left/image_rect': self.image(self.left, stamp_ns),
        }

    def error(self, depth):
        """Return the median relative error of a depth image where it is known."""
        known = np.isfinite(depth)
        assert known.mean() > 0.4
        return float(np.median(np.abs(depth[known] / self.depth[known] - 1.0)))


class Running:
    """A node that spins in a thread of its own."""

    def __init__(self, node, context):
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.task import Future

        self.node = node
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._done = Future()
        self._thread = threading.Thread(
            target=self._executor.spin_until_future_complete, args=(self._done,), daemon=True
        )
        self._thread.start()

    def stop(self):
        """End as a process does: rclpy's shutdown must not meet an executor that still spins."""
        self._done.set_result(None)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), 'a callback of the node does not return'
        self.node.close(5.0)
        self._executor.shutdown()
        self.node.destroy_node()


class System:
    """One node under test in a thread of its own, and its peer."""

    def __init__(self, context):
        self.context = context
        self.peer = Peer(context)
        self._running = []

    def start(self, node_class, **parameters):
        """Start a node; parameter names have '__' for '.'."""
        from rclpy.parameter import Parameter

        remaps = parameters.pop('remaps', ())
        overrides = [Parameter(k.replace('__', '.'), value=v) for k, v in parameters.items()]
        arguments = ['--ros-args']
        for remap in remaps:
            arguments += ['-r', remap]
        node = node_class(context=self.context, parameter_overrides=overrides, cli_args=arguments)
        self._running.append(Running(node, self.context))
        return node

    def stop(self):
        """End the nodes, but not the peer."""
        while self._running:
            self._running.pop().stop()

    def status(self, node_name='stereo_depth_node'):
        return Status(self.peer, node_name)

    def close(self):
        self.stop()
        self.peer.close()

    def send(self, messages):
        for topic, message in messages.items():
            self.peer.publish(topic, message)

    def depth_after(self, heard, messages):
        """Send one frame and return the depth image that answers it."""
        before = len(heard)
        self.send(messages)
        self.peer.until(lambda: len(heard) > before, 'depth image')
        return values_of(heard[-1])


def values_of(message):
    """Return the (H, W) float32 values of a 32FC1 image message."""
    return np.frombuffer(message.data, '<f4').reshape(message.height, message.width)


@pytest.fixture(name='values_of')
def _values_of():
    return values_of


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def new_scene():
    return Scene


@pytest.fixture
def context():
    """Return a context of its own, which is a participant of its own in the middleware."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=DOMAIN_ID)
    yield context
    context.try_shutdown()
    assert not participants(), 'a node that was not destroyed stays in the middleware'


def participants():
    """Return how many participants this process has: each has a thread for its events.

    Two at a time are an invitation to a dead-lock when one of them destroys something
    (eProsima/Fast-DDS#6193, #6502).
    """
    count = 0
    for path in Path('/proc/self/task').glob('*/comm'):
        with contextlib.suppress(OSError):  # of a thread that ends at this moment
            count += path.read_text().startswith('dds.ev')
    return count


@pytest.fixture
def system(context):
    system = System(context)
    yield system
    system.close()


@pytest.fixture(scope='session')
def new_system():
    """Return what makes a system, for tests that share one."""
    return System


@pytest.fixture(scope='session')
def domain_id():
    """Return the domain of the nodes of this run, for those that are processes."""
    return DOMAIN_ID
