"""depth_perception convert: what it prints, refuses, and leaves behind."""

from depth_perception.cli.main import main
from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.datasets import convert as converter
from depth_perception.evaluation.datasets.convert import convert, stamps_of, START_NS
from depth_perception.evaluation.datasets.formats import FORMATS
from depth_perception.evaluation.datasets.sample import Entry, Sample
from depth_perception.evaluation.pictures import write_image
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
CAMERA = PinholeCamera(8, 6, 100.0, 101.0, 3.5, 2.5)


def pixels(height=6, width=8):
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of four images, of which one is not an image and one has another size."""
    source = tmp_path / 'source'
    source.mkdir()
    for i in (1, 2):
        write_image(source / f'{i}.png', pixels())
    (source / '3.png').write_bytes(b'no image')
    write_image(source / '4.png', pixels(6, 10))
    (source / 'camera.yaml').write_text(
        'image_width: 8\nimage_height: 6\n'
        'projection_matrix: {data: [100, 0, 3.5, 0, 0, 101, 2.5, 0, 0, 0, 1, 0]}\n'
    )
    return source


def arguments(folder, *more):
    return ['convert', 'folder', str(folder), '--out', str(folder.parent / 'bag'), *more]


def test_frames_that_cannot_be_used_are_counted_with_the_reason(folder, capsys):
    assert main(arguments(folder)) == 0
    output = capsys.readouterr()
    assert output.out == f'{folder.parent / "bag"}: 2 frames, 0 with ground truth, 2 skipped\n'
    assert 'skipped 1: ' in output.err
    assert '3.png is not an image that OpenCV can read' in output.err
    assert 'is for images of 8x6, these are 10x6' in output.err
    with Recording(folder.parent / 'bag') as recording:
        messages = list(recording.messages(['/image', '/camera_info']))
    assert len(messages) == 4
    assert messages[0].stamp_ns == messages[1].stamp_ns == START_NS


def test_existing_output_is_kept_unless_told(folder, capsys):
    kept = folder.parent / 'bag' / 'metadata.yaml'
    kept.parent.mkdir()
    kept.write_text('mine')
    assert main(arguments(folder)) == 2
    assert 'exists; give another --out, or --overwrite' in capsys.readouterr().err
    assert kept.read_text() == 'mine'
    assert main(arguments(folder, '--overwrite', '--limit', '1')) == 0
    assert kept.read_text() != 'mine'
    with Recording(folder.parent / 'bag') as recording:
        assert len(list(recording.messages(['/image']))) == 1


def test_overwrite_keeps_the_old_bag_if_nothing_can_be_used(folder):
    kept = folder.parent / 'bag' / 'metadata.yaml'
    kept.parent.mkdir()
    kept.write_text('mine')
    (folder / '1.png').unlink()
    (folder / '2.png').unlink()
    assert main(arguments(folder, '--overwrite')) == 2
    assert kept.read_text() == 'mine'
    assert sorted(path.name for path in folder.parent.iterdir()) == ['bag', 'source']


def test_what_is_no_bag_is_never_replaced(folder, capsys):
    kept = folder.parent / 'bag' / 'mine.txt'
    kept.parent.mkdir()
    kept.write_text('mine')
    assert main(arguments(folder, '--overwrite')) == 2
    assert 'is not a bag, so it is not overwritten' in capsys.readouterr().err
    assert kept.read_text() == 'mine'


def test_interrupted_conversion_leaves_nothing(folder, monkeypatch):
    def interrupt(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(converter.BagLayout, 'write', interrupt)
    assert main(arguments(folder)) == 130
    assert [path.name for path in folder.parent.iterdir()] == ['source']


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--scene', 'hall'], 'has no scene hall; there are: source'),
        (['--limit', '0'], '--limit is 0'),
        (['--rate', '0'], '--rate is 0.0 Hz'),
        (['--rate', 'nan'], '--rate is nan Hz'),
    ],
)
def test_wrong_use_is_one_line(folder, capsys, more, message):
    assert main(arguments(folder, *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('there', [True, False])
def test_every_format_says_what_it_looked_for(tmp_path, capsys, name, there):
    source = tmp_path / 'source'
    if there:
        source.mkdir()
    assert main(['convert', name, str(source), '--out', str(tmp_path / 'bag'), '--fx', '9']) == 2
    error = capsys.readouterr().err
    assert 'looked for' in error
    assert ('has no' if there else 'is not a folder') in error
    assert not (tmp_path / 'bag').exists()


def entry(name, stamp_ns=None, image=None):
    sample = Sample(pixels() if image is None else image, CAMERA)
    return Entry('s', name, lambda: sample, stamp_ns)


def test_stamps_rise_and_are_never_zero():
    assert stamps_of([entry('a', 5), entry('b', 9)], None) == [5, 9]
    repaired = [START_NS, START_NS + 100_000_000]
    for own in ((9, 5), (0, 5), (7, 7), (5, None)):
        assert stamps_of([entry('a', own[0]), entry('b', own[1])], None) == repaired


def test_wrong_size_is_not_written(tmp_path):
    with pytest.raises(RecordingError, match='the image is 9x5, the image of its camera 8x6'):
        convert([entry('a', image=pixels(5, 9))], tmp_path / 'bag')
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_frames(tmp_path):
    seen = []
    convert([entry('a'), entry('b')], tmp_path / 'bag', progress=lambda *state: seen.append(state))
    assert seen == [(0, 2, 'a'), (1, 2, 'b'), (2, 2, '')]
