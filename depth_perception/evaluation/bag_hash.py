"""What a recording is, whatever it is called: a hash of what it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from depth_perception.errors import RecordingError

STORAGE_SUFFIXES = ('.mcap', '.db3', '.zstd', '.lz4')
_CHUNK = 1 << 20


def storage_files(path: Path) -> list[Path]:
    """Return the files that hold the messages of a recording, in order of their names."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the storage files of a recording, one after the other.

    Raises:
        RecordingError: If there are none, or they cannot be read.
    """
    digest = hashlib.sha256()
    try:
        files = storage_files(path)
        if not files:
            raise RecordingError(f'{path} holds no {" or ".join(STORAGE_SUFFIXES[:2])} file')
        for file in files:
            with file.open('rb') as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise RecordingError(f'cannot read {path}: {error.strerror or error}') from error
    return digest.hexdigest()
