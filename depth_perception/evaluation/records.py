"""What is known of one evaluated frame, and a journal of them on disk that survives ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import fcntl
import json
import math
from pathlib import Path
import time
from types import TracebackType
from typing import Any, IO

from depth_perception.errors import RecordingError

VERSION = 1
_MAX_LINE = 1 << 20
_LOCK_S = 10.0


@dataclass(frozen=True)
class FrameRecord:
    """The figures of one frame.

    Attributes:
        index: Position of the frame among the complete sets of inputs.
        stamp_ns: Stamp of the image [ns].
        scalars: 'LABEL/NAME' -> value; NaN where it is not defined.
        vectors: 'LABEL/NAME' -> sums that add up over frames.
        drop: Why the frame was not served; '' if it was.
    """

    index: int
    stamp_ns: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[str, list[float]] = field(default_factory=dict)
    drop: str = ''


def plain(value: Any) -> Any:
    """Return `value` for JSON: None in place of what is not finite, lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


class Journal:
    """The records of one unit of work, one JSON text per line; a context manager.

    The first line names the work. A journal of other work, or of another version, is started
    anew; one of the same work is read up to its last whole line and continued after it.

    Attributes:
        records: Number of records it holds.
        outcome: What `finish` was told by an earlier run; None if that was not reached.

    Args:
        path: Its file.
        key: What the work is; equal keys promise equal records.

    Raises:
        RecordingError: If the file cannot be read or written.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.records = 0
        self.outcome: dict[str, Any] | None = None
        self._head = json.dumps({'journal': VERSION, 'key': key})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open('a+b')
            self._lock()
            end = self._scan()
            self._file.truncate(end)
        except OSError as error:
            raise RecordingError(f'cannot write {path}: {error}') from error
        if not end:
            self._write(self._head)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def restart(self) -> None:
        """Forget all records."""
        self._file.truncate(0)
        self.records, self.outcome = 0, None
        self._write(self._head)

    def append(self, record: FrameRecord) -> None:
        """Write a record, so that it is there even if the process is killed."""
        self._write(
            json.dumps(
                plain(
                    [record.index, record.stamp_ns, record.scalars, record.vectors, record.drop]
                ),
                separators=(',', ':'),
            )
        )
        self.records += 1

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Write what is known at the end; the work is done."""
        self._write(json.dumps({'outcome': plain(outcome)}))

    def replay(self) -> Iterator[FrameRecord]:
        """Yield the records written so far, in order."""
        self._file.flush()
        with self.path.open('rb') as lines:
            next(lines)
            for line in lines:
                content = json.loads(line)
                if isinstance(content, list):
                    yield _record_from(content)

    def _write(self, line: str) -> None:
        try:
            self._file.write(line.encode() + b'\n')
            self._file.flush()
        except OSError as error:
            raise RecordingError(f'cannot write {self.path}: {error}') from error

    def _lock(self) -> None:
        """Keep others out: a worker that was given up may still be alive."""
        end_s = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end_s:
                    self._file.close()
                    raise RecordingError(
                        f'{self.path} is being written by another evaluation; wait for its end, '
                        'or give another --out'
                    ) from None
                time.sleep(0.1)
            else:
                return

    def _scan(self) -> int:
        """Return the length of the sound beginning of the file, 0 if it is of other work."""
        with self.path.open('rb') as lines:
            end = 0
            for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE), b'')):
                if not line.endswith(b'\n'):
                    break
                if number == 0:
                    if line.rstrip(b'\n').decode(errors='replace') != self._head:
                        return 0
                elif not self._take(line):
                    break
                end += len(line)
        return end

    def _take(self, line: bytes) -> bool:
        """Count one line; return whether it is sound."""
        try:
            content = json.loads(line)
        except ValueError:
            return False
        if isinstance(content, dict):
            self.outcome = content.get('outcome')
            return self.outcome is not None
        sound = isinstance(content, list) and len(content) == 5
        self.records += sound
        return sound


def _record_from(content: list[Any]) -> FrameRecord:
    index, stamp_ns, scalars, vectors, drop = content
    known = {key: math.nan if value is None else float(value) for key, value in scalars.items()}
    return FrameRecord(int(index), int(stamp_ns), known, vectors, str(drop))
