"""The files of recordings: split, packed, without metadata, in old layouts, forged."""

from contextlib import closing
from io import BytesIO
import os
import sqlite3

from depth_perception.errors import RecordingError
from depth_perception.evaluation import bag_files, bag_storage
from depth_perception.evaluation.bag_storage import RawRecording
from depth_perception.evaluation.bag_types import typestore
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
mcap_writer = pytest.importorskip('mcap.writer')
zstandard = pytest.importorskip('zstandard')
STORE = typestore()
STRING = 'std_msgs/msg/String'


def mcap_file(path, times, chunk_size=200, size=40, topic='/t', **options):
    """Write an mcap file with a message of `size` bytes at each time, in this order."""
    stream = BytesIO()
    writer = mcap_writer.Writer(stream, chunk_size=chunk_size, **options)
    writer.start('ros2')
    schema = writer.register_schema(STRING, 'ros2msg', b'string data\n')
    channel = writer.register_channel(topic, 'cdr', schema)
    for log_ns in times:
        writer.add_message(channel, log_ns, bytes(8) + log_ns.to_bytes(8, 'big') * (size // 8), 0)
    writer.finish()
    path.write_bytes(stream.getvalue())
    return path


def sqlite_file(folder, times, topic='/t'):
    with rosbag2.Writer(folder, version=8) as writer:
        made = writer.add_connection(topic, STRING, typestore=STORE)
        for log_ns in times:
            writer.write(made, log_ns, bytes(8) + log_ns.to_bytes(8, 'big') * 5)
    return folder / f'{folder.name}.db3'


def change(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def times_of(path, topics=('/t',), **window):
    """Return the times of all messages, having checked what is in them."""
    recording = RawRecording(path)
    try:
        found = []
        for _, raw in recording.messages(topics, **window):
            assert raw.data[8:16] == raw.log_ns.to_bytes(8, 'big')
            found.append(raw.log_ns)
    finally:
        recording.close()
    return found


def warnings_of(path):
    recording = RawRecording(path)
    for _ in recording.messages(['/t']):
        pass
    recording.close()
    return recording.warnings


# Order and memory


def test_chunks_and_files_that_overlap_in_time_are_merged(tmp_path):
    mcap_file(tmp_path / 'bag_0.mcap', [5, 1, 9, 3, 12, 2, 30, 4, 7, 21])
    mcap_file(tmp_path / 'bag_1.mcap', [8, 6, 25, 11, 10])
    mcap_file(tmp_path / 'bag_2.mcap', [22, 23], use_chunking=False)
    expected = [*range(1, 13), 21, 22, 23, 25, 30]
    assert times_of(tmp_path) == expected
    assert times_of(tmp_path, start_ns=4, stop_ns=23) == [t for t in expected if 4 <= t < 23]


def test_few_chunks_are_in_memory_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_storage, 'MAX_OPEN_BYTES', 3 * 2**16)
    times = list(range(100, 3000))
    file = mcap_file(tmp_path / 'bag.mcap', times, chunk_size=2**15, size=800)
    assert file.stat().st_size < 2_900_000
    assert times_of(file) == times


def test_more_overlap_than_memory_should_hold_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_storage, 'MAX_OPEN_BYTES', 2**16)
    times = [t for start in range(30) for t in (start, 10**6 - start)]
    with pytest.raises(RecordingError, match='overlap'):
        times_of(mcap_file(tmp_path / 'bag.mcap', times, chunk_size=8000, size=4000))


def test_topics_are_told_apart_and_counted(tmp_path):
    mcap_file(tmp_path / 'a_0.mcap', [1, 3], topic='/t')
    mcap_file(tmp_path / 'a_1.mcap', [2], topic='/u')
    recording = RawRecording(tmp_path)
    assert recording.counts == {'/t': 2, '/u': 1}
    assert (recording.start_ns, recording.stop_ns) == (1, 3)
    recording.close()
    assert times_of(tmp_path, ('/u',)) == [2]
    assert times_of(tmp_path, ('/t', '/u')) == [1, 2, 3]


# Folders


def test_parts_are_in_order_of_their_numbers_and_links_are_followed(tmp_path):
    folder = tmp_path / 'bag'
    folder.mkdir()
    for number in (0, 2, 10):
        outside = mcap_file(tmp_path / f'x_{number}.mcap', [7])
        (folder / f'bag_{number}.mcap').symlink_to(outside)
    names = [file.stem for file in bag_files.find_files(folder).paths]
    assert names == ['bag_0', 'bag_2', 'bag_10']
    assert times_of(folder) == [7, 7, 7]


def test_paths_of_old_metadata_begin_with_the_folder(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1, 2])
    metadata = file.with_name('metadata.yaml')
    metadata.write_text(metadata.read_text().replace('- bag.db3', '- renamed/bag.db3'))
    assert times_of(tmp_path / 'bag') == [1, 2]
    assert warnings_of(tmp_path / 'bag') == []


