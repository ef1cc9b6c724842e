"""What a recording is, whatever it is called: a hash of what it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_files import find_files

_PIECE = 1 << 20


def storage_files(path: Path) -> list[Path]:
    """Return the files that hold the messages of a recording, in order.

    Raises:
        RecordingError: If there are none.
    """
    return find_files(path).paths


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the storage files of a recording, one after the other.

    Names and metadata.yaml do not matter: a folder with one file has the hash of that file.

    Raises:
        RecordingError: If there are none, or they cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in storage_files(path):
            with file.open('rb') as content:
                while piece := content.read(_PIECE):
                    digest.update(piece)
    except OSError as error:
        raise RecordingError(f'cannot read {path}: {error.strerror or error}') from error
    return digest.hexdigest()
