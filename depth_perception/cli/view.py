"""depth_perception view: image, depth, sigma and points, live in a web browser."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path
import sys
import threading
from typing import Any

from depth_perception.cli.view_bag import BagShow
from depth_perception.errors import BackendUnavailableError, SettingsError
from depth_perception.fastdds import profile_environment
from depth_perception.view.feed import Feeds
from depth_perception.view.options import add_view_options
from depth_perception.view.server import ViewServer

NODE = 'depth_perception.ros.viewer'


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'view', help='show what the nodes publish, live in a web browser; no RViz needed'
    )
    add_view_options(parser)
    bag = parser.add_argument_group('a recording, shown without ROS')
    bag.add_argument('--bag', type=Path, help='rosbag2 of a depth node, or of camera images')
    bag.add_argument('--model', default='', help='model that makes depth of the images in --bag')
    bag.add_argument(
        '--set', dest='assignments', action='append', default=[], metavar='NAME=VALUE',
        help='parameter of the model',
    )  # fmt: skip
    bag.add_argument('--rate', type=_positive, default=1.0, help='speed; 1.0 is real time')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Show a recording, or become the viewer of the nodes; both run until ctrl-C.

    Raises:
        SettingsError: If options are given that only make sense with --bag.
        BackendUnavailableError: If there is no ROS to listen to.
        DepthPerceptionError: If the recording or the model cannot be used.
    """
    if arguments.bag is not None:
        show_bag(arguments)
        return 0
    if arguments.model or arguments.assignments:
        raise SettingsError('--model and --set go with --bag; a node has its own model')
    if importlib.util.find_spec('rclpy') is None:
        raise BackendUnavailableError(
            'rclpy is not installed: source a ROS 2 installation first, or use ./run exec'
        )
    os.environ.update(profile_environment())
    command = [sys.executable, '-m', NODE, *node_arguments(arguments)]
    return os.execv(sys.executable, command)


def show_bag(arguments: argparse.Namespace) -> None:
    """Show a recording until ctrl-C.

    Raises:
        DepthPerceptionError: If the recording or the model cannot be used.
    """
    feeds = Feeds()
    show = BagShow(feeds, arguments.bag, arguments.model, arguments.assignments, arguments.rate)
    server = ViewServer(feeds, arguments.host, arguments.port, arguments.max_side)
    server.start()
    show.start()
    print(f'open {server.url}', file=sys.stderr, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        show.close()
        server.close()


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return value


def node_arguments(arguments: argparse.Namespace) -> list[str]:
    """Return the command line of the node."""
    probe = argparse.ArgumentParser()
    add_view_options(probe)
    words = []
    for name in vars(probe.parse_args([])):
        words += [f'--{name.replace("_", "-")}', str(getattr(arguments, name))]
    return words
