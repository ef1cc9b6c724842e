"""depth_perception models: what there is, what it may be used for, and how to get it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
import sys
import time
from typing import Any

from depth_perception.errors import ModelError
from depth_perception.inference.backend import Backend
from depth_perception.inference.card_schema import ArtifactSpec
from depth_perception.inference.cards import (
    artifact_path,
    available_cards,
    file_sha256,
    load_card,
    ModelCard,
    with_tensor_names,
)
from depth_perception.inference.fetch import fetch
from depth_perception.inference.golden import (
    golden_problem,
    golden_statistics,
    WAVES,
)


def register(subparsers: Any) -> None:
    """Add the verb and its own verbs."""
    parser = subparsers.add_parser('models', help='list, show, fetch and verify networks')
    verbs = parser.add_subparsers(dest='models_verb', required=True)
    listing = verbs.add_parser('list', help='all model cards')
    listing.add_argument('--json', action='store_true', help='machine-readable')
    listing.add_argument('--markdown', action='store_true', help='as the table of docs/models.md')
    listing.set_defaults(func=_list)
    for name, function, text in (
        ('show', _show, 'one card in full'),
        ('fetch', _fetch, 'download the file of a card'),
        ('verify', _verify, 'compare a file with its card: hash, tensors, and what it answers'),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument('model', help='id of a card, or the path of one')
        verb.set_defaults(func=function)
        if name == 'fetch':
            verb.add_argument(
                '--accept-licence', action='store_true', help='agree to a non-commercial licence'
            )
            verb.add_argument(
                '--trust-first-use', action='store_true', help='take a file without known sha256'
            )


def _list(arguments: argparse.Namespace) -> int:
    rows = [_row(card) for card in available_cards()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    if arguments.markdown:
        print(_markdown(rows))
        return 0
    columns = ('id', 'task', 'kind', 'size', 'licence', 'commercial', 'here')
    table = [columns] + [tuple(str(row[name]) for name in columns) for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        print('  '.join(text.ljust(width) for text, width in zip(line, widths, strict=True)))
    return 0


def _markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table of all cards that ship."""
    lines = [
        '| card | task | output kind | size rule | licence | commercial | file |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        commercial = {True: 'yes', False: 'no'}.get(row['commercial'], row['commercial'])
        relative = '' if row['metric'] else ', relative'
        cells = (f'`{row["id"]}`', row['task'], f'`{row["kind"]}`{relative}', row['size'])
        lines.append(
            f'| {" | ".join(cells)} | {row["licence"]} | {commercial} | {row["offered"]} |'
        )
    return '\n'.join(lines)


def _offered(card: ModelCard) -> str:
    """Return how one comes by the file of a card."""
    if card.builtin is not None:
        return 'none needed'
    if (card.path.parent / card.artifact.file).is_file():
        return 'shipped'
    if not card.artifact.source:
        return 'you make it'
    return 'download, hash known' if card.artifact.sha256 else 'download'


def _row(card: ModelCard) -> dict[str, Any]:
    return {
        'id': card.id,
        'task': card.task,
        'kind': card.output.kind,
        'metric': not card.is_relative,
        'size': _size_rule(card),
        'licence': card.artifact.licence,
        'commercial': card.artifact.commercial,
        'here': _is_here(card),
        'offered': _offered(card),
        'source': card.artifact.source,
        'export': card.artifact.export,
        'summary': card.summary,
    }


def _size_rule(card: ModelCard) -> str:
    spec = card.resize
    size = '' if spec.size is None else str(spec.size)
    if isinstance(spec.size, tuple):
        size = 'x'.join(str(side) for side in spec.size)
    multiple = f'x{spec.multiple}' if spec.multiple > 1 else ''
    return ' '.join(part for part in (spec.policy, size, multiple) if part)


def _is_here(card: ModelCard) -> bool:
    try:
        return card.builtin is not None or artifact_path(card).is_file()
    except ModelError:
        return False


def _show(arguments: argparse.Namespace) -> int:
    card = load_card(arguments.model)
    values = dataclasses.asdict(card)
    values['path'] = card.path.name
    print(json.dumps(values, indent=2, default=str))
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    card = load_card(arguments.model)
    licence = card.artifact.licence
    print(f'{card.id}: licence {licence}, commercial use {_permission(card.artifact)}')
    if card.artifact.commercial is not True and not arguments.accept_licence:
        raise ModelError(
            f'{card.id} may not be used for everything: read its licence ({licence}) and repeat '
            'with --accept-licence'
        )
    bar = _ProgressBar(card.artifact.file)
    path = fetch(card, bar.show, trust_first_use=arguments.trust_first_use)
    bar.end()
    print(f'{path.name}: sha256 {file_sha256(path)}, in {path.parent}')
    if not card.artifact.sha256:
        print('write that sha256 into the card, so that the next fetch can tell the file')
    return 0


def _permission(artifact: ArtifactSpec) -> str:
    if artifact.commercial == 'check':
        return 'to be read in the licence'
    return 'allowed' if artifact.commercial else 'not allowed'


def _verify(arguments: argparse.Namespace) -> int:
    card = load_card(arguments.model)
    if card.builtin is not None:
        print(f'{card.id}: builtin, nothing to verify')
        return 0
    path: Path = artifact_path(card)
    from depth_perception.inference.estimator import open_backend
    from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings

    made = StereoEstimatorSettings if card.task == 'stereo' else MonoEstimatorSettings
    settings = made(backend='onnxruntime')  # golden statistics are those of fp32
    with open_backend(card, settings) as backend:
        checked = (
            'has the sha256 of its card' if card.artifact.sha256 else 'has no sha256 to check'
        )
        print(f'{path.name} {checked}; loads on {backend.description}')
        for side, specs in (('input', backend.inputs), ('output', backend.outputs)):
            for spec in specs:
                print(f'  {side} {spec.name} {spec.dtype} {spec.shape}')
        return _verify_answer(card, backend)


def _verify_answer(card: ModelCard, backend: Backend) -> int:
    """Compare the answer of the network with that of its card; return the exit code."""
    wanted = card.golden
    name = wanted.input if wanted is not None else WAVES
    found = golden_statistics(with_tensor_names(card, backend), backend, name)
    if wanted is None:
        print(
            f'its card has no golden statistics; this file answers\n  golden: {{input: {name}, '
            f'output_mean: {found.mean:.6g}, output_p05: {found.p05:.6g}, '
            f'output_p95: {found.p95:.6g}}}'
        )
        return 0
    problem = golden_problem(wanted, found)
    if problem is not None:
        print(f'WRONG: to {name} it answers another thing than its card says: {problem}')
        return 1
    print(f'answers to {name} as its card says, within {wanted.rtol:.1%}')
    return 0


class _ProgressBar:
    """One line on stderr: share, size, rate; redrawn ten times a second at most."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = time.monotonic()
        self._first: int | None = None
        self._drawn = 0.0

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._drawn < 0.1 and done != total:
            return
        self._drawn = now
        rate = (done - self._first) / max(now - self._start, 1e-3) / 1e6
        share = f'{100.0 * done / total:5.1f} %' if total else ''
        bar = '#' * int(30 * done / total) if total else ''
        line = f'\r{self._name} [{bar:<30}] {share} {done / 1e6:.1f} MB {rate:.1f} MB/s'
        print(line, end='', file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._drawn:
            print(file=sys.stderr)
