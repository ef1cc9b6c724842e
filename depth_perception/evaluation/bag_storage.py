"""Read the raw messages of a recording in the order of their time, whatever its files are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
import heapq
from pathlib import Path

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_files import find_files, open_storage, Scratch
from depth_perception.evaluation.bag_parts import Block, Channel, Raw, Storage

MAX_OPEN_BYTES = 2 << 30  # of the blocks that are read at the same time


class RawRecording:
    """The files of a recording, opened.

    Attributes:
        kind: 'mcap' or 'sqlite3'.
        bytes: Size of the files.
        kinds: Topic -> type.
        channels: All channels.
        counts: Topic -> number of messages, damaged ones included as far as they are known.
        start_ns: Time of the first message [ns]; 0 if there is none.
        stop_ns: Time of the last message [ns]; 0 if there is none.
    """

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Raises:
            RecordingError: If nothing in it can be read.
        """
        self._scratch = Scratch()
        self._storages: list[Storage] = []
        self._notes: list[str] = []
        try:
            self._open(path)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> None:
        files = find_files(path)
        self._notes += files.warnings
        self.bytes = 0
        for file in files.paths:
            try:
                self._storages.append(open_storage(file, self._scratch))
                self.bytes += file.stat().st_size
            except RecordingError as error:
                if len(files.paths) == 1:
                    raise
                self._notes.append(str(error))
        if not self._storages:
            raise RecordingError('; '.join(self._notes))
        self.kind = self._storages[0].kind
        self.channels: list[Channel] = [c for s in self._storages for c in s.channels]
        self.counts = sum((storage.counts for storage in self._storages), Counter[str]())
        self.kinds: dict[str, str] = {}
        for channel in self.channels:
            self.kinds.setdefault(channel.topic, channel.kind)
        for topic, kind in files.kinds.items():
            self.kinds.setdefault(topic, kind)
        if not self.channels and any(storage.warnings for storage in self._storages):
            raise RecordingError(
                f'{path} is not a rosbag2 recording that can be read: {"; ".join(self.warnings)}'
            )
        blocks = self._blocks()
        self.start_ns = min((block.start_ns for block in blocks), default=0)
        self.stop_ns = max((block.stop_ns for block in blocks), default=0)

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the files, as far as they have been read."""
        return [*self._notes, *(line for storage in self._storages for line in storage.warnings)]

    def close(self) -> None:
        """Close the files."""
        for storage in self._storages:
            storage.close()
        self._scratch.remove()

    def messages(
        self, topics: Collection[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[int, Raw]]:
        """Yield (number of the file, message) of `topics` in the order of their time.

        A block is opened when its turn comes, so that no more of the recording is in memory
        than the blocks whose times overlap.

        Args:
            topics: Names of topics.
            start_ns: Only messages from this time on [ns].
            stop_ns: Only messages before this time [ns].

        Raises:
            RecordingError: If the blocks that overlap are larger than memory should hold.
        """
        wanted = frozenset(topics)
        waiting: list[tuple[int, int, Raw | None]] = []
        blocks = [(number, b) for number, s in enumerate(self._storages) for b in s.blocks()]
        for order, (_, block) in enumerate(blocks):
            if (start_ns is None or block.stop_ns >= start_ns) and (
                stop_ns is None or block.start_ns < stop_ns
            ):
                waiting.append((block.start_ns, order, None))
        heapq.heapify(waiting)
        readers: dict[int, Iterator[Raw]] = {}
        open_bytes = 0
        while waiting:
            _, order, raw = waiting[0]
            number, block = blocks[order]
            if raw is None:
                open_bytes += block.memory_bytes
                if open_bytes > MAX_OPEN_BYTES:
                    raise RecordingError('too many parts of the recording overlap in time')
                readers[order] = block.read(wanted, start_ns, stop_ns)
            else:
                yield number, raw
            following = next(readers[order], None)
            if following is None:
                heapq.heappop(waiting)
                del readers[order]
                open_bytes -= block.memory_bytes
            else:
                heapq.heapreplace(waiting, (following.log_ns, order, following))

    def _blocks(self) -> list[Block]:
        return [block for storage in self._storages for block in storage.blocks()]
