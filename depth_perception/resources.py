"""Find the package's own files: model cards, configuration, launch files.

They are looked for in the share folder that ament or pip installed, then beside the sources of a
checkout, so that the same call works under `ros2 run`, in a virtual environment and in a clone.
"""

from __future__ import annotations

import os
from pathlib import Path
import sys

from depth_perception.errors import DepthPerceptionError

PACKAGE = 'depth_perception'


def _roots() -> list[Path]:
    """Return the folders that may hold the package's data, best first."""
    source = Path(__file__).resolve().parent.parent
    if (source / 'package.xml').is_file():
        return [source]
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    prefixes += [Path(sys.prefix), *Path(__file__).resolve().parents[1:5]]
    return [prefix / 'share' / PACKAGE for prefix in prefixes]


def resource_path(*parts: str) -> Path:
    """Return the path of one of the package's files or folders, e.g. ('models', 'sgbm.yaml').

    Raises:
        DepthPerceptionError: If it is in none of the places looked at, which are listed.
    """
    tried = [root.joinpath(*parts) for root in _roots()]
    for path in tried:
        if path.exists():
            return path
    places = ', '.join(str(path) for path in tried)
    raise DepthPerceptionError(f'{"/".join(parts)} not found; looked at {places}')


def user_cache() -> Path:
    """Return the folder for fetched models: DEPTH_PERCEPTION_CACHE, or the XDG cache folder."""
    chosen = os.environ.get('DEPTH_PERCEPTION_CACHE')
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get('XDG_CACHE_HOME')
    return (Path(base) if base else Path.home() / '.cache') / PACKAGE
