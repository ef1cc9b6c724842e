"""depth_perception settings: every parameter of the nodes, with its range and meaning."""

from __future__ import annotations

import argparse
from typing import Any

from depth_perception.parameters import MonoSettings, StereoSettings
from depth_perception.settings import declarations_of, reference_table

CLASSES = {'stereo': StereoSettings, 'mono': MonoSettings}
PAGE = """# Parameters

Generated: `depth_perception settings --markdown > docs/parameters.md`. A *live* parameter can
change while the node runs (`ros2 param set`); the others are read when the node starts. A value
that is out of its range, or contradicts another one, is refused with the reason."""


def register(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser('settings', help='all parameters of a node')
    parser.add_argument('task', choices=[*CLASSES, 'all'], nargs='?', default='all')
    parser.add_argument('--markdown', action='store_true', help='as tables, for the docs')
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the parameters."""
    tasks = [*CLASSES] if arguments.task == 'all' else [arguments.task]
    if arguments.markdown:
        print(PAGE)
    for task in tasks:
        if arguments.markdown:
            print(f'\n## {task}_depth_node\n\n{reference_table(CLASSES[task])}')
        else:
            print(f'{task}_depth_node\n{_listing(CLASSES[task])}\n')
    return 0


def _listing(cls: type[Any]) -> str:
    """Return two lines per parameter: name, type, default and range; then its meaning."""
    lines = []
    for name, declared in declarations_of(cls).items():
        spec = declared.setting
        limits = ' | '.join(spec.choices)
        if spec.low is not None and spec.high is not None:
            limits = f'{spec.low:g} to {spec.high:g} {spec.unit}'.rstrip()
        live = ', live' if spec.live else ''
        default = repr(declared.default) if declared.kind is str else str(declared.default)
        shown = f' ({limits})' if limits else ''
        lines.append(f'  {name} = {default.lower() if declared.kind is bool else default}{shown}')
        lines.append(f'      {spec.description} [{declared.kind.__name__}{live}]')
    return '\n'.join(lines)
