"""The command line: depth_perception <verb>."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys

import depth_perception
from depth_perception.cli import (
    calibrate,
    compare,
    convert,
    demo,
    doctor,
    engines,
    evaluate,
    infer,
    inspect,
    models,
    nav2_config,
    settings,
    view,
)
from depth_perception.errors import DepthPerceptionError

USAGE_ERROR = 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser(
        prog='depth_perception',
        description='Metric depth with an error bar, from a mono camera or a stereo pair.',
    )
    top.add_argument(
        '--version', action='version', version=f'depth_perception {depth_perception.__version__}'
    )
    top.add_argument('--debug', action='store_true', help='show the traceback of an error')
    verbs = top.add_subparsers(dest='verb', required=True, metavar='VERB')
    verb_modules = (
        infer,
        demo,
        convert,
        evaluate,
        compare,
        calibrate,
        models,
        engines,
        inspect,
        doctor,
        nav2_config,
        settings,
        view,
    )
    for module in verb_modules:
        module.register(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        The exit code: 0 done, 1 if a gate failed, 2 if something given cannot be used (one line
        on stderr says what and why), 130 after ctrl-C; `doctor` has two more.
    """
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.func(arguments))
    except DepthPerceptionError as error:
        if arguments.debug:
            raise
        print(f'depth_perception {arguments.verb}: {error}', file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # e.g. `| head`
        sys.stderr.close()
        return 0


if __name__ == '__main__':
    sys.exit(main())
