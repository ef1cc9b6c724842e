"""depth_perception build-engine, engines: compile networks for this GPU, and look after them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import json
import sys
import time
from typing import Any

from depth_perception.errors import BackendUnavailableError, ModelError
from depth_perception.inference.backend_choice import (
    Acceleration,
    find_acceleration,
    toolbox,
    wish_for,
)
from depth_perception.inference.cards import artifact_path, load_card, ModelCard, with_tensor_names
from depth_perception.inference.engine_cache import EngineCache, EngineRefusedError, Entry
from depth_perception.inference.engine_inputs import fixed_size, Size, size_for_image
from depth_perception.inference.onnx_network import read_network
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.tensorrt_api import load_tensorrt
from depth_perception.inference.tensorrt_build import build_plan, BuildOptions, Watch
from depth_perception.inference.tensorrt_ladder import EngineWish, find_engine
from depth_perception.parameters import (
    EstimatorSettings,
    MonoEstimatorSettings,
    StereoEstimatorSettings,
)
from depth_perception.settings import settings_with

_MIB = 1 << 20
_DRAW_S = 0.2


def register(subparsers: Any) -> None:
    """Add both verbs."""
    build = subparsers.add_parser(
        'build-engine', help='compile a network for this GPU, and check it'
    )
    build.add_argument('model', help='id of a card, or the path of one')
    build.add_argument(
        '--image',
        type=_size,
        metavar='WIDTHxHEIGHT',
        help='size of the camera images, where the size of the network follows it',
    )
    build.add_argument(
        '--set', action='append', default=[], metavar='NAME=VALUE', help='any parameter'
    )
    build.add_argument(
        '--dry-run',
        action='store_true',
        help='read and build, but neither check nor keep; TensorRT-RTX does this without a GPU',
    )
    build.set_defaults(func=_build)
    parser = subparsers.add_parser('engines', help='list, verify and clear compiled networks')
    verbs = parser.add_subparsers(dest='engines_verb', required=True)
    listing = verbs.add_parser('list', help='all engines')
    listing.add_argument('--json', action='store_true', help='machine-readable')
    listing.set_defaults(func=_list)
    verbs.add_parser('verify', help='look for engines that were changed').set_defaults(
        func=_verify
    )
    verbs.add_parser('clear', help='delete all engines').set_defaults(func=_clear)


def _size(text: str) -> Size:
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise argparse.ArgumentTypeError(f'{text!r} is not WIDTHxHEIGHT, e.g. 640x480')
    width, height = (int(side) for side in sides)
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: both sides must be positive')
    return width, height


def _build(arguments: argparse.Namespace) -> int:
    card = load_card(arguments.model)
    if card.builtin is not None:
        raise ModelError(f'{card.id} is builtin, there is no network to compile')
    plain = StereoEstimatorSettings() if card.task == 'stereo' else MonoEstimatorSettings()
    settings: EstimatorSettings = settings_with(plain, arguments.set)
    found = None if arguments.dry_run else find_acceleration(settings)
    wish = _wish(card, settings, arguments.image)
    line = _Line(card.id)
    try:
        if found is None:
            return _try(wish, settings, line)
        return _find(found, wish, settings, line)
    finally:
        line.end()


def _wish(card: ModelCard, settings: EstimatorSettings, image: Size | None) -> EngineWish:
    path = artifact_path(card)
    with OrtBackend(path, settings.threads, cpu_only=True) as backend:
        card = with_tensor_names(card, backend)
        inputs = backend.inputs
    if image is None:
        size = fixed_size(card, inputs)
        if size is None:
            raise ModelError(
                f'the size of {card.id} follows that of the images; say --image WIDTHxHEIGHT'
            )
    else:
        size = size_for_image(card, inputs, image)
    return wish_for(card, read_network(path), size, settings)


def _find(found: Acceleration, wish: EngineWish, settings: EstimatorSettings, line: _Line) -> int:
    """Build what is missing; 1 if no engine computes what the network says."""
    print(f'{found.tensorrt.title} on {found.device}')
    outcome = find_engine(toolbox(found, settings), wish, Watch(report=line.show))
    line.end()
    for reason in outcome.reasons:
        print(reason)
    if outcome.engine is None:
        print(f'{wish.card.id}: no engine; ONNX Runtime will run it')
        return 1
    took = f', built in {outcome.seconds:.0f} s' if outcome.was_built else ', was there already'
    print(f'{wish.card.id}: {outcome.engine.description}{took}')
    outcome.engine.close()
    return 0


def _try(wish: EngineWish, settings: EstimatorSettings, line: _Line) -> int:
    """Build every precision and throw it away."""
    try:
        tensorrt = find_acceleration(settings).tensorrt
    except BackendUnavailableError:
        tensorrt = load_tensorrt(None)
    print(f'{tensorrt.title}, {wish.size[0]}x{wish.size[1]}, nothing is kept')
    failed = 0
    for rung in wish.network.rungs(wish.precisions):
        runtime = wish.card.runtime
        options = BuildOptions(
            wish.shapes(), rung, wish.dla_core, wish.workspace_mib, runtime.plugins,
            wish.plugin_folder,
        )  # fmt: skip
        try:
            content = wish.network.content(rung, runtime.fp32_layers, wish.constants())
            built = build_plan(tensorrt, content, options, Watch(report=line.show))
        except ModelError as error:
            failed += 1
            text = str(error)
        else:
            text = f'{len(built.plan) / _MIB:.1f} MiB in {built.seconds:.1f} s'
        line.end()
        print(f'{rung.value}: {text}')
    return 1 if failed else 0


def _list(arguments: argparse.Namespace) -> int:
    entries = EngineCache().entries()
    if arguments.json:
        rows = [
            asdict(e) if isinstance(e, Entry) else {'stem': '', 'problem': str(e)} for e in entries
        ]
        print(json.dumps(rows, indent=2))
        return 0
    table: list[Sequence[str]] = [('model', 'precision', 'shapes', 'runtime', 'GPU', 'size')]
    table += [_row(entry) for entry in entries if isinstance(entry, Entry) and entry.facts]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        text = '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(text.rstrip())
    for entry in entries:
        if isinstance(entry, EngineRefusedError):
            print(f'not valid, will not be used: {entry}')
    return 0


def _row(entry: Entry) -> Sequence[str]:
    facts = entry.facts
    shapes = ' '.join(
        f'{name}:{"..".join(_sides(shape) for shape in (low, high)[: 1 + (low != high)])}'
        for name, (low, _, high) in facts.get('shapes', {}).items()
    )
    return (
        entry.model,
        str(facts.get('precision', '-')),
        shapes or '-',
        f'{facts.get("runtime", "")} {facts.get("version", "")}',
        str(facts.get('gpu', '')),
        'refused' if entry.rejected else f'{entry.plan_bytes / _MIB:.1f} MiB',
    )


def _sides(shape: Sequence[int]) -> str:
    return 'x'.join(str(side) for side in shape)


def _verify(arguments: argparse.Namespace) -> int:
    """Check every file; 1 if one was changed."""
    del arguments
    cache = EngineCache()
    entries = cache.entries()
    problems = [str(entry) for entry in entries if isinstance(entry, EngineRefusedError)]
    sound = 0
    for entry in entries:
        if isinstance(entry, Entry) and entry.plan:
            try:
                cache.load(entry)
                sound += 1
            except EngineRefusedError as error:
                problems.append(str(error))
    print(f'{cache.folder}: {sound} as they were stored, {len(problems)} not')
    for problem in problems:
        print(f'not valid, will not be used: {problem}')
    return 1 if problems else 0


def _clear(arguments: argparse.Namespace) -> int:
    del arguments
    cache = EngineCache()
    count, size = cache.clear()
    print(f'{cache.folder}: {count} files deleted, {size / _MIB:.1f} MiB')
    return 0


class _Line:
    """One line on stderr: phase and share."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._drawn_s = 0.0
        self._is_live = sys.stderr.isatty()

    def show(self, phase: str, share: float) -> None:
        """Draw the state, if the last one is old enough."""
        now_s = time.monotonic()
        if self._is_live and now_s - self._drawn_s > _DRAW_S:
            self._drawn_s = now_s
            print(f'\r\033[K{self._name} {share:4.0%} {phase}', end='', file=sys.stderr)
            sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._drawn_s:
            print('\r\033[K', end='', file=sys.stderr)
            self._drawn_s = 0.0
