"""Recordings of every kind, cut, flipped and forged: good messages or a clear error, no others."""

import contextlib
from functools import partial
from io import BytesIO
import os
import sqlite3
import struct

from depth_perception.errors import RecordingError
from depth_perception.evaluation import bag_chunks, bag_parts, bag_sqlite
from depth_perception.evaluation.bags import IMAGE, Recording, typestore
from hypothesis import given, HealthCheck, settings, strategies
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
mcap_writer = pytest.importorskip('mcap.writer')
zstandard = pytest.importorskip('zstandard')
MESSAGES, START_NS, STEP_NS = 24, 1_700_000_000 * 10**9, 10_000_000
STORE = typestore()
TOPICS = ('/left', '/right')
MODES = [
    ('MCAP', 'NONE'), ('MCAP', 'STORAGE'), ('MCAP', 'MESSAGE'), ('MCAP', 'FILE'),
    ('SQLITE3', 'NONE'), ('SQLITE3', 'MESSAGE'), ('SQLITE3', 'FILE'),
]  # fmt: skip


def pixels(topic, number):
    """Return noise that no other message has."""
    seed = 2 * number + TOPICS.index(topic)
    return np.random.default_rng(seed).integers(0, 256, 90 * 200, np.uint8)


def serialised(topic, number):
    types = STORE.types
    stamp = types['builtin_interfaces/msg/Time'](*divmod(START_NS + number * STEP_NS, 10**9))
    header = types['std_msgs/msg/Header'](stamp, topic)
    image = types[IMAGE](header, 90, 200, 'mono8', 0, 200, pixels(topic, number))
    return bytes(STORE.serialize_cdr(image, IMAGE))


GOOD = [(topic, n, serialised(topic, n)) for n in range(MESSAGES) for topic in TOPICS]


def write_bag(path, storage, mode):
    """Write a bag with rosbags; return its file of messages."""
    plugin = rosbag2.StoragePlugin[storage]
    writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(rosbag2.CompressionMode[mode], rosbag2.CompressionFormat.ZSTD)
    with writer:
        made = {t: writer.add_connection(t, IMAGE, typestore=STORE) for t in TOPICS}
        for topic, number, data in GOOD:
            writer.write(made[topic], START_NS + number * STEP_NS, data)
    (file,) = (file for file in path.iterdir() if file.name != 'metadata.yaml')
    return file


def mcap_bytes(**options):
    """Return an mcap file by the package mcap, with small chunks and checksums."""
    stream = BytesIO()
    writer = mcap_writer.Writer(stream, chunk_size=100_000, **options)
    writer.start('ros2')
    text = STORE.generate_msgdef(IMAGE, ros_version=2)[0].encode()
    schema = writer.register_schema(IMAGE, 'ros2msg', text)
    made = {topic: writer.register_channel(topic, 'cdr', schema) for topic in TOPICS}
    for topic, number, data in GOOD:
        log_ns = START_NS + number * STEP_NS
        writer.add_message(made[topic], log_ns, data, log_ns)
    writer.finish()
    return stream.getvalue()


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """Return (storage, mode) -> folder of a sound bag."""
    root = tmp_path_factory.mktemp('bags')
    for storage, mode in MODES:
        write_bag(root / f'{storage}-{mode}', storage, mode)
    return root


@pytest.fixture(scope='module')
def sound():
    """Return the bytes of a sound mcap file, packed by zstd."""
    return mcap_bytes()


def read(path):
    """Return (topic, number) of all messages, having checked what is in them, and warnings."""
    found = []
    with Recording(path) as recording:
        topics = [topic for topic in recording.types if topic in TOPICS]
        for message in recording.messages(topics):
            number, rest = divmod(message.stamp_ns - START_NS, STEP_NS)
            assert rest == 0
            assert message.log_ns == message.stamp_ns
            assert message.content.header.frame_id == message.topic
            np.testing.assert_array_equal(message.content.data, pixels(message.topic, number))
            found.append((message.topic, number))
        assert found == sorted(found, key=lambda one: one[1])
        assert len(set(found)) == len(found)
        return found, recording.warnings


def outcome(path):
    """Return what `read` does, or nothing and the error."""
    try:
        return read(path)
    except RecordingError as error:
        return [], [text for text in [str(error)] if text]


EVERYTHING = [(topic, number) for topic, number, _ in GOOD]


@pytest.mark.parametrize(('storage', 'mode'), MODES)
@pytest.mark.parametrize('metadata', [True, False])
def test_every_kind_is_read(bags, tmp_path, storage, mode, metadata):
    source = bags / f'{storage}-{mode}'
    folder = tmp_path / 'copy'
    folder.mkdir()
    for file in source.iterdir():
        if metadata or file.name != 'metadata.yaml':
            (folder / file.name).write_bytes(file.read_bytes())
    found, warnings = read(folder)
    assert sorted(found) == sorted(EVERYTHING)
    assert metadata == (warnings == [])
    with Recording(folder) as recording:
        assert recording.storage == storage.lower()
        assert recording.count('/left') == MESSAGES
        assert recording.start_ns == START_NS
        assert recording.duration_s == pytest.approx((MESSAGES - 1) * STEP_NS * 1e-9, abs=1e-8)


