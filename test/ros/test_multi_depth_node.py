"""Several cameras in one process: each gets its own depth, and does not miss the others."""

import time

from depth_perception.inference.camera_list import cameras_from
from depth_perception.inference.network_pool import NetworkPool
from depth_perception.ros.mono_depth_node import MonoDepthNode
from depth_perception.ros.multi_depth_node import camera_node, main
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

pytestmark = pytest.mark.ros
SIZES = {'front': (64, 48), 'left': (80, 60), 'rear': (56, 40)}
SETTINGS = {
    'threads': 1,
    'max_input_age_s': 10.0,
    'backend': 'onnxruntime',
    'diagnostics_period_s': 0.1,
}


@pytest.fixture
def card(networks, tmp_path):
    """Return the path of a card of a metric network that takes batches."""
    return str(networks.card_of(networks.cnn(tmp_path / 'cnn.onnx', batch='N')).path)


@pytest.fixture
def scenes(new_scene):
    """Return camera -> a scene of its own: other pixels, size and focal length."""
    made = {}
    for seed, (name, size) in enumerate(SIZES.items()):
        made[name] = scene = new_scene(seed, *size)
        scene.focal_px = 150.0 + 20.0 * seed
        scene.colours = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    return made


def frame(name, scene):
    stamp_ns = time.time_ns()
    frame_id = f'{name}_optical'
    info = scene.info(stamp_ns, frame_id=frame_id)
    return {
        f'/{name}/camera_info': info,
        f'/{name}/image': scene.image(scene.colours, stamp_ns, frame_id),
    }


def start(system, card, names, window_ms=5.0):
    """Start a node for each camera; return the pool of their networks."""
    listed = cameras_from(
        {
            'parameters': {'model': card, **SETTINGS},
            'batch': {'window_ms': window_ms, 'largest': 8},
            'cameras': {name: {} for name in names},
        }
    )
    pool = NetworkPool(listed.window_s, listed.largest_batch)
    for camera in listed.cameras:
        made = lambda context, cli_args, parameter_overrides, c=camera: camera_node(  # noqa: E731
            c, pool, context=context
        )
        system.start(made)
    return pool


def test_each_camera_gets_its_own_depth_bit_for_bit(system, card, scenes, values_of):
    pool = start(system, card, SIZES, window_ms=500.0)  # so that batches are sure to be made
    heard, alone, infos = {}, {}, {}
    for name in SIZES:
        remaps = [f'__ns:=/alone_{name}', f'image:=/{name}/image']
        system.start(MonoDepthNode, model=card, remaps=remaps, **SETTINGS)
        heard[name] = system.peer.listen(f'/{name}/depth/image_rect', Image)
        infos[name] = system.peer.listen(f'/{name}/depth/camera_info', CameraInfo)
        alone[name] = system.peer.listen(f'/alone_{name}/depth/image_rect', Image)

    def send():
        for name, scene in scenes.items():
            system.send(frame(name, scene))

    def complete():
        answered = all(len(h[name]) > 2 for h in (heard, alone, infos) for name in SIZES)
        (network,) = pool.networks
        return (
            answered and network.served - network.runs >= 5
        )  # answers without a run of their own

    system.peer.until(complete, 'frames of each, and batches', each=send)
    for name, scene in scenes.items():
        mine = values_of(heard[name][-1])
        assert mine.shape == scene.colours.shape[:2]
        assert np.isfinite(mine).mean() > 0.9
        np.testing.assert_array_equal(mine, values_of(alone[name][-1]))
        assert heard[name][-1].header.frame_id == f'{name}_optical'
        assert infos[name][-1].p[0] == pytest.approx(scene.focal_px)
    assert pool.networks[0].turns == ''


def test_when_a_camera_dies_the_others_go_on(system, card, scenes):
    start(system, card, SIZES)
    heard = {name: system.peer.listen(f'/{name}/depth/image_rect', Image) for name in SIZES}

    def send(names):
        return lambda: [system.send(frame(name, scenes[name])) for name in names]

    system.peer.until(lambda: all(heard.values()), 'depth of all', each=send(SIZES))
    rear = len(heard['rear'])
    living = ['front', 'left']
    before = {name: len(heard[name]) for name in living}
    gone_on = lambda: all(len(heard[n]) >= before[n] + 10 for n in living)  # noqa: E731
    system.peer.until(gone_on, 'ten more frames of the others', each=send(living))
    assert len(heard['rear']) <= rear + 2  # what was under way
    for name in SIZES:
        status = system.status(f'{name}/mono_depth_node')
        backend = status.until_count('frames out')['backend reason']
        assert 'shared by 3, batches of up to 8' in backend


def test_a_camera_may_be_taken_down_and_another_may_fail(system, card, scenes):
    from lifecycle_msgs.msg import Transition

    pool = start(system, card, ['front', 'left'])
    heard = {
        name: system.peer.listen(f'/{name}/depth/image_rect', Image) for name in ('front', 'left')
    }
    both = lambda: [system.send(frame(n, scenes[n])) for n in ('front', 'left')]  # noqa: E731
    system.peer.until(lambda: all(heard.values()), 'depth of both', each=both)
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert system.peer.transition('left/mono_depth_node', transition)
    before = len(heard['front'])
    bad = frame('front', scenes['front'])
    bad['/front/image'].encoding = 'rgb16x'
    system.send(bad)
    system.status('front/mono_depth_node').until_count('dropped encoding')
    send = lambda: system.send(frame('front', scenes['front']))  # noqa: E731
    system.peer.until(lambda: len(heard['front']) > before, 'depth of the other', each=send)
    assert len(pool.networks) == 1
    assert 'shared by 1' in pool.networks[0].description


def test_a_bad_command_line_is_explained(capsys):
    assert main(['multi_depth_node']) == 2
    assert 'Usage: multi_depth_node CAMERAS' in capsys.readouterr().err
