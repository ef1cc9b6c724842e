"""No engine is loaded but those that this user stored on this machine, unchanged."""

import json
import os

from depth_perception.inference import engine_cache
from depth_perception.inference.engine_cache import EngineCache, EngineKey, EngineRefusedError
import pytest

PLAN = b'plan ' * 1000
FACTS = {'network': 'ab' * 32, 'gpu': 'Orin', 'capability': [8, 7], 'precision': 'fp16'}
KEY = EngineKey('midas small', FACTS)


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / 'engines')


def test_a_stored_plan_comes_back(cache):
    stored = cache.store(KEY, PLAN, {'p99': 0.01})
    found = EngineCache(cache.folder).find(KEY)
    assert found == stored
    assert found.notes == {'p99': 0.01}
    assert cache.load(found) == PLAN
    assert cache.find(EngineKey('midas small', {**FACTS, 'gpu': 'Thor'})) is None


def test_folder_and_files_belong_to_the_user_alone(cache):
    cache.store(KEY, PLAN, {})
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in cache.folder.iterdir()} == {0o600}
    assert len(list(cache.folder.iterdir())) == 3  # plan, sidecar, secret


def test_a_readable_folder_is_made_private(tmp_path):
    (tmp_path / 'engines').mkdir(mode=0o755)
    assert EngineCache(tmp_path / 'engines').folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('mode', [0o770, 0o707, 0o720])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path, mode):
    (tmp_path / 'engines').mkdir()
    (tmp_path / 'engines').chmod(mode)
    with pytest.raises(EngineRefusedError, match='others may write'):
        EngineCache(tmp_path / 'engines')


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / 'real').mkdir(mode=0o700)
    (tmp_path / 'engines').symlink_to(tmp_path / 'real')
    with pytest.raises(EngineRefusedError):
        EngineCache(tmp_path / 'engines')


@pytest.mark.parametrize('suffix', ['plan', 'json'])
@pytest.mark.parametrize('mode', [0o660, 0o602])
def test_a_file_that_others_may_write_to_is_refused(cache, suffix, mode):
    cache.store(KEY, PLAN, {})
    next(cache.folder.glob(f'*.{suffix}')).chmod(mode)
    with pytest.raises(EngineRefusedError, match='others may write'):
        cache.load(cache.find(KEY))


@pytest.mark.parametrize('suffix', ['plan', 'json'])
def test_a_file_of_another_user_is_refused(cache, suffix, monkeypatch):
    entry = cache.store(KEY, PLAN, {})
    foreign = next(cache.folder.glob(f'*.{suffix}')).stat().st_ino
    real = os.fstat

    def fstat(descriptor):
        facts = real(descriptor)
        if facts.st_ino != foreign:
            return facts
        return os.stat_result([*facts[:4], facts.st_uid + 1, *facts[5:]])

    monkeypatch.setattr(engine_cache.os, 'fstat', fstat)
    with pytest.raises(EngineRefusedError, match='belongs to user'):
        cache.load(cache.find(KEY) or entry)


@pytest.mark.skipif(os.getuid() != 0, reason='only root can give files away')
def test_a_file_that_was_given_away_is_refused(cache):
    entry = cache.store(KEY, PLAN, {})
    os.chown(cache.folder / entry.plan, 12345, -1)
    with pytest.raises(EngineRefusedError, match='belongs to user 12345'):
        cache.load(entry)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda plan: plan[:-1], 'bytes, not the'),
        (lambda plan: plan + b'x', 'bytes, not the'),
        (lambda plan: plan[:777] + b'?' + plan[778:], 'changed since'),
        (lambda plan: b'', '0 bytes'),
    ],
)
def test_a_plan_that_was_changed_is_refused(cache, change, words):
    entry = cache.store(KEY, PLAN, {})
    (cache.folder / entry.plan).write_bytes(change(PLAN))
    with pytest.raises(EngineRefusedError, match=words):
        cache.load(cache.find(KEY))