@pytest.mark.parametrize(
    'options',
    [
        {'compression': mcap_writer.CompressionType.LZ4},
        {'compression': mcap_writer.CompressionType.NONE},
        {'use_chunking': False},
        {'index_types': mcap_writer.IndexType.NONE},
        {'repeat_channels': False, 'repeat_schemas': False, 'use_statistics': False},
        {'enable_crcs': False, 'use_summary_offsets': False},
    ],
    ids=str,
)
def test_mcap_files_of_another_writer(tmp_path, options):
    file = tmp_path / 'bag.mcap'
    file.write_bytes(mcap_bytes(**options))
    found, warnings = read(file)
    assert sorted(found) == sorted(EVERYTHING)
    assert warnings == []


@pytest.mark.parametrize(('storage', 'mode'), MODES)
def test_every_cut_keeps_what_came_before(bags, tmp_path, storage, mode):
    (file,) = (f for f in (bags / f'{storage}-{mode}').iterdir() if f.name != 'metadata.yaml')
    content = file.read_bytes()
    copy, numbers = tmp_path / file.name, []
    for share in np.linspace(0.0, 0.999, 24):
        copy.write_bytes(content[: int(share * len(content))])
        found, warnings = outcome(copy)
        assert warnings
        assert found == EVERYTHING[: len(found)]
        numbers.append(len(found))
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    # Of a packed file, up to one block of zstd is lost with the end: 128 kB, 7 messages here.
    assert numbers[-1] >= len(EVERYTHING) - (8 if mode == 'FILE' else 2)
    assert numbers[12] >= len(EVERYTHING) // 4


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(share=strategies.floats(0.0, 1.0, exclude_max=True))
def test_cuts_of_packed_chunks(sound, tmp_path, share):
    file = tmp_path / 'bag.mcap'
    file.write_bytes(sound[: int(share * len(sound))])
    found, warnings = outcome(file)
    assert warnings
    assert found == EVERYTHING[: len(found)]


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(share=strategies.floats(0.0, 1.0, exclude_max=True), bits=strategies.integers(1, 255))
def test_a_flipped_byte_never_gives_wrong_messages(sound, tmp_path, share, bits):
    file = tmp_path / 'bag.mcap'
    damaged = bytearray(sound)
    damaged[int(share * len(sound))] ^= bits
    file.write_bytes(damaged)
    found, warnings = outcome(file)
    assert set(found) <= set(EVERYTHING)
    assert warnings or len(found) == len(EVERYTHING)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=strategies.data())
def test_damaged_sqlite_never_crashes(bags, tmp_path, data):
    content = bytearray((bags / 'SQLITE3-NONE' / 'SQLITE3-NONE.db3').read_bytes())
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(content) - 1))
        length = data.draw(strategies.sampled_from([1, 4, 4096]))
        content[at : at + length] = data.draw(strategies.binary(min_size=1, max_size=1)) * length
    file = tmp_path / 'bag.db3'
    file.write_bytes(content)
    try:
        with Recording(file) as recording:
            for topic in recording.types:
                assert sum(1 for _ in recording.messages([topic])) <= 2 * MESSAGES
    except RecordingError:
        pass


def test_sqlite_topic_without_a_number_is_an_error(bags, tmp_path):
    file = tmp_path / 'bag.db3'
    file.write_bytes((bags / 'SQLITE3-NONE' / 'SQLITE3-NONE.db3').read_bytes())
    with contextlib.closing(sqlite3.connect(file)) as forged:
        forged.executescript(
            'CREATE TABLE other AS SELECT * FROM topics; DROP TABLE topics; '
            'ALTER TABLE other RENAME TO topics; UPDATE topics SET id = NULL;'
        )
    with pytest.raises(RecordingError, match='topics is damaged'):
        Recording(file)


def test_sqlite_asking_for_too_much_memory_is_an_error(bags, monkeypatch):
    """Some forged lengths in its pages end in a MemoryError, which is no sqlite3.Error."""

    class Greedy(sqlite3.Connection):
        def execute(self, *_):
            raise MemoryError

    connect = partial(sqlite3.connect, factory=Greedy)
    monkeypatch.setattr(bag_sqlite.sqlite3, 'connect', connect)
    with pytest.raises(RecordingError, match='MemoryError'):
        Recording(bags / 'SQLITE3-NONE')


