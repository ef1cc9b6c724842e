"""The parts of an mcap file that hold messages: chunks, and messages outside of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
import struct
from typing import Protocol
import zlib

from depth_perception.evaluation.bag_parts import (
    Channel,
    DamagedError,
    MAX_CHUNK_BYTES,
    MAX_MESSAGE_BYTES,
    NEVER_NS,
    Raw,
    raw_of,
    unpacked_lz4,
    unpacked_zstd,
    within,
)
import numpy as np

SCHEMA, CHANNEL, MESSAGE = 3, 4, 5  # opcodes
RECORD_HEAD = struct.Struct('<BQ')  # opcode, length
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time


class File(Protocol):
    """What the parts need of their file."""

    names: Names

    def warn(self, text: str) -> None:
        """Note what is wrong, once."""
        ...

    def learn(self, opcode: int, body: bytes) -> None:
        """Take up a schema or a channel."""
        ...

    def bytes_at(self, start: int, size: int) -> bytes:
        """Return bytes of the file."""
        ...


class _Fields:
    """Reads the fields of a record one after the other; struct.error where they end early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, layout: str) -> int:
        (value,) = struct.unpack_from('<' + layout, self._data, self._at)
        self._at += struct.calcsize('<' + layout)
        return int(value)

    def text(self) -> str:
        length = self.number('I')
        if self._at + length > len(self._data):
            raise struct.error('text is cut')
        self._at += length
        return self._data[self._at - length : self._at].decode('utf-8', 'replace')


@dataclass
class Names:
    """The channels of a file, and those that they refer to but that were not described."""

    schemas: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)

    def learn(self, opcode: int, body: bytes) -> None:
        """Take up a schema or a channel.

        Raises:
            DamagedError: If it is cut.
        """
        fields = _Fields(body)
        try:
            number = fields.number('H')
            if opcode == SCHEMA:
                self.schemas.setdefault(number, (fields.text(), fields.text(), fields.text()))
                return
            schema = fields.number('H')
            topic, encoding = fields.text(), fields.text()
        except struct.error:
            raise DamagedError('the description of a channel is cut') from None
        kind, language, definition = self.schemas.get(schema, ('', '', ''))
        if number not in self.channels or not self.channels[number].kind:
            self.channels[number] = Channel(topic, kind, encoding, definition, language)