def test_a_plan_that_is_a_link_is_refused(cache, tmp_path):
    entry = cache.store(KEY, PLAN, {})
    path = cache.folder / entry.plan
    path.rename(tmp_path / 'elsewhere')
    path.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(EngineRefusedError):
        cache.load(entry)
    path.unlink()
    os.link(tmp_path / 'elsewhere', path)
    with pytest.raises(EngineRefusedError, match='one name'):
        cache.load(entry)
    path.unlink()
    with pytest.raises(EngineRefusedError, match='missing'):
        cache.load(entry)
    os.mkfifo(path, 0o600)
    with pytest.raises(EngineRefusedError, match='plain file'):
        cache.load(entry)


def test_an_engine_from_another_machine_is_refused(cache, tmp_path):
    other = EngineCache(tmp_path / 'other')
    other.store(KEY, PLAN, {})
    cache.store(EngineKey('something', {}), b'x', {})
    for path in other.folder.iterdir():
        if path.name != 'secret':
            (cache.folder / path.name).write_bytes(path.read_bytes())
            (cache.folder / path.name).chmod(0o600)
    with pytest.raises(EngineRefusedError, match='not written by this cache'):
        cache.find(KEY)


def test_a_sidecar_for_another_gpu_is_refused(cache):
    other = EngineKey('midas small', {**FACTS, 'gpu': 'Thor'})
    cache.store(other, PLAN, {})
    (cache.folder / f'{other.stem}.json').rename(cache.folder / f'{KEY.stem}.json')
    with pytest.raises(EngineRefusedError, match='another version or name'):
        cache.find(KEY)


@pytest.mark.parametrize(
    'text', ['', '{', '[]', '{"entry": 3}', '{"entry": "{}", "signature": "ff"}', '[' * 100_000]
)
def test_a_damaged_sidecar_is_refused(cache, text):
    cache.store(KEY, PLAN, {})
    (cache.folder / f'{KEY.stem}.json').write_text(text)
    with pytest.raises(EngineRefusedError):
        cache.find(KEY)


def test_facts_that_were_edited_are_refused(cache):
    cache.store(KEY, PLAN, {})
    path = cache.folder / f'{KEY.stem}.json'
    signed = json.loads(path.read_text())
    signed['entry'] = signed['entry'].replace('Orin', 'Thor')
    path.write_text(json.dumps(signed))
    with pytest.raises(EngineRefusedError, match='not written by this cache'):
        cache.find(KEY)


@pytest.mark.parametrize('fact', FACTS)
def test_every_fact_makes_another_engine(fact):
    changed = EngineKey('midas small', {**FACTS, fact: 'x'})
    assert changed.digest != KEY.digest


def test_a_rejected_engine_is_remembered_without_a_plan(cache):
    cache.store(KEY, PLAN, {})
    cache.reject(KEY, 'computes nonsense')
    assert cache.find(KEY).rejected == 'computes nonsense'
    assert not list(cache.folder.glob('*.plan'))


def test_the_engines_not_used_longest_go(tmp_path):
    cache = EngineCache(tmp_path / 'engines', limit_gib=25_000 / 2**30)
    keys = [EngineKey(f'net{i}', {'n': i}) for i in range(3)]
    for age, key in enumerate(keys[:2]):
        cache.store(key, bytes(10_000), {})
        os.utime(cache.folder / f'{key.stem}.json', (age, age))
    cache.load(cache.find(keys[0]))  # used now
    cache.store(keys[2], bytes(10_000), {})
    assert [cache.find(key) is not None for key in keys] == [True, False, True]
    assert len(list(cache.folder.glob('*.plan'))) == 2


def test_what_was_just_stored_stays_however_small_the_limit(tmp_path):
    cache = EngineCache(tmp_path / 'engines', limit_gib=0.0)
    cache.store(EngineKey('other', {}), PLAN, {})
    entry = cache.store(KEY, PLAN, {})
    assert cache.load(cache.find(KEY)) == PLAN
    assert cache.entries() == [entry]


def test_clear_deletes_everything(cache):
    cache.store(KEY, PLAN, {})
    count, size = cache.clear()
    assert count == 3
    assert size > len(PLAN)
    assert cache.entries() == []


def test_writing_leaves_nothing_half_done(cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(engine_cache.os, 'fsync', full)
    with pytest.raises(EngineRefusedError, match='No space left'):
        cache.store(KEY, PLAN, {})
    assert list(cache.folder.iterdir()) == []
