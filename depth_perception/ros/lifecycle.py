"""Guard lifecycle transitions: rclpy drops whatever a transition callback raises."""

from __future__ import annotations

from collections.abc import Callable
import functools
import traceback
from typing import Any

from depth_perception.errors import DepthPerceptionError
from rclpy.lifecycle import TransitionCallbackReturn

Transition = Callable[[Any, Any], Any]


def reports_failure(callback: Transition) -> Transition:
    """Log what a transition callback raises, and end the transition accordingly.

    An error that the package raises on purpose is one line in the log and FAILURE, which leaves
    the node in the state it came from. Anything else is a defect: its traceback is logged and
    the transition ends in ERROR, which leads through `on_error` to the unconfigured state. The
    node's attribute `trouble` keeps the message, and `report_status` publishes it.
    """
    name = callback.__name__.removeprefix('on_')

    @functools.wraps(callback)
    def guarded(node: Any, state: Any) -> Any:
        node.trouble = ''
        try:
            result = callback(node, state)
        except DepthPerceptionError as error:
            node.trouble = f'{name} failed: {error}'
            node.get_logger().error(node.trouble)
            result = TransitionCallbackReturn.FAILURE
        except Exception as error:  # noqa: BLE001 - rclpy would drop it silently
            node.trouble = f'{name} failed unexpectedly: {error!r}'
            if node.context.ok():  # else the process is ending, and anything may fail
                node.get_logger().error(f'{node.trouble}\n{traceback.format_exc()}')
            result = TransitionCallbackReturn.ERROR
        node.report_status()
        return result

    return guarded
