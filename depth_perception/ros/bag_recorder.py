"""Record topics into a rosbag2 (mcap) where rosbag2 itself is not installed.

Messages are written as the bytes they arrive as. A topic is subscribed to when its first publisher
appears, with the reliability and durability that this one offers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
import signal
import sys
import time
from typing import Any, Literal

from depth_perception.errors import DepthPerceptionError, RecordingError
from depth_perception.ros.bag_player import message_class
from depth_perception.ros.spin import ignore_signals
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

QUEUE = 100
METADATA_VERSION: Literal[9] = 9  # of rosbag2: Jazzy and newer
READY = 'listening to every topic asked for'  # `cli` waits for this line
_DISCOVERY_S = 0.1


class BagFile:
    """A rosbag2 that is being written."""

    def __init__(self, path: Path) -> None:
        """Create the folder of the bag.

        Raises:
            RecordingError: If it cannot be created, e.g. because it exists.
        """
        try:
            from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
            from rosbags.typesys import get_typestore, Stores
        except ImportError:
            raise RecordingError('writing bags needs rosbags: pip install rosbags') from None
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Any] = {}
        try:
            self._writer = Writer(
                path, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.open()
        except (WriterError, OSError) as error:
            raise RecordingError(f'cannot write {path}: {error}') from error

    def add(self, topic: str, kind: str) -> None:
        """Announce a topic.

        Raises:
            RecordingError: If the message type is not one of the standard ones.
        """
        if kind not in self._store.fielddefs:
            raise RecordingError(f'{topic} is not recorded: {kind} is not a standard message')
        self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)

    def write(self, topic: str, log_ns: int, data: bytes) -> None:
        """Append one message."""
        self._writer.write(self._connections[topic], log_ns, data)

    def close(self) -> None:
        """Write the index and the metadata."""
        self._writer.close()


class Recorder:
    """Subscribes to topics as they appear, and writes what they carry.

    Attributes:
        counts: Topic -> number of messages written.
    """

    def __init__(self, node: Any, bag: BagFile, topics: Sequence[str], max_messages: int) -> None:
        self._node = node
        self._bag = bag
        self._max_messages = max_messages
        self._waiting = {node.resolve_topic_name(topic) for topic in topics}
        self._subscriptions: list[Any] = []
        self.counts = dict.fromkeys(sorted(self._waiting), 0)
        node.create_timer(_DISCOVERY_S, self.discover)

    @property
    def complete(self) -> bool:
        """Whether every topic has delivered the greatest number of messages asked for."""
        return self._max_messages > 0 and all(
            count >= self._max_messages for count in self.counts.values()
        )

    def discover(self) -> None:
        """Subscribe to the topics that have got a publisher since the last look."""
        if not self._waiting:
            return
        types = dict(self._node.get_topic_names_and_types())
        for topic in sorted(self._waiting & types.keys()):
            publishers = self._node.get_publishers_info_by_topic(topic)
            if not publishers:
                continue
            self._waiting.discard(topic)
            try:
                self._subscribe(topic, types[topic][0], publishers)
            except RecordingError as error:
                self.counts.pop(topic)
                self._node.get_logger().error(str(error))
        if not self._waiting:
            self._node.get_logger().info(READY)

    def finish(self) -> None:
        """Write what has arrived and still waits, at most as much as the queues hold."""
        for subscription in self._subscriptions:
            for _ in range(QUEUE):
                with subscription.handle:
                    found = subscription.handle.take_message(subscription.msg_type, True)
                if found is None:
                    break
                subscription.callback(found[0])

    def _subscribe(self, topic: str, kind: str, publishers: Sequence[Any]) -> None:
        cls = message_class(kind)
        if cls is None:
            raise RecordingError(f'{topic} is not recorded: {kind} is not installed')
        self._bag.add(topic, kind)
        offered = [publisher.qos_profile for publisher in publishers]
        reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
        latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        qos = QoSProfile(
            depth=QUEUE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(
                DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
            ),
        )
        self._subscriptions.append(
            self._node.create_subscription(cls, topic, self._writer_of(topic), qos, raw=True)
        )

    def _writer_of(self, topic: str) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            if 0 < self._max_messages <= self.counts[topic]:
                return
            self._bag.write(topic, time.time_ns(), bytes(data))
            self.counts[topic] += 1

        return write


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog='bag_recorder', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument('topics', nargs='+', help='topics to record')
    parser.add_argument('--output', '-o', type=Path, required=True, help='new folder of the bag')
    parser.add_argument('--duration', type=float, default=0.0, metavar='S', help='0: no limit')
    parser.add_argument(
        '--max-messages', type=int, default=0, metavar='N', help='per topic; 0: no limit'
    )
    return parser.parse_args(argv)


def record(node: Any, options: argparse.Namespace) -> int:
    """Record as the options say, until a limit or a signal; the bag is closed in any case."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    bag = BagFile(options.output)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + options.duration if options.duration > 0.0 else float('inf')
    try:
        recorder = Recorder(node, bag, options.topics, options.max_messages)
        while not stopped and time.monotonic() < end and not recorder.complete:
            executor.spin_once(timeout_sec=_DISCOVERY_S)
        recorder.finish()
    finally:
        bag.close()
        executor.shutdown(timeout_sec=0.0)
    figures = ', '.join(f'{topic}: {count}' for topic, count in recorder.counts.items())
    node.get_logger().info(f'recorded {figures} into {options.output}')
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recorder; 0 after a signal or at a limit, 2 if the bag cannot be written."""
    words = list(sys.argv[1:] if argv is None else argv)
    split = words.index('--ros-args') if '--ros-args' in words else len(words)
    options = arguments(words[:split])
    with ExitStack() as stack:
        stack.callback(ignore_signals)
        rclpy.init(args=words[split:], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node('bag_recorder')
        stack.callback(node.destroy_node)
        try:
            return record(node, options)
        except DepthPerceptionError as error:
            node.get_logger().fatal(str(error))
            return 2


if __name__ == '__main__':
    sys.exit(main())
