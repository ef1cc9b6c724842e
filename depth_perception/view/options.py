"""The options of the viewer, for the verb and for the node that it starts."""

from __future__ import annotations

import argparse

PORT = 8765


def add_view_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the viewer to a parser."""
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on; any but 127.0.0.1 needs the token that is printed',
    )
    parser.add_argument('--port', type=_port, default=PORT, help='0: any free one')
    parser.add_argument(
        '--namespace', default='', help='look at this camera alone; else all are on offer'
    )
    parser.add_argument(
        '--max-side',
        type=_side,
        default=960,
        metavar='PX',
        help='depth with a longer side is thinned out to this',
    )
    topics = parser.add_argument_group('other topics, e.g. of a depth camera')
    topics.add_argument('--depth', default='', metavar='TOPIC', help='Image 32FC1 or 16UC1')
    topics.add_argument('--sigma', default='', metavar='TOPIC', help='Image 32FC1')
    topics.add_argument('--image', default='', metavar='TOPIC', help='Image or CompressedImage')
    topics.add_argument('--info', default='', metavar='TOPIC', help='CameraInfo of the depth')


def _port(text: str) -> int:
    return _between(text, 0, 65535)


def _side(text: str) -> int:
    return _between(text, 32, 4096)


def _between(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from {low} to {high}')
    return int(text)
