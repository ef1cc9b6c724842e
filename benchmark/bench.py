"""Measure, print a table and store a JSON file: `./run bench [--json FILE] [--only PART]`.

All figures are ratios or durations of one run on one machine; nothing here fails.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import platform
from typing import Any

import bench_cloud
import bench_compressed
import bench_evaluation
import bench_node
import bench_scale


def main() -> None:
    """Run the parts asked for."""
    parts: dict[str, Callable[[], Any]] = {
        'cloud': bench_cloud.measure,
        'compressed': bench_compressed.measure,
        'overhead': bench_node.overhead,
        'overload': bench_node.overload,
        'memory': bench_node.memory,
        'evaluation': bench_evaluation.measure,
        'scale': bench_scale.measure,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='store the figures in this file')
    parser.add_argument('--only', choices=parts, action='append', help='measure this part only')
    arguments = parser.parse_args()
    bench_node.setup()
    figures: dict[str, Any] = {'machine': platform.processor() or platform.machine()}
    for name in arguments.only or parts:
        print(f'== {name}', flush=True)
        figures[name] = parts[name]()
        print_figures(figures[name], 1)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + '\n')


def print_figures(figures: Any, depth: int) -> None:
    """Print nested figures, one a line."""
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f'{"  " * depth}{name}')
            print_figures(value, depth + 1)
        else:
            shown = f'{value:10.3f}' if isinstance(value, float) else f'{value!s:>10}'
            print(f'{"  " * depth}{name:<32}{shown}')


if __name__ == '__main__':
    main()
