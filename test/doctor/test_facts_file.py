"""Facts go through JSON unchanged; a file from elsewhere is never trusted."""

from dataclasses import replace
import json
import math

from depth_perception.doctor.facts import FACTS_SCHEMA
from depth_perception.doctor.facts_file import read_facts, text_of_facts
from depth_perception.errors import RecordingError
import healthy_facts as h
import pytest


def test_facts_survive_the_file(tmp_path):
    path = tmp_path / 'facts.json'
    facts = h.with_parameters(max_depth_m=7.5, model='sgbm', lazy=True)
    path.write_text(text_of_facts(facts))
    assert read_facts(path) == facts


def test_nan_survives_the_file(tmp_path):
    path = tmp_path / 'facts.json'
    facts = h.with_stream('left image info', info=h.with_p(h.info(), _0=math.nan, _2=math.inf))
    path.write_text(text_of_facts(facts))
    info = read_facts(path).subjects[0].stream('left image info').info
    assert math.isnan(info.p[0])
    assert info.p[2] == 1e308  # JSON has no infinity
    assert info.p[5] == h.F


WHOLE = json.loads(text_of_facts(h.facts()))


@pytest.mark.parametrize(
    ('text', 'part'),
    [
        ('', 'holds no facts'),
        ('[]', 'holds no facts'),
        ('{"schema": "other/1"}', "schema 'other/1'"),
        ('[' * 100_000, 'holds no facts'),
        (json.dumps({**WHOLE, 'seconds': 'many'}), "got 'many'"),
        (json.dumps({**WHOLE, 'unknown': 1}), 'does not fit'),
        (json.dumps({**WHOLE, 'subjects': [{'name': 3}]}), 'got 3'),
        (json.dumps({'schema': FACTS_SCHEMA, 'subjects': [{}]}), 'does not fit'),
        (json.dumps({**WHOLE, 'frames': None}), 'got None'),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, part):
    path = tmp_path / 'facts.json'
    path.write_text(text)
    with pytest.raises(RecordingError, match=part) as refused:
        read_facts(path)
    assert str(path) in str(refused.value)


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(RecordingError, match='No such file'):
        read_facts(tmp_path / 'none.json')
    monkeypatch.setattr('depth_perception.doctor.facts_file._MAX_BYTES', 10)
    (tmp_path / 'huge.json').write_text('1' * 11)
    with pytest.raises(RecordingError, match='larger than'):
        read_facts(tmp_path / 'huge.json')


def test_no_fields_means_their_defaults(tmp_path):
    path = tmp_path / 'facts.json'
    path.write_text(json.dumps({'schema': FACTS_SCHEMA}))
    assert read_facts(path) == replace(
        h.facts(), **{name: getattr(type(h.facts())(), name) for name in WHOLE}
    )
