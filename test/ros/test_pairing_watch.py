"""Images that find no partner are noticed, a healthy stream is not."""

from depth_perception.ros.pairing_watch import PairingWatch


def watched(pairs_per_second):
    """Return what is said at last of a pair of cameras at 20 Hz."""
    watch, received, paired, said = PairingWatch(), 0, 0, ''
    for second, pairs in enumerate(pairs_per_second):
        said = watch.observe(float(second), received, paired)
        received += 40
        paired += 2 * pairs
    return said


def test_a_healthy_stream_is_silent():
    assert watched([20] * 10) == ''


def test_losses_are_told_with_their_share_and_a_remedy():
    said = watched([12] * 10)
    assert said.startswith('40 % of the images find no partner')
    assert 'fastdds_shm.xml' in said


def test_losses_of_long_ago_are_forgotten():
    assert watched([5] * 3 + [20] * 11) == ''


def test_a_few_images_say_nothing():
    watch = PairingWatch()
    watch.observe(0.0, 0, 0)
    assert watch.observe(1.0, 5, 0) == ''
