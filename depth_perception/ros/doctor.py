"""Look at a live graph for some seconds, and write down what was seen, as JSON.

`depth_perception doctor` runs this program and judges what it writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
import os
from pathlib import Path
import signal
import sys
from typing import Any

from depth_perception.doctor.facts import Facts
from depth_perception.doctor.facts_file import text_of_facts
from depth_perception.ros.doctor_graph import Plan
from depth_perception.ros.doctor_notes import notes_of
from depth_perception.ros.doctor_probe import Pace
from depth_perception.ros.doctor_visit import Visit
from depth_perception.ros.spin import ignore_signals
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

WAIT_S = 0.02
SLOWEST = 8.0  # on a busy machine all may take so many times longer


def look(plan: Plan, context: Any = None) -> Facts:
    """Return what a new node of the given context sees of the graph."""
    node = rclpy.create_node(
        f'depth_perception_doctor_{os.getpid()}',
        context=context,
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    limit_s = SLOWEST * (plan.seconds + 3.0 * plan.patience_s)
    pace = Pace(lambda: executor.spin_once(timeout_sec=WAIT_S), limit_s)
    try:
        visit = Visit(node, plan, pace)
        visit.make()
        return notes_of(visit)
    finally:
        executor.shutdown(timeout_sec=0.0)
        node.destroy_node()


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog='doctor', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--task', choices=['stereo', 'mono', 'any'], default=plan.task)
    parser.add_argument('--node', action='append', default=[], dest='nodes')
    parser.add_argument('--left', default='')
    parser.add_argument('--right', default='')
    parser.add_argument('--image', default='')
    parser.add_argument('--seconds', type=float, default=plan.seconds)
    parser.add_argument('--patience', type=float, default=plan.patience_s, dest='patience_s')
    parser.add_argument('--base-frame', default=plan.base_frame)
    parser.add_argument('--passive', action='store_true')
    parser.add_argument('--output', type=Path, required=True)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Look, and write what was seen; 0 if that was possible."""
    options = vars(arguments(sys.argv[1:] if argv is None else argv))
    output: Path = options.pop('output')
    plan = Plan(**{**options, 'nodes': tuple(options['nodes'])})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with ExitStack() as stack:
        stack.callback(ignore_signals)
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        output.write_text(text_of_facts(look(plan)), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
