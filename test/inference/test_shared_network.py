"""One network for several: who gets what, together or in turns, and what a bad one may not do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import threading
import time

from depth_perception.errors import InferenceError
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.network_pool import NetworkPool
from depth_perception.inference.shared_network import SharedNetwork
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

LIMIT_S = 20.0
FREE, FIXED = None, 1


class Doubling(Backend):
    """Gives twice the input; notes the batches it is given, and can be held up."""

    def __init__(self, batch=FREE, *, mixes=False, most=99):
        self.name, self.description = 'doubling', 'doubling 1.0'
        self.inputs = (TensorSpec('image', 'float32', (batch, None)),)
        self.outputs = (TensorSpec('depth', 'float32', (batch, None)),)
        self.batches = []
        self.closed = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Semaphore(0)
        self._mixes = mixes
        self._most = most
        self._answer = np.empty(0, np.float32)

    def _infer(self, feeds):
        image = feeds['image']
        self.batches.append(image[:, 0].tolist())
        self.entered.release()
        assert self.go_on.wait(LIMIT_S)
        if len(image) > self._most or (image[:, 0] == 13.0).any():
            raise InferenceError('thirteen')
        answer = 2.0 * image
        if self._mixes:
            answer += image.mean() - image.mean(axis=1, keepdims=True)
        self._answer.fill(np.nan)  # what was answered before does not hold
        self._answer = answer
        return {'depth': answer}

    def close(self):
        self.closed = True


def image(value, width=3):
    return {'image': np.full((1, width), value, np.float32)}


class Cameras:
    """Clients of one network, in threads, asking when told to."""

    def __init__(self, backend, **options):
        self.backend = backend
        self.network = SharedNetwork(backend, **{'window_s': 0.0, **options})
        self.threads = ThreadPoolExecutor(8)

    def ask(self, client, *values, width=3):
        """Let one camera ask for its values one after the other; return a future."""
        return self.threads.submit(
            lambda: [client.infer(image(value, width))['depth'] for value in values]
        )

    def crowd(self, *values, widths=None):
        """Let cameras ask while the network is held up by another one; return their futures."""
        self.backend.go_on.clear()
        first = self.ask(self.network.client(), 1.0)
        assert self.backend.entered.acquire(timeout=LIMIT_S)
        futures = []
        for index, value in enumerate(values):
            width = widths[index] if widths else 3
            futures.append(self.ask(self.network.client(), value, width=width))
            waiting = lambda n: lambda: len(self.network._waiting) == n  # noqa: E731
            with self.network._changed:
                assert self.network._changed.wait_for(waiting(index + 1), LIMIT_S)
        self.backend.go_on.set()
        assert first.result(LIMIT_S)[0].tolist() == [[2.0] * 3]
        return futures


def firsts(futures):
    return [float(future.result(LIMIT_S)[0][0, 0]) for future in futures]


def test_what_waits_goes_in_one_run_and_everybody_gets_his_own():
    backend = Doubling()
    cameras = Cameras(backend)
    assert firsts(cameras.crowd(3.0, 5.0, 7.0)) == [6.0, 10.0, 14.0]
    # The first batch is compared with runs one by one.
    assert backend.batches == [[1.0], [3.0, 5.0, 7.0], [3.0], [5.0], [7.0]]
    assert firsts(cameras.crowd(4.0, 8.0)) == [8.0, 16.0]
    assert backend.batches[5:] == [[1.0], [4.0, 8.0]]
    assert cameras.network.turns == ''


def test_a_fixed_batch_means_turns_in_the_order_of_asking():
    backend = Doubling(FIXED)
    cameras = Cameras(backend)
    assert firsts(cameras.crowd(3.0, 5.0, 7.0)) == [6.0, 10.0, 14.0]
    assert backend.batches == [[1.0], [3.0], [5.0], [7.0]]
    assert 'in turns: image has a fixed batch' in cameras.network.description


def test_a_greedy_camera_does_not_keep_the_others_from_their_turn():
    backend = Doubling(FIXED)
    cameras = Cameras(backend)
    backend.go_on.clear()
    greedy = cameras.ask(cameras.network.client(), *range(100, 150))
    assert backend.entered.acquire(timeout=LIMIT_S)
    modest = cameras.ask(cameras.network.client(), 1.0)
    with cameras.network._changed:
        assert cameras.network._changed.wait_for(lambda: cameras.network._waiting, LIMIT_S)
    backend.go_on.set()
    assert firsts([modest]) == [2.0]
    greedy.result(LIMIT_S)
    assert backend.batches.index([1.0]) <= 2


def test_a_network_that_mixes_images_gets_no_second_batch():
    backend = Doubling(mixes=True)
    cameras = Cameras(backend)
    assert firsts(cameras.crowd(3.0, 5.0)) == [6.0, 10.0]  # as by itself
    assert firsts(cameras.crowd(3.0, 5.0)) == [6.0, 10.0]
    assert max(map(len, backend.batches[5:])) == 1
    assert 'depth of a batch differs' in cameras.network.turns


def test_an_error_is_of_the_camera_that_caused_it():
    cameras = Cameras(Doubling())
    good, bad, other = cameras.crowd(3.0, 13.0, 5.0)
    assert firsts([good, other]) == [6.0, 10.0]
    with pytest.raises(InferenceError, match='thirteen'):
        bad.result(LIMIT_S)
    assert cameras.network.turns == ''  # it was not the batch


def test_a_network_that_fails_only_in_batches_gets_no_second_one():
    backend = Doubling(most=1)
    cameras = Cameras(backend)
    assert firsts(cameras.crowd(3.0, 5.0)) == [6.0, 10.0]
    assert 'a batch failed: thirteen' in cameras.network.turns


def test_images_of_another_size_go_by_themselves_and_batches_are_limited():
    backend = Doubling()
    cameras = Cameras(backend, largest_batch=2)
    assert firsts(cameras.crowd(3.0, 5.0, 7.0, 9.0, widths=[3, 4, 3, 3])) == [
        6.0,
        10.0,
        14.0,
        18.0,
    ]
    assert [3.0, 7.0] in backend.batches
    assert [5.0] in backend.batches
    assert max(map(len, backend.batches)) == 2


def test_those_that_usually_ask_are_waited_for():
    backend = Doubling()
    cameras = Cameras(backend, window_s=LIMIT_S)
    clients = [cameras.network.client() for _ in range(3)]
    for client in clients:
        cameras.network._clients[client] = time.monotonic()
    futures = [cameras.ask(client, 3.0 + i) for i, client in enumerate(clients)]
    assert firsts(futures) == [6.0, 8.0, 10.0]
    assert sorted(backend.batches[0]) == [3.0, 4.0, 5.0]
    assert cameras.network.vain_waits == 0


def test_a_camera_that_has_fallen_silent_is_waited_for_once_and_not_again():
    cameras = Cameras(Doubling(), window_s=0.01)
    alive, silent = cameras.network.client(), cameras.network.client()
    silent.infer(image(1.0))
    for value in range(20, 35):
        assert alive.infer(image(value))['depth'][0, 0] == 2.0 * value
    assert cameras.network.vain_waits == 1


def test_what_was_answered_holds_and_the_last_one_closes():
    backend = Doubling()
    network = SharedNetwork(backend)
    one, two = network.client(), network.client()
    kept = one.infer(image(3.0))['depth']
    two.infer(image(4.0))
    assert kept.tolist() == [[6.0] * 3]
    one.close()
    assert not backend.closed
    with pytest.raises(InferenceError, match='closed'):
        one.infer(image(1.0))
    two.close()
    assert backend.closed


def test_a_pool_opens_the_same_network_once(networks, tmp_path):
    card = networks.card_of(networks.cnn(tmp_path / 'cnn.onnx', batch='N'))
    pool = NetworkPool(largest_batch=8)
    settings = MonoEstimatorSettings(model=str(card.path), backend='onnxruntime', threads=1)
    with open_estimator(settings, pool.open), open_estimator(settings, pool.open) as second:
        assert len(pool.networks) == 1
        assert 'shared by 2, batches of up to 8' in second.backend.description
        other = MonoEstimatorSettings(model=str(card.path), backend='onnxruntime', threads=2)
        with open_estimator(other, pool.open):
            assert len(pool.networks) == 2
        assert len(pool.networks) == 1
    assert pool.networks == []
    with open_estimator(settings, NetworkPool().open) as by_itself:  # on a CPU
        assert 'in turns: batches bring nothing on a CPU' in by_itself.backend.description
