"""A relative network judged on a bag with a laser: it gets what the node would have had."""

import json

from depth_perception.cli.main import main
from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_writer import BagWriter, Transform
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.plan import make_plan, Request, Selection
from depth_perception.evaluation.references import find_reference
from depth_perception.evaluation.session import Session
from depth_perception.evaluation.units import choose_models, Span
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
pytest.importorskip('scipy')
CAMERA = PinholeCamera(160, 120, 200.0, 190.0, 78.5, 61.25)
START_NS = 1_700_000_000 * 10**9
PERIOD_NS = 100_000_000
STEP_M = 0.1
LASER_IN_BASE = np.array([0.0, 0.3, 0.9])
EYE_IN_BASE = np.eye(4)
EYE_IN_BASE[:3] = [[0, 0, 1, 0.2], [-1, 0, 0, 0.0], [0, -1, 0, 0.5]]


def depth_at(number):
    """Return the depth of two slanted walls that the robot drives towards."""
    columns = np.linspace(0.0, 1.0, CAMERA.width)
    depth = np.where(columns < 0.5, 3.0 + columns, 6.0 - columns)
    rows = np.linspace(0.0, 0.8, CAMERA.height)[:, None]
    return (depth + rows - STEP_M * number).astype(np.float32)


def scan_of(number):
    """Return (N, 4) of what the laser measures in its own frame: every 4th pixel of the image."""
    points = points_from_depth(depth_at(number), CAMERA)[::4, ::4].reshape(-1, 3)
    in_base = points @ EYE_IN_BASE[:3, :3].T + EYE_IN_BASE[:3, 3]
    return np.pad(in_base - LASER_IN_BASE, ((0, 0), (0, 1))).astype(np.float32)


def output_at(number):
    """Return what the network says: affine in inverse depth, differently in every frame."""
    return (1.0 / depth_at(number) + 0.05) / (0.8 + 0.01 * number)


@pytest.fixture
def bag(tmp_path, coded_network):
    """Return a function that records frames and scans.

    Args of it:
        scan_before: How many scans there are before the first image.
        late_ns: How long after the image the scan was recorded.
    """

    def write(frames=4, scan_before=0, late_ns=0, name='bag'):
        identity = np.eye(4)
        laser = np.eye(4)
        laser[:3, 3] = LASER_IN_BASE
        with BagWriter(tmp_path / name) as bag:
            bag.log_ns = START_NS - 10 * PERIOD_NS
            mounted = [Transform('base', 'eye', EYE_IN_BASE), Transform('base', 'laser', laser)]
            bag.write_transforms(START_NS, mounted, static=True)
            for number in range(-scan_before, frames):
                stamp_ns = START_NS + number * PERIOD_NS
                bag.log_ns = stamp_ns
                pose = identity.copy()
                pose[0, 3] = STEP_M * number
                bag.write_transforms(stamp_ns, [Transform('odom', 'base', pose)], static=False)
                if number >= 0:
                    bag.write_camera_info('/camera_info', stamp_ns, 'eye', CAMERA)
                    picture = coded_network.picture_of(output_at(number))
                    bag.write_image('/image', stamp_ns, 'eye', picture, 'rgb8')
                    bag.write_image('/truth', stamp_ns, 'eye', depth_at(number), '32FC1')
                bag.log_ns = stamp_ns + late_ns
                bag.write_points('/scan', stamp_ns, 'laser', scan_of(number))
        return tmp_path / name

    return write


@pytest.fixture
def request_of(tmp_path, coded_network):
    def make(bag, *settings, reference='/scan', truth='/truth', **span):
        models = choose_models([coded_network.write_network(tmp_path)], settings)
        selection = Selection(truth=truth, reference=reference)
        return Request((bag,), tuple(models), tmp_path / 'out', selection, span=Span(**span))

    return make


def served(request):
    """Return the frames of the one unit, as they went through the estimator."""
    (unit,) = make_plan(request).units
    with Session(unit) as session:
        return [session.server.serve(messages) for messages in session.sets()]


def error_of(served, number):
    estimate = served.estimate
    return float(np.abs(estimate.depth / depth_at(number) - 1.0)[estimate.valid].mean())


def test_a_network_gets_its_scale_from_the_laser(bag, request_of):
    frames = served(request_of(bag()))
    assert len(frames) == 4
    for number, frame in enumerate(frames):
        assert len(frame.frame.surroundings.references) == 1200
        assert error_of(frame, number) < 0.01
        assert frame.estimate.scale.rung.value.startswith('reference')
        fixed = frame.frame.surroundings.fixed_from_camera
        np.testing.assert_allclose(fixed[:3, 3], [0.2 + STEP_M * number, 0.0, 0.5])


def surroundings_of(request):
    """Return what is known around each frame."""
    (unit,) = make_plan(request).units
    with Session(unit) as session:
        return [messages.surroundings for messages in session.sets()]


