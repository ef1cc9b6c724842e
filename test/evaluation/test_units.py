from pathlib import Path

from depth_perception.errors import ModelError, SettingsError
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.plan import bag_names
from depth_perception.evaluation.units import choose_models, model_sha256, Span
from depth_perception.inference.cards import load_card
from depth_perception.parameters import MonoSettings, StereoSettings
import pytest


def test_a_model_is_a_card_with_parameters():
    plain, fine = choose_models(
        ['sgbm', 'fine=sgbm,sgbm.mode=hh,max_depth_m=80'], ['min_depth_m=0.5']
    )
    assert (plain.label, plain.task) == ('sgbm', 'stereo')
    assert plain.settings(compressed=False) == StereoSettings(model='sgbm', min_depth_m=0.5)
    assert fine.label == 'fine'
    assert fine.settings(compressed=True) == StereoSettings(
        model='sgbm',
        min_depth_m=0.5,
        max_depth_m=80.0,
        sgbm__mode='hh',
        image_transport='compressed',
    )
    assert fine.changed_settings() == {
        'sgbm.mode': 'hh',
        'max_depth_m': 80.0,
        'min_depth_m': 0.5,
    }
    assert plain.sha256 == fine.sha256


def test_parameters_of_one_task_do_not_disturb_the_other():
    stereo, mono = choose_models(
        ['sgbm', 'floor-stixels'], ['ground.camera_height_m=1.5', 'sgbm.mode=hh']
    )
    assert stereo.assignments == ('ground.camera_height_m=1.5', 'sgbm.mode=hh')
    assert mono.settings(compressed=False) == MonoSettings(
        model='floor-stixels', ground__camera_height_m=1.5
    )


def test_the_default_on_one_image_follows_what_is_said_of_the_scale():
    (relative,) = choose_models(['auto-mono'], ['scale.prior_s=0.5'])
    (of_floor,) = choose_models(['auto-mono'], ['ground.camera_height_m=1.5'])
    (named,) = choose_models(['auto-mono,ground.camera_height_m=1.5'], [])
    assert [choice.card for choice in (relative, of_floor, named)] == [
        'room-depth',
        'floor-stixels',
        'floor-stixels',
    ]


def test_mono_network_may_run_on_the_pair():
    (choice,) = choose_models(['pair:floor-stixels,sgbm.mode=hh'], [])
    assert (choice.label, choice.task) == ('floor-stixels+pair,sgbm.mode=hh', 'stereo')
    assert choice.settings(compressed=False) == StereoSettings(
        model='floor-stixels', sgbm__mode='hh'
    )


@pytest.mark.parametrize(
    ('models', 'common', 'seen'),
    [
        (['sgbm', 'sgbm'], [], 'already'),
        (['sgbm,sgbm.mode=best'], [], 'sgbm.mode'),
        (['a b=sgbm'], [], 'no label'),
        (['floor-stixels'], ['sgbm.mode=hh'], 'none of the models'),
        (['sgbm'], ['max_depth_m'], 'NAME=VALUE'),
        (['sgbm,max_depth_m'], [], 'NAME=VALUE'),
    ],
)
def test_what_cannot_be_is_refused(models, common, seen):
    with pytest.raises(SettingsError, match=seen):
        choose_models(models, common)


def test_an_unknown_card_is_refused():
    with pytest.raises(ModelError, match='no-such-card'):
        choose_models(['no-such-card'], [])


def test_the_hash_of_a_model_does_not_depend_on_where_its_card_lies(tmp_path):
    card = load_card('floor-stixels')
    for file in card.path.parent.glob('floor*'):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    moved = load_card(str(tmp_path / card.path.name))
    assert model_sha256(moved) == model_sha256(card)
    assert model_sha256(card) != model_sha256(load_card('sgbm'))


@pytest.mark.parametrize(
    'given', [{'start_s': -1.0}, {'duration_s': 0.0}, {'every': 0}, {'limit': -1}]
)
def test_spans_that_select_nothing_are_refused(given):
    with pytest.raises(SettingsError):
        Span(**given)


def test_bags_of_one_name_are_told_apart():
    paths = [Path('/a/run/one'), Path('/a/run/two'), Path('/b/run/one'), Path('/b/x.mcap')]
    assert bag_names(paths) == ['a/run/one', 'two', 'b/run/one', 'x.mcap']
    with pytest.raises(SettingsError, match='twice'):
        bag_names([Path('/a/one'), Path('/a/one')])


@pytest.mark.parametrize(
    ('given', 'seen'),
    [
        ({'alignments': ('online', 'best')}, 'best'),
        ({'groups': ('depth', 'luck')}, 'luck'),
        ({'crop': 'middle'}, 'middle'),
        ({'min_m': 5.0, 'max_m': 5.0}, 'empty'),
    ],
)
def test_judging_that_cannot_be_is_refused(given, seen):
    with pytest.raises(SettingsError, match=seen):
        JudgeOptions(**given)


def test_protocols_set_crop_and_caps():
    options = JudgeOptions.of_protocol('kitti-eigen-garg', alignments=('online', 'median'))
    assert (options.crop, options.min_m, options.max_m) == ('garg', 1e-3, 80.0)
    assert options.protocol == 'kitti-eigen-garg'
    assert options.alignments == ('online', 'median')
    with pytest.raises(SettingsError, match='unknown'):
        JudgeOptions.of_protocol('kitty')
