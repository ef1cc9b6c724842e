"""What the readers of mcap and sqlite3 have in common: channels, raw messages, blocks, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from depth_perception.errors import RecordingError

MAX_CHUNK_BYTES = 1 << 30  # of a chunk once it is unpacked
MAX_MESSAGE_BYTES = 1 << 29
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_PIECE = 1 << 20
_MAX_WINDOW_BYTES = 1 << 27  # what zstd --long=27 needs, its greatest by default
NEVER_NS = 2**63 - 1


class DamagedError(Exception):
    """Some bytes of a recording are not what they should be; the text says how."""


@dataclass(frozen=True)
class Channel:
    """What one publisher's messages are.

    Attributes:
        topic: Name of the topic.
        kind: Type of the messages, e.g. 'sensor_msgs/msg/Image'.
        encoding: How they are serialised; only 'cdr' can be read.
        definition: Text of the type and of those in it; '' if the recording does not hold it.
        language: Of the definition: 'ros2msg' or 'ros2idl'.
    """

    topic: str
    kind: str
    encoding: str = 'cdr'
    definition: str = ''
    language: str = ''


@dataclass(frozen=True)
class Raw:
    """A message as it is stored, or the news that some are lost.

    Attributes:
        channel: Its channel.
        log_ns: When it was recorded [ns].
        data: The serialised message; None if it is lost.
        place: What tells it apart from every other one of the same file.
        cause: Why it is lost.
        lost: Number of messages lost here.
    """

    channel: Channel
    log_ns: int
    data: bytes | None
    place: tuple[int, int]
    cause: str = ''
    lost: int = 0


class Block(Protocol):
    """A part of a file whose messages are read together.

    Attributes:
        start_ns: Time of its first message [ns].
        stop_ns: Time of its last one [ns].
    """

    start_ns: int
    stop_ns: int

    @property
    def memory_bytes(self) -> int:
        """Memory that it takes while it is read."""
        ...

    def read(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Raw]:
        """Yield the messages of `topics` in [start_ns, stop_ns), in the order of their time."""
        ...


class Storage(Protocol):
    """One file of a recording, opened.

    Attributes:
        kind: 'mcap' or 'sqlite3'.
        counts: Topic -> number of messages.
        warnings: What is wrong with the file.
    """

    kind: str
    counts: Counter[str]
    warnings: list[str]

    @property
    def channels(self) -> list[Channel]:
        """All channels, as far as they can be read."""
        ...

    def blocks(self) -> list[Block]:
        """Return its parts."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def within(log_ns: int, start_ns: int | None, stop_ns: int | None) -> bool:
    """Return whether a time is in [start_ns, stop_ns)."""
    return (start_ns is None or log_ns >= start_ns) and (stop_ns is None or log_ns < stop_ns)


def unpacked_zstd(data: bytes, limit: int, *, whole: bool = True) -> bytes:
    """Return what zstd packed.

    Args:
        data: The packed bytes.
        limit: Most bytes that may come out.
        whole: Whether the end must be there; without it, what there is is returned.

    Raises:
        DamagedError: If more comes out, the data is damaged, or its end is missing.
        RecordingError: If the package zstandard is missing.
    """
    zstandard = _zstandard()
    result = bytearray()
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(
            data, read_across_frames=True
        ) as reader:
            while piece := reader.read(min(_PIECE, limit + 1 - len(result))):
                result += piece
                if len(result) > limit:
                    raise DamagedError(f'more than {limit} bytes come out of zstd')
    except zstandard.ZstdError as error:
        if whole:
            raise DamagedError(f'zstd: {error}') from None
    return bytes(result)


def unpacked_lz4(data: bytes, limit: int, *, whole: bool = True) -> bytes:
    """Return what lz4 packed; arguments and errors as those of `unpacked_zstd`."""
    try:
        import lz4.frame  # type: ignore[import-untyped]
    except ImportError:
        raise RecordingError('this recording is packed by lz4: pip install lz4') from None
    result = bytearray()
    unpacker = lz4.frame.LZ4FrameDecompressor()
    try:
        piece = unpacker.decompress(data, max_length=min(_PIECE, limit + 1))
        while piece:
            result += piece
            if len(result) > limit:
                raise DamagedError(f'more than {limit} bytes come out of lz4')
            if unpacker.eof:
                break
            piece = unpacker.decompress(b'', max_length=min(_PIECE, limit + 1 - len(result)))
    except (RuntimeError, EOFError) as error:
        if whole:
            raise DamagedError(f'lz4: {error}') from None
    return bytes(result)


def plain_message(data: bytes) -> bytes:
    """Return a message; rosbag2 may have packed each one by zstd.

    Serialised messages begin with 0, so that they cannot be taken for packed ones.

    Raises:
        DamagedError: If it cannot be unpacked.
    """
    return unpacked_zstd(data, MAX_MESSAGE_BYTES) if data[:4] == ZSTD_MAGIC else data


def raw_of(channel: Channel, log_ns: int, data: bytes, place: tuple[int, int]) -> Raw:
    """Return a message, unpacked, or that it is lost."""
    try:
        return Raw(channel, log_ns, plain_message(data), place)
    except DamagedError as error:
        return Raw(channel, log_ns, None, place, str(error), 1)


def zstd_reader(stream: Any) -> Any:
    """Return a file-like object of what zstd packed in `stream`, and the error it may raise."""
    zstandard = _zstandard()
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    return unpacker.stream_reader(stream, read_across_frames=True), zstandard.ZstdError


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise RecordingError('this recording is packed by zstd: pip install zstandard') from None
    return zstandard