@dataclass
class Chunk:
    """Where a chunk is, and what its header says.

    Attributes:
        at: Position of its data in the file.
        stored: Bytes of it in the file.
        size: Bytes once unpacked.
        whole: False if the file ends in it.
        indexed: Channel -> number of messages, by the index behind it.
    """

    file: File
    at: int
    stored: int
    size: int
    crc: int
    compression: str
    start_ns: int
    stop_ns: int
    whole: bool
    indexed: Counter[int] = field(default_factory=Counter)

    @property
    def memory_bytes(self) -> int:
        """Memory that it takes while it is read."""
        return min(self.size, MAX_CHUNK_BYTES)

    def unpacked(self) -> bytes:
        """Return its records.

        Raises:
            DamagedError: If they are not what the header says.
        """
        if max(self.size, self.stored) > MAX_CHUNK_BYTES:
            raise DamagedError(f'a chunk of {self.size} bytes is beyond {MAX_CHUNK_BYTES}')
        data = self.file.bytes_at(self.at, self.stored)
        if self.compression == 'zstd':
            data = unpacked_zstd(data, self.size, whole=self.whole)
        elif self.compression == 'lz4':
            data = unpacked_lz4(data, self.size, whole=self.whole)
        elif self.compression:
            raise DamagedError(f'chunks packed by {self.compression!r} are unknown')
        if not self.whole:
            return data[: self.size]
        if len(data) != self.size:
            raise DamagedError(f'a chunk has {len(data)} bytes, but says {self.size}')
        if self.crc and zlib.crc32(data) != self.crc:
            raise DamagedError('the checksum of a chunk is wrong')
        return data

    def records(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield opcode, start and end of the records in its data, up to where they are damaged."""
        at = 0
        while at < len(data):
            opcode, length = RECORD_HEAD.unpack_from(data, at) if at + 9 <= len(data) else (0, 0)
            start, at = at + 9, at + 9 + length
            short = opcode == MESSAGE and length < MESSAGE_HEAD.size
            if opcode == 0 or at > len(data) or short:
                if self.whole:
                    self.file.warn(f'the chunk at byte {self.at} is damaged; its rest is lost')
                return
            if opcode in {SCHEMA, CHANNEL}:
                self.file.learn(opcode, data[start:at])
            yield opcode, start, at

    def read(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Raw]:
        """Yield the messages of `topics` in [start_ns, stop_ns), in the order of their time."""
        try:
            data = self.unpacked()
        except DamagedError as error:
            yield from self._lost(topics, str(error))
            return
        found: list[tuple[int, int, int, Channel]] = []
        for opcode, start, end in self.records(data):
            if opcode == MESSAGE:
                number, _, log_ns, _ = MESSAGE_HEAD.unpack_from(data, start)
                channel = self.file.names.channels.get(number)
                if channel is None:
                    self.file.warn('some messages are of no channel that is described')
                    continue
                if not self.start_ns <= log_ns <= self.stop_ns:
                    self.file.warn('the times in the head of a chunk are wrong')
                if channel.topic in topics and within(log_ns, start_ns, stop_ns):
                    found.append((log_ns, start, end, channel))
        found.sort(key=lambda entry: entry[0])
        for log_ns, start, end, channel in found:
            message = data[start + MESSAGE_HEAD.size : end]
            yield raw_of(channel, log_ns, message, (self.at, start))

    def _lost(self, topics: Collection[str], cause: str) -> Iterator[Raw]:
        if not self.indexed:
            self.file.warn(f'at byte {self.at}: {cause}; its messages are lost')
        for number, count in self.indexed.items():
            channel = self.file.names.channels.get(number)
            if channel is not None and channel.topic in topics:
                place = (self.at, -1 - number)
                yield Raw(channel, self.start_ns, None, place, cause, count)


class Loose:
    """The messages that are in no chunk, as `ros2 bag record` writes them with 'fastwrite'."""

    memory_bytes = 0

    def __init__(self, file: File) -> None:
        self._file = file
        self._times = array('Q')
        self._starts = array('Q')
        self._sizes = array('Q')
        self._numbers = array('H')
        self.start_ns, self.stop_ns = NEVER_NS, 0

    def __len__(self) -> int:
        return len(self._times)

    @property
    def counts(self) -> Counter[int]:
        """Channel -> number of messages."""
        return Counter(self._numbers)

    def add(self, number: int, log_ns: int, start: int, size: int) -> None:
        """Take up a message whose data is `size` bytes from `start` in the file."""
        self._numbers.append(number)
        self._times.append(log_ns)
        self._starts.append(start)
        self._sizes.append(size)
        self.start_ns = min(self.start_ns, log_ns)
        self.stop_ns = max(self.stop_ns, log_ns)

    def read(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Raw]:
        """Yield the messages of `topics` in [start_ns, stop_ns), in the order of their time."""
        for index in np.argsort(np.array(self._times, np.uint64), kind='stable'):
            log_ns, start = self._times[index], self._starts[index]
            channel = self._file.names.channels.get(self._numbers[index])
            if channel is None:
                self._file.warn('some messages are of no channel that is described')
            elif channel.topic in topics and within(log_ns, start_ns, stop_ns):
                if self._sizes[index] > MAX_MESSAGE_BYTES:
                    cause = f'a message of {self._sizes[index]} bytes is too large'
                    yield Raw(channel, log_ns, None, (start, 0), cause, 1)
                    continue
                data = self._file.bytes_at(start, self._sizes[index])
                yield raw_of(channel, log_ns, data, (start, 0))
