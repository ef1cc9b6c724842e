"""Read mcap files, also those whose end is missing or damaged (mcap.dev/spec, version 0).

The mcap package takes a record that is cut short for a whole one, so the records are read here.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
import struct
from typing import BinaryIO
import zlib

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_chunks import (
    CHANNEL,
    Chunk,
    Loose,
    MESSAGE,
    MESSAGE_HEAD,
    Names,
    RECORD_HEAD,
    SCHEMA,
)
from depth_perception.evaluation.bag_parts import (
    Block,
    Channel,
    DamagedError,
    MAX_CHUNK_BYTES,
    NEVER_NS,
)

MAGIC = b'\x89MCAP0\r\n'
FOOTER, CHUNK, INDEX, STATISTICS = 2, 6, 7, 11  # opcodes
CHUNK_HEAD = struct.Struct('<QQQII')  # start, end, unpacked size, CRC, length of compression
_STATISTICS_HEAD = struct.Struct('<QHIIIIQQI')  # ..., channels, ..., bytes of the counts
_FOOTER_BODY = struct.Struct('<QQI')  # start of the summary, of its offsets, CRC
_MAX_DESCRIPTION_BYTES = 1 << 20  # of a schema or channel
_MAX_NAME_BYTES = 16


class McapFile:
    """An mcap file, opened; see `bag_parts.Storage`."""

    kind = 'mcap'

    def __init__(self, path: Path) -> None:
        """Open it, and find out what is in it.

        Raises:
            RecordingError: If it is no mcap file, or nothing can be read.
        """
        self.path = path
        self.warnings: list[str] = []
        self.names = Names()
        self.counts: Counter[str] = Counter()
        self._chunks: list[Chunk] = []
        self._loose = Loose(self)
        self._statistics: Counter[int] | None = None
        self._expected_channels = 0
        self._file: BinaryIO = path.open('rb')
        try:
            self._size = self._file.seek(0, 2)
            complete = self._scan()
            self._count(complete=complete)
        except (struct.error, ValueError, OverflowError) as error:
            self._file.close()
            raise RecordingError(f'{path} is not a rosbag2 recording: {error}') from error
        except BaseException:
            self._file.close()
            raise

    @property
    def channels(self) -> list[Channel]:
        """All channels, as far as they can be read."""
        return list(self.names.channels.values())

    def blocks(self) -> list[Block]:
        """Return its chunks, and the messages outside of them."""
        chunks: list[Block] = [c for c in self._chunks if c.start_ns <= c.stop_ns]
        return [*chunks, self._loose] if len(self._loose) else chunks

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def warn(self, text: str) -> None:
        """Note what is wrong, once."""
        line = f'{self.path.name}: {text}'
        if line not in self.warnings:
            self.warnings.append(line)

    def bytes_at(self, start: int, size: int) -> bytes:
        """Return bytes of the file; the caller has made sure that they are there."""
        self._file.seek(start)
        return self._file.read(size)

    def learn(self, opcode: int, body: bytes) -> None:
        """Take up a schema or a channel."""
        try:
            self.names.learn(opcode, body)
        except DamagedError as error:
            self.warn(str(error))

    def _scan(self) -> bool:
        """Read the heads of all records; return whether the file is complete."""
        if self.bytes_at(0, 8) != MAGIC:
            raise RecordingError(f'{self.path} is not a rosbag2 recording: no mcap file')
        at = 8
        while True:
            head = self.bytes_at(at, 9)
            opcode, length = RECORD_HEAD.unpack(head) if len(head) == 9 else (0, 0)
            body, at = at + 9, at + 9 + length
            if opcode == CHUNK:
                at = self._chunk(body, at)
            if opcode == 0 or at > self._size:
                return self._cut(body - 9)
            if opcode == FOOTER:
                return self._summary_is_sound(body, length)
            if opcode in {SCHEMA, CHANNEL} and length <= _MAX_DESCRIPTION_BYTES:
                self.learn(opcode, self.bytes_at(body, length))
            elif opcode == MESSAGE and length >= MESSAGE_HEAD.size:
                number, _, log_ns, _ = MESSAGE_HEAD.unpack(self.bytes_at(body, 22))
                self._loose.add(number, log_ns, body + 22, length - 22)
            elif opcode == INDEX and self._chunks and length >= 6:
                number, size = struct.unpack('<HI', self.bytes_at(body, 6))
                self._chunks[-1].indexed[number] += min(size, length - 6) // 16
            elif opcode == STATISTICS and length <= _MAX_DESCRIPTION_BYTES:
                self._read_statistics(self.bytes_at(body, length))

    def _cut(self, at: int) -> bool:
        self.warn(
            f'it ends or is damaged at byte {at} of {self._size}, as after a loss of power; '
            'what follows is lost'
        )
        return False

    def _chunk(self, body: int, end: int) -> int:
        """Take up a chunk; return where it ends, by its own header if that makes more sense."""
        head = self.bytes_at(body, CHUNK_HEAD.size)
        if len(head) < CHUNK_HEAD.size:
            return self._size + 1
        start_ns, stop_ns, size, crc, length = CHUNK_HEAD.unpack(head)
        rest = self.bytes_at(body + len(head), length + 8) if length <= _MAX_NAME_BYTES else b''
        at = body + len(head) + length + 8
        if len(rest) < length + 8:
            if at <= self._size:
                self.warn(f'the head of the chunk at byte {body} is damaged; it is lost')
            return end
        (stored,) = struct.unpack('<Q', rest[length:])
        if at + stored > end and end <= self._size:
            self.warn(f'the chunk at byte {body} is longer than its record; it is lost')
            return end
        whole = at + stored <= self._size
        compression = rest[:length].decode('ascii', 'replace')
        self._chunks.append(
            Chunk(
                self, at, min(stored, self._size - at), size, crc, compression,
                start_ns, stop_ns, whole,
            )
        )  # fmt: skip
        return end if end <= self._size else at + stored

    def _read_statistics(self, data: bytes) -> None:
        if len(data) < _STATISTICS_HEAD.size:
            return
        head = _STATISTICS_HEAD.unpack_from(data)
        self._expected_channels = head[2]
        entries = data[_STATISTICS_HEAD.size :][: head[-1]]
        whole = entries[: len(entries) // 10 * 10]
        self._statistics = Counter(dict(struct.iter_unpack('<HQ', whole)))

    def _summary_is_sound(self, body: int, length: int) -> bool:
        data = self.bytes_at(body, min(length, _FOOTER_BODY.size))
        if len(data) < _FOOTER_BODY.size:
            return self._cut(body - 9)
        if self.bytes_at(body + length, 8) != MAGIC:
            self.warn('its last bytes are missing or damaged, but nothing else is')
        start, _, crc = _FOOTER_BODY.unpack_from(data)
        if not crc or not 0 < start <= body or body - start > MAX_CHUNK_BYTES:
            return True
        # The checksum covers the summary and the footer up to the checksum itself.
        if zlib.crc32(self.bytes_at(start, body + 16 - start)) != crc:
            self.warn('the checksum of its summary is wrong, so everything is read')
            return False
        return True

    def _count(self, *, complete: bool) -> None:
        """Count the messages of each topic, by the summary or, without one, by reading."""
        counts = self._loose.counts
        known = len(self.names.channels)
        if complete and self._statistics is not None and known >= self._expected_channels:
            counts = self._statistics
            for chunk in self._chunks:
                if chunk.start_ns > chunk.stop_ns and chunk.indexed:
                    self._survey(chunk)
        else:
            for chunk in self._chunks:
                counts += self._survey(chunk)
        for number, count in counts.items():
            if (channel := self.names.channels.get(number)) is not None:
                self.counts[channel.topic] += count

    def _survey(self, chunk: Chunk) -> Counter[int]:
        """Return the messages in a chunk, and find its channels and times."""
        try:
            data = chunk.unpacked()
        except DamagedError:
            return chunk.indexed
        heads = [
            MESSAGE_HEAD.unpack_from(data, start)
            for opcode, start, _ in chunk.records(data)
            if opcode == MESSAGE
        ]
        chunk.start_ns = min((head[2] for head in heads), default=NEVER_NS)
        chunk.stop_ns = max((head[2] for head in heads), default=0)
        return Counter(head[0] for head in heads)
