"""Find and open the files of a recording: a folder with or without metadata.yaml, or one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import os
from pathlib import Path, PurePosixPath
import re
import shutil
import stat
import tempfile
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation import bag_mcap, bag_sqlite
from depth_perception.evaluation.bag_parts import Storage, ZSTD_MAGIC, zstd_reader

METADATA = 'metadata.yaml'
_SUFFIXES = ('.mcap', '.db3', '.mcap.zstd', '.db3.zstd')
_MAX_METADATA_BYTES = 1 << 22
_MAX_RATIO = 2000  # what is packed better than that is made to fill the disk
_SPARE_BYTES = 1 << 28  # left on the disk, and let out of small files
_PIECE = 1 << 20


@dataclass
class Files:
    """What is in a recording.

    Attributes:
        paths: The files that hold messages, in order.
        kinds: Topic -> type, by metadata.yaml.
        warnings: What is wrong.
    """

    paths: list[Path] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def find_files(path: Path) -> Files:
    """Return the files of a recording.

    Raises:
        RecordingError: If there are none, or metadata.yaml names a file outside of the folder.
    """
    try:
        if path.is_dir():
            files = _files_in(path)
        elif not path.exists():
            raise RecordingError(f'{path} is not a rosbag2 recording: it does not exist')
        else:
            files = Files([path])
        for file in files.paths:
            if not stat.S_ISREG(file.stat().st_mode):
                raise RecordingError(f'{file} is not a rosbag2 recording: not a plain file')
    except (OSError, ValueError) as error:
        raise RecordingError(f'{path} is not a rosbag2 recording: {error}') from error
    return files


def natural_order(path: Path) -> tuple[Any, ...]:
    """Return a key that puts x_2 before x_10."""
    parts = re.split(r'([0-9]+)', path.name)
    return (*((int(part), '') if part.isdecimal() else (0, part) for part in parts), path.name)


def _files_in(folder: Path) -> Files:
    there = sorted(
        (file for file in folder.iterdir() if file.name.endswith(_SUFFIXES)), key=natural_order
    )
    files = Files()
    try:
        content = _metadata(folder / METADATA)
        named = [_inside(folder, str(name)) for name in content['relative_file_paths']]
        for entry in content['topics_with_message_count']:
            topic = entry['topic_metadata']
            files.kinds[str(topic['name'])] = str(topic['type'])
    except FileNotFoundError:
        files.warnings.append(f'{folder.name}: {METADATA} is missing, as after a loss of power')
        named = there
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        files.warnings.append(f'{folder.name}: {METADATA} is damaged, and not used: {error!r}')
        named = there
    files.paths = [file for file in dict.fromkeys(named) if file.exists()]
    missing = [file.name for file in named if not file.exists()]
    if missing:
        files.warnings.append(f'{folder.name}: missing: {", ".join(missing)}')
    unnamed = [file.name for file in there if file not in files.paths]
    if unnamed and files.paths:
        files.warnings.append(f'{folder.name}: not in {METADATA}, not read: {", ".join(unnamed)}')
    files.paths = files.paths or there
    if not files.paths:
        raise RecordingError(
            f'{folder} is not a rosbag2 recording: it holds no .mcap or .db3 file'
        )
    return files


def _inside(folder: Path, name: str) -> Path:
    """Return a file that metadata.yaml names; up to version 3, the folder stands before it."""
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == '/' or '..' in parts or '\\' in name or '\0' in name:
        raise RecordingError(f'{folder}: {METADATA} names a file outside of the folder: {name!r}')
    for candidate in (folder.joinpath(*parts), folder / parts[-1]):
        for file in (candidate, candidate.with_name(f'{candidate.name}.zstd')):
            if file.exists():
                return file
    return folder / parts[-1]


def _metadata(path: Path) -> Any:
    """Return what metadata.yaml tells.

    Raises:
        FileNotFoundError: If there is none.
        RecordingError: If it is absurdly large.
        ValueError: If it cannot be used.
    """
    import yaml

    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError('not a plain file')
    if path.stat().st_size > _MAX_METADATA_BYTES:
        raise RecordingError(f'{path} has more than {_MAX_METADATA_BYTES} bytes')
    try:
        # This loader makes text of all values, and has no merge keys, which can multiply; the
        # one in C crashes where brackets are nested deeply.
        content = yaml.load(path.read_text('utf-8'), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition('\n')[0]) from None
    return content['rosbag2_bagfile_information']


_OPENERS: dict[bytes, Callable[[Path], Storage]] = {
    bag_mcap.MAGIC: bag_mcap.McapFile,
    bag_sqlite.MAGIC: bag_sqlite.SqliteFile,
}


class Scratch:
    """A folder for what has to be unpacked, made when it is needed."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def folder(self) -> Path:
        """The folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix='depth_perception_')
        return Path(self._folder.name)

    def remove(self) -> None:
        """Remove what is in it."""
        if self._folder is not None:
            self._folder.cleanup()


def open_storage(path: Path, scratch: Scratch) -> Storage:
    """Open one file of a recording, whatever it is called.

    Args:
        path: The file.
        scratch: Where a packed file is unpacked.

    Raises:
        RecordingError: If it cannot be read.
    """
    try:
        with path.open('rb') as file:
            head = file.read(16)
        if head[:4] == ZSTD_MAGIC:
            path = _unpacked(path, scratch)
            with path.open('rb') as file:
                head = file.read(16)
        for magic, opener in _OPENERS.items():
            if head.startswith(magic):
                return opener(_whole_pages(path, head, scratch))
    except OSError as error:
        raise RecordingError(f'{path} is not a rosbag2 recording: {error}') from error
    raise RecordingError(f'{path} is not a rosbag2 recording: neither mcap nor sqlite3')


def _unpacked(path: Path, scratch: Scratch) -> Path:
    """Return the path of the file that `path` packs; what there is of it if it is cut."""
    limit = path.stat().st_size * _MAX_RATIO + _SPARE_BYTES
    target = scratch.folder / path.name.removesuffix('.zstd')
    size = 0
    with path.open('rb') as source, target.open('wb') as result:
        reader, zstd_error = zstd_reader(source)
        try:
            while piece := reader.read(_PIECE):
                size += len(piece)
                if size > limit:
                    raise RecordingError(f'{path} is packed too well to be a recording')
                if size % (64 * _PIECE) < _PIECE:
                    _check_room(path, scratch)
                result.write(piece)
        except zstd_error:
            pass  # the reader of the file tells that its end is missing
    return target


def _check_room(path: Path, scratch: Scratch) -> None:
    if shutil.disk_usage(scratch.folder).free < _SPARE_BYTES:
        raise RecordingError(
            f'{path} needs more room for unpacking than there is in {scratch.folder.parent}; '
            'set TMPDIR to a folder on a larger disk'
        )


def _whole_pages(path: Path, head: bytes, scratch: Scratch) -> Path:
    """Return `path`, or a copy without its last page if that is cut.

    sqlite takes what is missing of a page for zeros, which would pass as data.
    """
    if not head.startswith(bag_sqlite.MAGIC) or path.stat().st_size < 512:
        return path
    with path.open('rb') as file:
        file.seek(16)
        page = int.from_bytes(file.read(2), 'big')
    page = 65536 if page == 1 else page
    size = path.stat().st_size
    if page < 512 or size % page == 0 or size < page:
        return path
    copy = scratch.folder / path.name
    _check_room(path, scratch)
    if shutil.disk_usage(scratch.folder).free < size + _SPARE_BYTES:
        raise RecordingError(f'{path} is cut, and {scratch.folder.parent} has no room for a copy')
    if copy != path:
        shutil.copyfile(path, copy)
    os.truncate(copy, size - size % page)
    return copy