def expected_of(number, ahead_m):
    """Return (N, 3) of u, v, rho of the scan of a frame, once the camera has moved ahead."""
    points = points_from_depth(depth_at(number), CAMERA)[::4, ::4].reshape(-1, 3)
    x, y, z = (points - [0.0, 0.0, ahead_m]).T
    return np.stack([CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy, 1 / z], 1)


def assert_among(references, expected):
    found = np.stack([references.u, references.v, references.rho], 1)
    away = np.abs(found[:, None] - expected[None]).max(axis=-1).min(axis=1)
    assert away.max() < 1e-3
    assert len(found) > 600


def test_an_older_scan_is_moved_with_the_robot(bag, request_of):
    path = bag(scan_before=2, late_ns=150_000_000)
    for number, around in enumerate(surroundings_of(request_of(path))):
        assert_among(around.references, expected_of(number - 2, 2 * STEP_M))


def test_a_scan_that_came_later_is_used_only_where_the_frame_may_wait(bag, request_of):
    """Each is recorded 30 ms after the image it belongs to."""
    path = bag(late_ns=30_000_000)
    first, *later = surroundings_of(request_of(path))
    assert first.references is None
    for number, around in enumerate(later, 1):
        assert_among(around.references, expected_of(number - 1, STEP_M))
    for number, around in enumerate(surroundings_of(request_of(path, 'reference.wait_s=0.05'))):
        assert_among(around.references, expected_of(number, 0.0))


def test_only_frames_that_are_served_are_surrounded(bag, request_of):
    (unit,) = make_plan(request_of(bag(6), every=3)).units
    with Session(unit) as session:
        asked = []
        around = session.references.around
        session.references.around = lambda m: asked.append(m.stamp_ns) or around(m)
        taken = [messages.stamp_ns for messages in session.sets()]
    assert asked == taken == [START_NS, START_NS + 3 * PERIOD_NS]


def test_depth_images_serve_too(bag, request_of):
    for number, frame in enumerate(served(request_of(bag(), reference='/truth'))):
        assert error_of(frame, number) < 0.01


def test_the_whole_verb(bag, request_of, tmp_path, coded_network, capsys):
    path, card = str(bag()), coded_network.write_network(tmp_path)
    common = ['evaluate', path, '--model', card, '--truth', '/truth', '--no-pictures']
    assert main([*common, '--out', str(tmp_path / 'none')]) == 2
    assert 'reference' in capsys.readouterr().err
    assert main([*common, '--reference', '/scan', '--out', str(tmp_path / 'scan')]) == 0
    report = json.loads((tmp_path / 'scan' / 'report.json').read_text())
    assert report['summary'][0]['metrics']['online/abs_rel']['value'] < 0.01
    assert report['options']['reference'] == '/scan'
    assert 'IS BOTH' not in capsys.readouterr().err
    assert main([*common, '--reference', '/truth', '--out', str(tmp_path / 'both')]) == 0
    assert '/truth IS BOTH REFERENCE AND GROUND TRUTH' in capsys.readouterr().err
    for name, shown in (('report.html', 'class="note">'), ('report.md', '**')):
        text = (tmp_path / 'both' / name).read_text()
        line = next(line for line in text.splitlines() if 'IS BOTH REFERENCE' in line)
        assert shown in line.partition('IS BOTH')[0]  # open to view, not folded away
    said = [(tmp_path / name / 'report.md').read_text() for name in ('scan', 'both')]
    assert ['without any help of the truth' in text for text in said] == [True, False]
    assert ['it is NOT what a robot gets' in text for text in said] == [False, True]


def test_truth_is_found_beside_the_reference(bag, request_of):
    plan = make_plan(request_of(bag(), truth=''))
    assert plan.units[0].truth.depth == '/truth'
    plan = make_plan(request_of(bag(name='two'), truth='', reference='/truth'))
    assert plan.units[0].truth.points == '/scan'
    assert not any('IS BOTH' in text for text in plan.bags[0]['warnings'])


@pytest.mark.parametrize(
    ('topic', 'part'), [('/nowhere', 'has no /nowhere'), ('/image', 'which is no reference')]
)
def test_what_is_no_reference_is_refused(bag, topic, part):
    with Recording(bag(1)) as recording, pytest.raises(RecordingError, match=part):
        find_reference(recording, topic)


def test_a_laser_without_tf_is_told(bag, request_of, tmp_path, coded_network):
    with BagWriter(tmp_path / 'bare') as bare:
        bare.write_points('/scan', START_NS, 'laser', scan_of(0))
        bare.write_camera_info('/camera_info', START_NS, 'eye', CAMERA)
        bare.write_image('/image', START_NS, 'eye', coded_network.picture_of(output_at(0)), 'rgb8')
    (unit,) = make_plan(request_of(tmp_path / 'bare', truth='none')).units
    with Session(unit) as session:
        (messages,) = session.sets()
        warnings = session.warnings()
    assert 'the recording has no /tf' in messages.surroundings.problem
    assert any('the recording has no /tf' in text for text in warnings)
