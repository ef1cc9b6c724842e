from depth_perception.evaluation.bag_writer import BagWriter, Transform
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.transforms import tree_from_recording
import numpy as np
import pytest

S = 10**9


def test_the_tree_of_a_recording(tmp_path):
    pytest.importorskip('rosbags')
    laser = np.eye(4)
    laser[:3, 3] = [0.1, 0.2, 0.3]
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write_transforms(0, [Transform('base', 'laser', laser)], static=True)
        for second in (1, 2):
            pose = np.eye(4)
            pose[0, 3] = 2.0 * second
            bag.write_transforms(second * S, [Transform('map', 'base', pose)], static=False)
    with Recording(tmp_path / 'bag') as recording:
        tree = tree_from_recording(recording)
    np.testing.assert_allclose(
        tree.lookup('map', 'laser', 3 * S // 2)[:3, 3], [3.1, 0.2, 0.3], atol=1e-12
    )


def test_a_recording_without_tf_has_no_tree(tmp_path, evaluation_bags):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 1, moving=False)
    with Recording(bag) as recording:
        assert tree_from_recording(recording) is None
