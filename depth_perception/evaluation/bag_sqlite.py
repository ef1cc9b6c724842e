"""Read the sqlite3 files of rosbag2, also those that are cut or damaged."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
import sqlite3
from typing import Any
from urllib.parse import quote

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_parts import (
    Block,
    Channel,
    MAX_MESSAGE_BYTES,
    NEVER_NS,
    Raw,
    raw_of,
    within,
)
import numpy as np

MAGIC = b'SQLite format 3\0'
_MAX_DESCRIPTION_BYTES = 1 << 20
_MAX_CHANNELS = 1 << 16
_MAX_RESTARTS = 1000
_GREATEST_ID = 2**63 - 1
_ERRORS = (sqlite3.Error, MemoryError)  # a forged header makes sqlite ask for too much memory


class SqliteFile:
    """A sqlite3 file of rosbag2, opened; see `bag_parts.Storage`.

    The messages are looked up one by one, in the order of their time: an index that is damaged
    or missing does not matter, and one damaged page costs only the messages on it.
    """

    kind = 'sqlite3'
    memory_bytes = MAX_MESSAGE_BYTES // 16

    def __init__(self, path: Path) -> None:
        """Open it, and find out what is in it.

        Raises:
            RecordingError: If it is no file of rosbag2, or nothing can be read.
        """
        self.path = path
        self.warnings: list[str] = []
        self.start_ns, self.stop_ns = NEVER_NS, 0
        self._channels: dict[int, Channel] = {}
        self._ids, self._topics, self._times = array('q'), array('q'), array('q')
        self._connection = self._connect()
        try:
            self._check_tables()
            self._read_channels()
            self._list_messages()
        except (*_ERRORS, ValueError, OverflowError) as error:
            self.close()
            raise RecordingError(f'{path} is not a rosbag2 recording: {_text(error)}') from error
        except BaseException:
            self.close()
            raise
        self.counts: Counter[str] = Counter()
        for number, count in Counter(self._topics).items():
            self.counts[self._channels[number].topic] += count

    @property
    def channels(self) -> list[Channel]:
        """All channels, as far as they can be read."""
        return list(self._channels.values())

    def blocks(self) -> list[Block]:
        """Return itself: its messages are read in the order of their time."""
        return [self] if self._ids else []

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def read(
        self, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Raw]:
        """Yield the messages of `topics` in [start_ns, stop_ns), in the order of their time."""
        for index in np.argsort(np.array(self._times, np.int64), kind='stable'):
            number, log_ns = self._ids[index], self._times[index]
            channel = self._channels[self._topics[index]]
            if channel.topic not in topics or not within(log_ns, start_ns, stop_ns):
                continue
            try:
                data = self._data(number)
            except (*_ERRORS, ValueError, OverflowError) as error:
                yield Raw(channel, log_ns, None, (number, 0), f'sqlite3: {_text(error)}', 1)
                continue
            yield raw_of(channel, log_ns, data, (number, 0))

    def _data(self, number: int) -> bytes:
        (data,) = self._connection.execute(
            'SELECT CASE WHEN length(data) <= ? THEN data END FROM messages WHERE id = ?',
            (MAX_MESSAGE_BYTES, number),
        ).fetchone() or (None,)
        if not isinstance(data, bytes):
            raise sqlite3.DataError('no data, or more than can be')
        return data

    def _warn(self, text: str) -> None:
        line = f'{self.path.name}: {text}'
        if line not in self.warnings:
            self.warnings.append(line)

    def _connect(self) -> sqlite3.Connection:
        """Return a connection that never changes the file, and reads it even if it is cut."""
        log = self.path.with_name(self.path.name + '-wal')
        attempts = ['immutable=1']
        if log.is_file() and log.stat().st_size:
            attempts = ['mode=ro', 'immutable=1']
        error: Exception | None = None
        for options in attempts:
            connection = sqlite3.connect(
                f'file:{quote(str(self.path.absolute()))}?{options}',
                uri=True,
                check_same_thread=False,
                isolation_level=None,
            )
            try:
                # With this, sqlite reads what there is of a file that is shorter than it says.
                connection.execute('PRAGMA writable_schema=ON')
                connection.execute('SELECT count(*) FROM sqlite_master').fetchone()
            except _ERRORS as failed:
                connection.close()
                error = failed
                continue
            if options != attempts[0]:
                self._warn(f'its write-ahead log cannot be read ({_text(error)}); its end is lost')
            return connection
        raise RecordingError(f'{self.path} is not a rosbag2 recording: {_text(error)}')

    def _check_tables(self) -> None:
        """Refuse what is no plain table, since reading it could run anything for ever."""
        for name in ('topics', 'messages', 'message_definitions'):
            kinds = self._connection.execute(
                'SELECT type, sql FROM sqlite_master WHERE name = ?', (name,)
            ).fetchall()
            if not kinds and name == 'message_definitions':
                continue
            plain = len(kinds) == 1 and kinds[0][0] == 'table'
            if not plain or not str(kinds[0][1]).lstrip().upper().startswith('CREATE TABLE'):
                raise RecordingError(f'{self.path} is not a rosbag2 recording: no table {name}')
            columns = self._connection.execute(f'PRAGMA table_xinfo({name})').fetchall()
            if any(column[6] for column in columns):
                raise RecordingError(f'{self.path}: the table {name} has computed columns')

    def _read_channels(self) -> None:
        definitions: dict[str, tuple[str, str]] = {}
        try:
            rows: list[Any] = self._connection.execute(
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions '
                'WHERE length(encoded_message_definition) <= ? LIMIT ?',
                (_MAX_DESCRIPTION_BYTES, _MAX_CHANNELS),
            ).fetchall()
            definitions = {str(kind): (str(text), str(how)) for kind, how, text in rows}
        except _ERRORS:
            pass  # older recordings hold none
        for number, topic, kind, encoding in self._connection.execute(
            'SELECT id, name, type, serialization_format FROM topics LIMIT ?', (_MAX_CHANNELS,)
        ):
            text, language = definitions.get(str(kind), ('', ''))
            if not isinstance(number, int):
                raise RecordingError(f'{self.path}: the table topics is damaged')
            self._channels[number] = Channel(str(topic), str(kind), str(encoding), text, language)

    def _list_messages(self) -> None:
        """Find the messages; where the file is damaged, go on behind the damage."""
        last, step = -_GREATEST_ID - 1, 0
        for _ in range(_MAX_RESTARTS):
            before = len(self._ids)
            try:
                self._list_from(min(last + step, _GREATEST_ID))
            except _ERRORS as error:
                self._warn(
                    f'it is cut or damaged ({_text(error)}), as after a loss of power; '
                    'what cannot be read is lost'
                )
            else:
                break
            if len(self._ids) > before:
                last, step = self._ids[-1], 0
            elif not self._ids or step > 1 << 40:
                break
            step = max(1, 2 * step)
        if not self._ids and self.warnings:
            raise RecordingError(f'{self.warnings[0]}; nothing can be read')
        times = np.array(self._times, np.int64)
        if times.size:
            self.start_ns, self.stop_ns = int(times.min()), int(times.max())

    def _list_from(self, after: int) -> None:
        last = after
        for number, topic, log_ns in self._connection.execute(
            'SELECT id, topic_id, timestamp FROM messages NOT INDEXED WHERE id > ? ORDER BY id',
            (after,),
        ):
            if not isinstance(number, int) or number <= last:
                raise sqlite3.DatabaseError('the table of messages is out of order')
            last = number
            if not isinstance(log_ns, int) or topic not in self._channels:
                self._warn('some messages have no topic or time')
                continue
            self._ids.append(number)
            self._topics.append(int(topic))
            self._times.append(log_ns)


def _text(error: Exception | None) -> str:
    return str(error) or type(error).__name__
