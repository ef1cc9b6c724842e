import json
import math

from depth_perception.errors import RecordingError
from depth_perception.evaluation import records
from depth_perception.evaluation.records import FrameRecord, Journal, plain
import pytest

RECORDS = [
    FrameRecord(0, 10**18 + 1, {'online/abs_rel': 0.1 + 0.2}, {'online/d1': [3.0, 7.0]}),
    FrameRecord(1, 10**18 + 2, drop='truncated'),
    FrameRecord(2, 10**18 + 3, {'online/abs_rel': 1 / 3}),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'frames' / 'unit.jsonl'


def written(path, count=3, key='work'):
    with Journal(path, key) as journal:
        for record in RECORDS[:count]:
            journal.append(record)


def test_records_come_back_bit_by_bit_and_in_order(path):
    written(path)
    with Journal(path, 'work') as journal:
        assert journal.records == 3
        assert journal.outcome is None
        assert list(journal.replay()) == RECORDS


def test_work_goes_on_after_the_last_record(path):
    written(path, 2)
    with Journal(path, 'work') as journal:
        journal.append(RECORDS[2])
        journal.finish({'status': 'complete', 'drift': math.nan})
        assert list(journal.replay()) == RECORDS
    with Journal(path, 'work') as journal:
        assert journal.outcome == {'status': 'complete', 'drift': None}
        assert journal.records == 3


def test_nan_comes_back_as_nan(path):
    with Journal(path, 'work') as journal:
        journal.append(FrameRecord(0, 1, {'online/silog': math.nan, 'online/ence': math.inf}))
        (record,) = journal.replay()
    assert all(math.isnan(value) for value in record.scalars.values())


@pytest.mark.parametrize('cut', [1, 5, 40])
def test_a_line_cut_off_by_a_power_failure_is_left_out(path, cut):
    written(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, 'work') as journal:
        assert list(journal.replay()) == RECORDS[:2]
        journal.append(RECORDS[2])
    with Journal(path, 'work') as journal:
        assert list(journal.replay()) == RECORDS


@pytest.mark.parametrize(
    'garbage', [b'\0' * 64 + b'\n', b'[1,2]\n', b'{"outcome":null}\n', b'7\n']
)
def test_what_follows_garbage_is_left_out(path, garbage):
    written(path, 1)
    sound = path.read_bytes()
    written(path, 2)
    path.write_bytes(sound + garbage + path.read_bytes()[len(sound) :])
    with Journal(path, 'work') as journal:
        assert list(journal.replay()) == RECORDS[:1]


def test_other_work_starts_anew(path):
    written(path)
    with Journal(path, 'other work') as journal:
        assert journal.records == 0
        assert list(journal.replay()) == []


def test_restart_forgets(path):
    written(path)
    with Journal(path, 'work') as journal:
        journal.restart()
        journal.append(RECORDS[1])
    with Journal(path, 'work') as journal:
        assert list(journal.replay()) == RECORDS[1:2]


def test_two_writers_are_refused(path, monkeypatch):
    monkeypatch.setattr(records, '_LOCK_S', 0.2)
    with Journal(path, 'work') as journal:
        with pytest.raises(RecordingError, match='another evaluation'):
            Journal(path, 'work')
        journal.append(RECORDS[0])
        assert list(journal.replay()) == RECORDS[:1]


def test_unwritable_place_is_told(tmp_path):
    (tmp_path / 'frames').write_text('a file')
    with pytest.raises(RecordingError, match='cannot write'):
        Journal(tmp_path / 'frames' / 'unit.jsonl', 'work')


def test_plain_has_nothing_that_json_lacks():
    content = plain({'a': (1.5, math.inf), 'b': {'c': -math.nan}, 3: [True, 'x', None]})
    assert content == {'a': [1.5, None], 'b': {'c': None}, '3': [True, 'x', None]}
    json.dumps(content, allow_nan=False)
