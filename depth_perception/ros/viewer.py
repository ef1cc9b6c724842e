"""Show what the depth nodes publish in a web browser; started by `depth_perception view`.

Cameras are found by their topics, come and go, and are subscribed to only while a browser looks
at them: outputs that nobody looks at cost nothing, as everywhere. Subscriptions are best effort
and keep one message, so that a slow viewer never holds up a robot.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import functools
import sys
from typing import Any

from depth_perception.ros.spin import run
from depth_perception.view.feed import Feeds
from depth_perception.view.server import ViewServer
from depth_perception.view.status import picture_topic, status_as_dict
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

DEPTH = 'depth/image_rect'
_LOOK_S = 0.5
_IMAGE_TYPES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}


class _Camera:
    """The subscriptions of one camera."""

    def __init__(self, viewer: Viewer, name: str, topics: dict[str, str]) -> None:
        self._viewer = viewer
        self._topics = topics
        self._given_image = topics.get('image', '')
        self.feed = viewer.feeds.feed(name)
        self._open: dict[str, tuple[str, Any]] = {}
        self._status: tuple[str, Any] | None = None

    def follow(self) -> None:
        """Subscribe while somebody looks, to what is there."""
        self._follow_status()
        self._topics['image'] = self._given_image or picture_topic(self.feed.status)
        for role, topic in self._topics.items():
            wanted = topic if self.feed.wanted else ''
            kind = self._kind(role, topic)
            if role in self._open and self._open[role][0] != wanted:
                self._viewer.destroy_subscription(self._open.pop(role)[1])
            if wanted and kind is not None and role not in self._open:
                take = functools.partial(self.feed.take, role)
                self._open[role] = (topic, self._viewer.subscribe(kind, topic, take))

    def close(self) -> None:
        """Give up all subscriptions."""
        for _, subscription in [*self._open.values(), *([self._status] if self._status else [])]:
            self._viewer.destroy_subscription(subscription)
        self._open, self._status = {}, None

    def _kind(self, role: str, topic: str) -> Any:
        if role != 'image':
            return CameraInfo if role == 'info' else Image
        return _IMAGE_TYPES.get(self._viewer.types.get(topic, ''))

    def _follow_status(self) -> None:
        """Listen to the status of the node that publishes the depth."""
        for end in self._viewer.get_publishers_info_by_topic(self._topics['depth']):
            topic = f'{end.node_namespace.rstrip("/")}/{end.node_name}/status'
            if self._viewer.types.get(topic) != 'diagnostic_msgs/msg/DiagnosticStatus':
                continue
            if self._status is None or self._status[0] != topic:
                if self._status is not None:
                    self._viewer.destroy_subscription(self._status[1])
                held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
                self._status = (
                    topic,
                    self._viewer.create_subscription(
                        DiagnosticStatus, topic, self._take_status, held
                    ),
                )
            return

    def _take_status(self, message: DiagnosticStatus) -> None:
        self.feed.status = status_as_dict(message)


class Viewer(Node):  # type: ignore[misc]
    """Finds cameras and brings their messages to the web server.

    Attributes:
        feeds: The cameras.
        server: The web server.
        types: Topic -> type, as last seen.

    Args:
        options: What the command line says.
        node_options: Passed on to the node, e.g. `context`.

    Raises:
        SettingsError: If the server cannot listen on its address.
    """

    def __init__(self, options: argparse.Namespace, **node_options: Any) -> None:
        super().__init__('depth_viewer', **node_options)
        self.feeds = Feeds()
        self.types: dict[str, str] = {}
        self._cameras: dict[str, _Camera] = {}
        self._given = _given_topics(options)
        self._namespace = options.namespace.strip('/')
        self.server = ViewServer(self.feeds, options.host, options.port, options.max_side)
        self.server.defect = lambda error: self.get_logger().error(f'web server: {error!r}')
        self.server.start()
        self.get_logger().info(f'open {self.server.url}')
        self.create_timer(_LOOK_S, self._look)
        self._look()

    def close(self, timeout_s: float) -> None:
        """Stop the web server."""
        del timeout_s
        self.server.close()

    def subscribe(self, kind: Any, topic: str, take: Any) -> Any:
        """Return a subscription that never holds up its publisher."""
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        return self.create_subscription(kind, topic, take, qos)

    def _look(self) -> None:
        """See which cameras there are, and follow them."""
        self.types = {topic: kinds[0] for topic, kinds in self.get_topic_names_and_types()}
        found = self._found()
        for name in self._cameras.keys() - found.keys():
            self._cameras.pop(name).close()
            self.feeds.forget(name)
        for name, topics in found.items():
            if name not in self._cameras:
                self._cameras[name] = _Camera(self, name, topics)
        for camera in self._cameras.values():
            camera.follow()
        self.feeds.remark = '' if self._cameras else self._advice()

    def _found(self) -> dict[str, dict[str, str]]:
        """Return camera -> role -> topic."""
        if 'depth' in self._given:
            return {self._given['depth']: dict(self._given)}
        cameras = {}
        for topic, kind in self.types.items():
            head, _, tail = topic.partition(DEPTH)
            if tail or not topic.endswith(f'/{DEPTH}') or kind != 'sensor_msgs/msg/Image':
                continue
            name = head.rstrip('/') or '/'
            if self._namespace and name.strip('/') != self._namespace:
                continue
            if self.get_publishers_info_by_topic(topic):
                cameras[name] = {
                    'depth': topic,
                    'sigma': f'{head}uncertainty/image',
                    'info': f'{head}depth/camera_info',
                    **self._given,
                }
        return cameras

    def _advice(self) -> str:
        where = f'/{self._namespace}/{DEPTH}' if self._namespace else f'.../{DEPTH}'
        return (
            f'nobody publishes {where}. Is a depth node running and active, and is it in '
            f'ROS_DOMAIN_ID {self.context.get_domain_id()} too? Other topics: --depth, --sigma.'
        )


def _given_topics(options: argparse.Namespace) -> dict[str, str]:
    given = {role: getattr(options, role) for role in ('depth', 'sigma', 'image', 'info')}
    given = {role: f'/{topic.strip("/")}' for role, topic in given.items() if topic}
    if 'depth' in given:
        beside = given['depth'].rpartition('/')[0]
        given.setdefault('info', f'{beside}/camera_info')
    return given


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    from depth_perception.view.options import add_view_options

    parser = argparse.ArgumentParser(prog='viewer', description=(__doc__ or '').split('\n')[0])
    add_view_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the viewer until a signal; 2 if an option is not accepted."""
    words = list(sys.argv[1:] if argv is None else argv)
    split = words.index('--ros-args') if '--ros-args' in words else len(words)
    options = arguments(words[:split])
    return run(lambda: Viewer(options))


if __name__ == '__main__':
    sys.exit(main())