def test_topics_without_messages_are_known_by_the_metadata(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1])
    change(file, "DELETE FROM topics WHERE name = '/none'")
    metadata = file.with_name('metadata.yaml')
    text = metadata.read_text()
    start = text.index('  - message_count: 1\n    topic_metadata')
    entry = text[start : text.index('  version:')].replace('/t\n', '/silent\n')
    metadata.write_text(text.replace('  version:', entry + '  version:'))
    recording = RawRecording(tmp_path / 'bag')
    recording.close()
    assert recording.kinds == {'/t': STRING, '/silent': STRING}


def test_one_part_that_cannot_be_read_does_not_cost_the_others(tmp_path):
    mcap_file(tmp_path / 'bag_0.mcap', [1, 2])
    (tmp_path / 'bag_1.mcap').write_bytes(b'nothing of use')
    mcap_file(tmp_path / 'bag_2.mcap', [5])
    assert times_of(tmp_path) == [1, 2, 5]
    assert any('bag_1.mcap' in line for line in warnings_of(tmp_path))


def test_a_pipe_named_by_the_metadata_does_not_hang(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1])
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(RecordingError, match='not a plain file'):
        RawRecording(tmp_path / 'bag')


# Packed files


def test_packed_files_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr('tempfile.tempdir', None)
    plain = mcap_file(tmp_path / 'x.mcap', [1, 2, 3])
    packed = tmp_path / 'bag.mcap.zstd'
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    plain.unlink()
    recording = RawRecording(packed)
    assert len(list(tmp_path.iterdir())) == 2
    assert recording.bytes == packed.stat().st_size
    assert [raw.log_ns for _, raw in recording.messages(['/t'])] == [1, 2, 3]
    recording.close()
    assert list(tmp_path.iterdir()) == [packed]


def test_a_file_that_unpacks_to_far_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_files, '_SPARE_BYTES', 1 << 20)
    bomb = tmp_path / 'bag.db3.zstd'
    bomb.write_bytes(zstandard.compress(b'SQLite format 3\0' + bytes(1 << 27)))
    with pytest.raises(RecordingError, match='packed too well'):
        RawRecording(bomb)


# sqlite3


def test_sqlite_without_index_and_definitions_is_read(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [3, 1, 2])
    change(file, 'DROP INDEX timestamp_idx', 'DROP TABLE message_definitions', 'DROP TABLE schema')
    assert times_of(file) == [1, 2, 3]
    assert warnings_of(file) == []


def test_what_only_the_write_ahead_log_holds_is_read(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1])
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.execute('INSERT INTO messages SELECT 2, topic_id, 256, data FROM messages')
    database.execute("UPDATE messages SET data = X'00000000000000000000000000000100' WHERE id = 2")
    database.commit()
    copy = tmp_path / 'copy'
    copy.mkdir()
    for name in ('bag.db3', 'bag.db3-wal'):
        (copy / name).write_bytes(file.with_name(name).read_bytes())
    database.close()
    assert times_of(copy) == [1, 256]
    (copy / 'bag.db3-wal').unlink()
    (copy / 'bag.db3-shm').unlink(missing_ok=True)
    assert times_of(copy) == [1]


@pytest.mark.parametrize(
    'statements',
    [
        (
            'DROP TABLE messages',
            'CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 '
            'FROM n) SELECT id, 1 AS topic_id, id AS timestamp, zeroblob(9) AS data FROM n',
        ),
        (
            'DROP TABLE messages',
            'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, '
            'data BLOB AS (zeroblob(900000000)))',
        ),
        ('DROP TABLE topics',),
    ],
    ids=['endless view', 'computed column', 'no topics'],
)
def test_tables_that_are_no_plain_tables_are_refused(tmp_path, statements):
    file = sqlite_file(tmp_path / 'bag', [1])
    change(file, *statements)
    with pytest.raises(RecordingError):
        RawRecording(file)


def test_rows_of_wrong_types_are_left_out(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1, 2, 3, 4])
    change(
        file,
        "UPDATE messages SET timestamp = 'noon' WHERE id = 1",
        'UPDATE messages SET topic_id = 99 WHERE id = 2',
        "UPDATE messages SET data = 'text' WHERE id = 3",
    )
    recording = RawRecording(file)
    raws = [raw for _, raw in recording.messages(['/t'])]
    assert [(raw.log_ns, raw.data is None) for raw in raws] == [(3, True), (4, False)]
    assert 'no topic or time' in ' '.join(recording.warnings)
    recording.close()


def test_the_recording_is_not_changed_by_reading(tmp_path):
    file = sqlite_file(tmp_path / 'bag', [1, 2])
    cut = tmp_path / 'cut.db3'
    cut.write_bytes(file.read_bytes()[:-700])
    before = {f: f.read_bytes() for f in (cut, file)}
    for path in before:
        warnings_of(path)
    assert {f: f.read_bytes() for f in before} == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ['bag', 'cut.db3']
    assert sorted(f.name for f in file.parent.iterdir()) == ['bag.db3', 'metadata.yaml']
