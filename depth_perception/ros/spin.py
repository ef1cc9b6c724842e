"""Run nodes in this process, and end it quickly and quietly when told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import signal
import threading
import time
from typing import Any

from depth_perception.errors import DepthPerceptionError
from depth_perception.fastdds import profile_environment
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger

_POLL_S = 0.1
_GRACE_S = 2.0  # ROS users expect ctrl-C to work at once; a network may take long to load


def run(make_node: Callable[[], Any]) -> int:
    """Spin the node that `make_node` returns until SIGINT or SIGTERM; see `run_all`."""
    return run_all(lambda: [make_node()])


def run_all(make_nodes: Callable[[], Sequence[Any]]) -> int:
    """Spin the nodes that `make_nodes` returns until SIGINT or SIGTERM.

    The executor is single-threaded because rclpy's MultiThreadedExecutor starves subscriptions.

    Returns:
        The exit code: 0 after a signal, 2 if an argument or a parameter is not accepted.
    """
    # rclpy's own handler shuts the context down, and then calls this one. With Python's, a
    # KeyboardInterrupt would appear at an arbitrary line.
    signal.signal(signal.SIGINT, lambda *_: None)
    os.environ.update(profile_environment())
    try:
        rclpy.init()
    except Exception as error:  # noqa: BLE001 - rclpy has several classes for bad arguments
        get_logger('depth_perception').fatal(f'bad arguments: {error}')
        return 2
    ended = threading.Event()
    threading.Thread(target=_leave_in_time, args=(ended,), daemon=True).start()
    try:
        return _spin(make_nodes)
    finally:
        ended.set()
        rclpy.try_shutdown()
        ignore_signals()


def ignore_signals() -> None:
    """Let the process end by itself from here on.

    ctrl-C under ros2 launch comes twice, from the terminal and from launch. Python restores the
    default handlers while it ends, so the second one would kill the process: exit code -2.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _spin(make_nodes: Callable[[], Sequence[Any]]) -> int:
    try:
        nodes = make_nodes()
    except DepthPerceptionError as error:
        get_logger('depth_perception').fatal(str(error))
        return 2
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception:
        if rclpy.ok():
            raise
        # Whatever was under way when the context went down, e.g. a transition, could not end.
    finally:
        for node in nodes:
            node.close(_GRACE_S / 2 / len(nodes))
        executor.shutdown(timeout_sec=0.0)
        for node in nodes:
            node.destroy_node()
    return 0


def _leave_in_time(ended: threading.Event) -> None:
    """End the process if it does not end by itself soon after it was told to.

    A transition or a frame may be deep in a library that knows nothing of signals.
    """
    while rclpy.ok():
        if ended.wait(_POLL_S):
            return
    deadline_s = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline_s:
        if ended.wait(_POLL_S):
            return
    os._exit(0)
