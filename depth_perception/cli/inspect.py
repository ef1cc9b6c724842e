"""depth_perception inspect: a first draft of a model card from a network file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from depth_perception.errors import ModelError
from depth_perception.inference.card_sketch import card_sketch
from depth_perception.inference.cards import available_cards
from depth_perception.inference.ort_backend import OrtBackend


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        'inspect', help='print a draft of the model card of an ONNX file'
    )
    parser.add_argument('file', type=Path, help='network as ONNX')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the draft."""
    path: Path = arguments.file
    if not path.is_file():
        raise ModelError(f'{path} does not exist')
    with OrtBackend(path, 1) as backend:
        print(card_sketch(path, backend, available_cards()), end='')
    return 0