def test_a_damaged_chunk_costs_its_own_messages_only(sound, tmp_path):
    damaged = bytearray(sound)
    damaged[len(sound) // 2] ^= 0x55
    file = tmp_path / 'bag.mcap'
    file.write_bytes(damaged)
    with Recording(file) as recording:
        found = [(m.topic, (m.stamp_ns - START_NS) // STEP_NS) for m in recording.messages(TOPICS)]
        lost = len(EVERYTHING) - len(found)
        assert 0 < lost < len(EVERYTHING) // 3
        assert found[-1] == EVERYTHING[-1]
        assert sum(recording.damaged.values()) == lost
        list(recording.messages(TOPICS))
        assert sum(recording.damaged.values()) == lost  # nothing is counted twice


# Forged files


def chunk(size, data, compression=b'zstd'):
    head = struct.pack('<QQQI', 0, 0, size, 0) + struct.pack('<I', len(compression))
    body = head + compression + struct.pack('<Q', len(data)) + data
    return b'\x06' + struct.pack('<Q', len(body)) + body


def after_header(sound, record):
    """Return a sound file with a record put before its first chunk."""
    (length,) = struct.unpack_from('<Q', sound, 9)
    return sound[: 17 + length] + record + sound[17 + length :]


@pytest.mark.parametrize('declared', [1 << 62, 1 << 31, 4096])
def test_a_chunk_that_unpacks_to_far_more_is_left_out(sound, tmp_path, monkeypatch, declared):
    monkeypatch.setattr(bag_chunks, 'MAX_CHUNK_BYTES', 1 << 20)
    bomb = zstandard.compress(bytes(1 << 24))
    file = tmp_path / 'bag.mcap'
    file.write_bytes(after_header(sound, chunk(declared, bomb)))
    found, _ = read(file)
    assert sorted(found) == sorted(EVERYTHING)


def test_a_message_that_unpacks_to_far_more_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_parts, 'MAX_MESSAGE_BYTES', 1 << 20)
    folder = tmp_path / 'bag'
    writer = rosbag2.Writer(folder, version=9)
    with writer:
        made = writer.add_connection('/left', IMAGE, typestore=STORE)
        writer.write(made, START_NS, zstandard.compress(bytes(1 << 24)))
        writer.write(made, START_NS + STEP_NS, serialised('/left', 1))
    found, warnings = read(folder)
    assert found == [('/left', 1)]
    assert '1 damaged message on /left was left out' in ' '.join(warnings)


@pytest.mark.parametrize('name', ['../outside.mcap', '/etc/hostname', 'inner/../../outside.mcap'])
def test_metadata_that_leads_out_of_the_folder_is_refused(bags, tmp_path, sound, name):
    (tmp_path / 'outside.mcap').write_bytes(sound)
    folder = tmp_path / 'bag'
    folder.mkdir()
    text = (bags / 'MCAP-NONE' / 'metadata.yaml').read_text()
    (folder / 'metadata.yaml').write_text(text.replace('MCAP-NONE.mcap', name))
    with pytest.raises(RecordingError, match='metadata'):
        Recording(folder)


def test_metadata_of_absurd_size_is_refused(bags, tmp_path, sound):
    (tmp_path / 'bag.mcap').write_bytes(sound)
    with (tmp_path / 'metadata.yaml').open('wb') as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(RecordingError, match=r'metadata\.yaml'):
        Recording(tmp_path)


@pytest.mark.parametrize(
    'text', ['', '[' * 5000, '{a: &a [x], b: *c}', '\x00\x01', 'rosbag2_bagfile_information: 3']
)
def test_metadata_that_is_broken_is_done_without(tmp_path, sound, text):
    (tmp_path / 'bag.mcap').write_bytes(sound)
    (tmp_path / 'metadata.yaml').write_text(text)
    found, warnings = read(tmp_path)
    assert sorted(found) == sorted(EVERYTHING)
    assert 'metadata.yaml' in ' '.join(warnings)


def test_a_missing_part_of_a_split_bag_is_told(bags, tmp_path):
    text = (bags / 'MCAP-NONE' / 'metadata.yaml').read_text()
    (tmp_path / 'metadata.yaml').write_text(
        text.replace('- MCAP-NONE.mcap', '- one.mcap\n  - two.mcap')
    )
    (tmp_path / 'two.mcap').write_bytes((bags / 'MCAP-NONE' / 'MCAP-NONE.mcap').read_bytes())
    found, warnings = read(tmp_path)
    assert sorted(found) == sorted(EVERYTHING)
    assert 'one.mcap' in ' '.join(warnings)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mcap')
    (tmp_path / 'folder.db3').mkdir()
    (tmp_path / 'empty.mcap').touch()
    (tmp_path / 'ros1.bag').write_bytes(b'#ROSBAG V2.0\n' + bytes(4096))
    for name in ('pipe.mcap', 'folder.db3', 'empty.mcap', 'ros1.bag', 'none.mcap'):
        with pytest.raises(RecordingError):
            Recording(tmp_path / name)
