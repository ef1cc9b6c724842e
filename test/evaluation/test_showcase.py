"""Which frames are shown, and that their pictures show what the run has seen."""

import math

from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.report_pictures import FramePictures
from depth_perception.evaluation.runner import evaluate_unit
from depth_perception.evaluation.schedule_parts import Report
from depth_perception.evaluation.showcase import OVERVIEW, RANKS, show_frames
from depth_perception.evaluation.streams import find_cameras, find_truth
from depth_perception.evaluation.units import choose_models, Span, Unit
import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('rosbags')


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


@pytest.fixture
def evaluated(tmp_path, evaluation_bags):
    """Return a function: units and runs of some bags and models."""

    def work(bags, models=(evaluation_bags.SGBM,), options=('depth',), **span):
        units = []
        for path in bags:
            with Recording(path) as recording:
                (camera,) = find_cameras(recording)
                truth, _ = find_truth(recording, camera)
            units += [
                Unit(
                    bag=path,
                    bag_name=path.name,
                    bag_sha256=path.name,
                    model=model,
                    camera=camera,
                    truth=truth,
                    options=JudgeOptions(groups=options),
                    span=Span(**span),
                    truth_tolerance_ms=20.0,
                    journal=tmp_path / f'{path.name}-{model.label}.jsonl',
                )
                for model in choose_models(models, ())
            ]
        silent = Report(lambda *_: None, lambda: False)
        return units, [evaluate_unit(unit, silent) for unit in units]

    return work


def test_best_median_and_worst_by_the_mean_of_the_models(tmp_path, evaluation_bags, evaluated):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 5)
    units, runs = evaluated([bag], [evaluation_bags.SGBM, 'hh=sgbm,sgbm.mode=hh'])
    files = show_frames(units, runs)
    errors = np.mean([run['columns']['online/abs_rel'] for run in runs], axis=0)
    order = np.argsort(errors)
    for run in runs:
        shown = run['pictures']
        assert [entry['rank'] for entry in shown] == list(RANKS)
        assert [entry['frame'] for entry in shown] == [order[0], order[2], order[4]]
        np.testing.assert_allclose([entry['value'] for entry in shown], errors[order[[0, 2, 4]]])
        assert all(name in files for entry in shown for name in entry['files'].values())
    first, second = (run['pictures'][0]['files'] for run in runs)
    assert first['image'] == second['image']
    assert first['depth'] != second['depth']
    assert OVERVIEW in files


def test_the_picture_is_that_of_the_frame(tmp_path, evaluation_bags, evaluated):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 4)
    units, runs = evaluated([bag])
    files = show_frames(units, runs)
    for entry in runs[0]['pictures']:
        image = decoded(files[entry['files']['image']])[..., 0]
        off = [np.abs(image - evaluation_bags.view(n).left).mean() for n in range(4)]
        assert int(np.argmin(off)) == entry['frame']
        assert entry['stamp_ns'] == evaluation_bags.stamp_ns(entry['frame'])


def test_many_cameras_share_three_frames(tmp_path, evaluation_bags, evaluated):
    bags = [evaluation_bags.write_stereo(tmp_path / f'bag{n}', 2) for n in range(5)]
    units, runs = evaluated(bags)
    show_frames(units, runs)
    assert sum(len(run['pictures']) for run in runs) == 3


def test_without_truth_frames_are_ranked_by_what_is_published(
    tmp_path, evaluation_bags, evaluated
):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 3, truth='none')
    units, runs = evaluated([bag])
    files = show_frames(units, runs)
    share = runs[0]['columns']['online/valid_share']
    shown = {entry['rank']: entry for entry in runs[0]['pictures']}
    assert shown['best']['value'] == max(share)
    assert shown['worst']['value'] == min(share)
    assert 'truth' not in shown['best']['files']
    assert all(data[:2] == b'\xff\xd8' for data in files.values())


def test_one_frame_is_shown_once_and_none_not_at_all(tmp_path, evaluation_bags, evaluated):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 3)
    units, runs = evaluated([bag], limit=1)
    show_frames(units, runs)
    assert [entry['rank'] for entry in runs[0]['pictures']] == ['best']
    units, runs = evaluated([bag], ['floor-stixels'], limit=1)  # no height: nothing is served
    assert show_frames(units, runs) == {}


def test_a_bag_that_is_gone_costs_the_pictures_alone(tmp_path, evaluation_bags, evaluated):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 2)
    units, runs = evaluated([bag])
    for file in bag.iterdir():
        file.unlink()
    assert show_frames(units, runs) == {}
    assert 'no pictures' in runs[0]['warnings'][-1]


def test_overview_has_a_row_for_each_model():
    from depth_perception.evaluation.overview import overview_of
    from depth_perception.evaluation.pictures import encoded

    picture = encoded(np.full((60, 84, 3), 200, np.uint8), '.jpg')
    scale = {'low': 0.0, 'high': 5.0, 'unit': 'm'}
    heights = []
    for models in (1, 2, 9):
        made = FramePictures(
            {'image': picture},
            {str(n): dict.fromkeys(('depth', 'sigma'), picture) for n in range(models)},
            dict.fromkeys(('depth', 'error', 'sigma'), scale),
        )
        heights.append(decoded(overview_of(made)).shape[0])
    assert heights[1] - heights[0] > 300
    assert heights[2] - heights[0] == 3 * (heights[1] - heights[0])  # four models at most
    assert not math.isclose(heights[0], heights[1])
