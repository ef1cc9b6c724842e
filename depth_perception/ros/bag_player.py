"""Play a rosbag2 recording where rosbag2 itself is not installed.

Messages are published as the bytes they were recorded as; only the stamp of their header is
rewritten, and only if asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
import os
from pathlib import Path
import signal
import struct
import sys
import threading
import time
from typing import Any

from depth_perception.errors import DepthPerceptionError, RecordingError
from depth_perception.fastdds import profile_environment
from depth_perception.ros.spin import ignore_signals
import rclpy
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock

DEPTH = 10
_TRANSIENT_LOCAL = 1  # as RMW counts durabilities
_POLL_S = 0.05
_DRAIN_S = 1.0
_SETTLE_S = 1.0  # discovery of further subscribers takes up to a second or two
_HEADER = 'std_msgs/msg/Header'


@dataclass(frozen=True)
class Recorded:
    """One message of a recording: its topic, when it was recorded, and its CDR bytes."""

    topic: str
    log_ns: int
    data: bytes


class Restamper:
    """Gives messages the time they are played at; what shared a stamp shares the new one."""

    def __init__(self) -> None:
        self._now_from_recorded: dict[tuple[int, int], int] = {}

    def restamp(self, data: bytes, now_ns: int) -> bytes:
        """Return CDR bytes that begin with a Header, with the stamp replaced.

        Args:
            data: Encapsulated CDR; byte 1 tells its byte order, the stamp follows at byte 4.
            now_ns: Time given to a stamp that was not met before [ns].
        """
        layout = ('<' if data[1] & 1 else '>') + 'iI'
        recorded = struct.unpack_from(layout, data, 4)
        stamp_ns = self._now_from_recorded.setdefault(recorded, now_ns)
        return data[:4] + struct.pack(layout, *divmod(stamp_ns, 10**9)) + data[12:]

    def clear(self) -> None:
        """Forget all stamps, because the recording starts again."""
        self._now_from_recorded.clear()


class Recording:
    """A rosbag2 recording, opened; a context manager."""

    def __init__(self, path: Path, topics: Sequence[str] = ()) -> None:
        """Open the recording at `path`, a folder or an .mcap file.

        Raises:
            RecordingError: If it cannot be read, or lacks one of `topics`.
        """
        try:
            from rosbags.rosbag2 import Reader, ReaderError
        except ImportError:
            raise RecordingError('reading bags needs rosbags: pip install rosbags') from None
        try:
            self._reader = Reader(path)
            self._reader.open()
        except (ReaderError, OSError, ValueError) as error:
            raise RecordingError(f'{path} is not a rosbag2 recording: {error}') from error
        there = {connection.topic for connection in self._reader.connections}
        missing = sorted(set(topics) - there)
        if missing:
            self._reader.close()
            raise RecordingError(
                f'{path} has no topic {", ".join(missing)}; it has {", ".join(sorted(there))}'
            )
        self.connections = [c for c in self._reader.connections if not topics or c.topic in topics]

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def start_ns(self) -> int:
        """Time of the first message [ns]."""
        return int(self._reader.start_time)

    def messages(self, start_ns: int, stop_ns: int | None = None) -> Iterator[Recorded]:
        """Yield the messages from `start_ns` to before `stop_ns`, in the order of recording."""
        for connection, log_ns, data in self._reader.messages(
            self.connections, start=start_ns, stop=stop_ns
        ):
            yield Recorded(connection.topic, log_ns, bytes(data))


def message_class(kind: str) -> type[Any] | None:
    """Return the class of e.g. 'sensor_msgs/msg/Image', None if its package is not installed."""
    package, _, name = kind.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def starts_with_header(cls: type[Any]) -> bool:
    """Return whether the first field of a message class is its header."""
    fields = cls.get_fields_and_field_types()
    return bool(fields) and next(iter(fields.values())) == _HEADER.replace('/msg/', '/')


def qos_of(connection: Any) -> QoSProfile:
    """Return a profile that every subscriber matches; latched topics stay latched."""
    offered = getattr(connection.ext, 'offered_qos_profiles', None) or ()
    latched = any(int(profile.durability.value) == _TRANSIENT_LOCAL for profile in offered)
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=durability)


class Player:
    """Publishes a recording at the pace it was made."""

    def __init__(self, node: Any, recording: Recording, options: argparse.Namespace) -> None:
        self._node = node
        self._recording = recording
        self._options = options
        self._publishers: dict[str, Any] = {}
        self._stamped: set[str] = set()
        self._restamper = Restamper()
        self._clock = node.create_publisher(Clock, '/clock', DEPTH) if options.clock else None
        self.stop = threading.Event()
        self.published = 0
        for connection in recording.connections:
            cls = message_class(connection.msgtype)
            if cls is None:
                node.get_logger().warning(
                    f'{connection.topic} is not played: {connection.msgtype} is not installed'
                )
                continue
            if starts_with_header(cls):
                self._stamped.add(connection.topic)
            self._publishers[connection.topic] = node.create_publisher(
                cls, connection.topic, qos_of(connection)
            )

    def wait_for_subscribers(self, limit_s: float) -> list[str]:
        """Wait until every topic has the subscribers it needs, and no more come for a while.

        Returns:
            The topics that have too few when the time is over.
        """
        needed = dict(self._options.subscribers)
        end = time.monotonic() + limit_s
        known: dict[str, int] = {}
        changed = time.monotonic()
        while True:
            now = time.monotonic()
            counts = {t: p.get_subscription_count() for t, p in self._publishers.items()}
            if counts != known:
                known, changed = counts, now
            waiting = [topic for topic, count in counts.items() if count < needed.get(topic, 1)]
            settled = not waiting and now - changed >= min(_SETTLE_S, limit_s)
            if settled or now >= end or self.stop.is_set():
                return waiting
            self.stop.wait(_POLL_S)

    def drain(self) -> None:
        """Wait until subscribers have what was published: it is lost if the process ends first."""
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=_DRAIN_S))

    def play(self) -> None:
        """Publish everything once."""
        self._restamper.clear()
        first_ns = self._recording.start_ns + int(self._options.start_offset * 1e9)
        started = time.monotonic()
        tick_ns = first_ns
        last_ns = first_ns + int(self._options.duration * 1e9) if self._options.duration else None
        for message in self._recording.messages(first_ns, last_ns):
            while self._clock is not None and tick_ns <= message.log_ns and not self.stop.is_set():
                self._until(started, first_ns, tick_ns)
                self._tell_time(tick_ns)
                tick_ns += int(self._options.rate * 1e9 / self._options.clock)
            self._until(started, first_ns, message.log_ns)
            if self.stop.is_set():
                return
            self._publish(message)

    def _until(self, started: float, first_ns: int, log_ns: int) -> None:
        due = started + (log_ns - first_ns) * 1e-9 / self._options.rate
        if (rest := due - time.monotonic()) > 0.0:
            self.stop.wait(rest)

    def _tell_time(self, log_ns: int) -> None:
        assert self._clock is not None
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(log_ns, 10**9)
        self._clock.publish(clock)

    def _publish(self, message: Recorded) -> None:
        publisher = self._publishers.get(message.topic)
        if publisher is None:
            return
        data = message.data
        if self._options.stamp == 'now' and message.topic in self._stamped and len(data) >= 12:
            data = self._restamper.restamp(data, time.time_ns())
        publisher.publish(data)
        self.published += 1


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f'{text} is not a positive number')
    return value


def _needed(text: str) -> tuple[str, int]:
    topic, _, count = text.partition('=')
    if not topic or not count.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is not TOPIC=NUMBER')
    return topic, int(count)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog='bag_player', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('bag', type=Path, help='folder of the recording (mcap or sqlite3)')
    parser.add_argument('--rate', type=_positive, default=1.0, help='speed; 1.0 is real time')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--clock', type=_positive, nargs='?', const=40.0, metavar='HZ', help='publish /clock'
    )
    parser.add_argument('--start-offset', type=float, default=0.0, metavar='S')
    parser.add_argument('--delay', type=float, default=0.0, metavar='S', help='wait first')
    parser.add_argument('--duration', type=float, default=0.0, metavar='S', help='0: all of it')
    parser.add_argument('--topics', nargs='+', default=[], help='play these alone')
    parser.add_argument('--remap', nargs='+', default=[], metavar='OLD:=NEW')
    parser.add_argument(
        '--wait-for-subscribers',
        type=float,
        default=0.0,
        metavar='S',
        help='wait up to S seconds until every topic has a subscriber',
    )
    parser.add_argument(
        '--subscribers',
        type=_needed,
        nargs='+',
        default=[],
        metavar='TOPIC=N',
        help='subscribers to wait for, where it is not one; topics as they are in the bag',
    )
    parser.add_argument(
        '--stamp',
        choices=['recorded', 'now'],
        default='recorded',
        help='now: headers get the time of playing, so that latencies mean something',
    )
    return parser.parse_args(argv)


def run(node: Any, options: argparse.Namespace) -> int:
    """Play as the options say, until the end or a signal."""
    with Recording(options.bag, options.topics) as recording:
        player = Player(node, recording, options)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: player.stop.set())
        player.stop.wait(options.delay)
        waiting = player.wait_for_subscribers(options.wait_for_subscribers)
        if waiting and options.wait_for_subscribers > 0.0:
            node.get_logger().warning(
                f'too few listen to {", ".join(waiting)}; playing all the same'
            )
        node.get_logger().info(f'playing {options.bag}')
        started = time.monotonic()
        while not player.stop.is_set():
            player.play()
            if not options.loop:
                break
        player.drain()
    node.get_logger().info(
        f'published {player.published} messages in {time.monotonic() - started:.1f} s'
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the player; 0 at the end of the recording or after a signal, 2 if it cannot be read."""
    words = list(sys.argv[1:] if argv is None else argv)
    if '--ros-args' in words:
        split = words.index('--ros-args')
        words, ros_words = words[:split], words[split:]
    else:
        ros_words = ['--ros-args']
    options = arguments(words)
    for remapping in options.remap:
        ros_words += ['-r', remapping]
    os.environ.update(profile_environment())  # images get lost between processes without it
    with ExitStack() as stack:
        stack.callback(ignore_signals)
        rclpy.init(args=ros_words, signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node('bag_player')
        stack.callback(node.destroy_node)
        try:
            return run(node, options)
        except DepthPerceptionError as error:
            node.get_logger().fatal(str(error))
            return 2


if __name__ == '__main__':
    sys.exit(main())
