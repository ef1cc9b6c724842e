"""Networks whose answers and errors are known in closed form, for the tests of raw scores."""

import dataclasses
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.backend import Backend, TensorSpec
from depth_perception.inference.card_schema import read_section
from depth_perception.inference.cards import ModelCard
from depth_perception.inference.decode import decode
from depth_perception.inference.postprocess import RawEstimate
from depth_perception.inference.preprocess import Preparation, tensors_from
from depth_perception.inference.relative import decode_relative
from depth_perception.inference.resize import plan_resize
from depth_perception.inference.scores import ScoreSet
import numpy as np

WIDTH, HEIGHT = 60, 44
CAMERA = PinholeCamera(WIDTH, HEIGHT, 90.0, 70.0, 25.0, 30.0)
RIG = StereoRig(CAMERA, dataclasses.replace(CAMERA, cx=28.0), 0.25)
COLUMN = np.arange(WIDTH, dtype=np.float32)
PAIR = 2.0 / math.sqrt(math.pi)  # E|a - b| over sigma


class Formula(Backend):
    """A network that is a function of its inputs, and remembers them."""

    def __init__(self, function, inputs=('x',), outputs=('o',), batch=1, side=None):
        self.name = self.description = 'formula'
        shape = (batch, 3, side or None, side or None)
        self.inputs = tuple(TensorSpec(name, 'float32', shape) for name in inputs)
        self.outputs = tuple(
            TensorSpec(name, 'float32', (batch, 1, None, None)) for name in outputs
        )
        self.function, self.feeds = function, []

    def _infer(self, feeds):
        self.feeds.append(feeds)
        made = self.function(**feeds)
        made = made if isinstance(made, tuple) else (made,)
        return {spec.name: value for spec, value in zip(self.outputs, made, strict=True)}

    def close(self):
        self.feeds = None


def card_of(kind='depth_metric', *, task='mono', inputs=None, sources=(), scores=None, **more):
    uncertainty = {'relative_floor': 0.0, 'sources': list(sources), 'scores': scores or {}}
    values = {
        'id': 'net',
        'task': task,
        'artifact': {'licence': 'MIT', 'commercial': True},
        'inputs': inputs or [{'tensor': 'x', 'from': 'left'}],
        'resize': more.pop('resize', {'policy': 'none'}),
        'output': {'tensor': 'o', 'kind': kind, **more.pop('output', {})},
        'uncertainty': uncertainty | more.pop('uncertainty', {}),
        **more,
    }
    return read_section(ModelCard, values, 'card')


def mono(red, **more):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = red
    return MonoFrame(Picture(pixels, 'rgb'), CAMERA, **more)


def scored(card, backend, frame, setting='', scores=None, scale=None):
    """Return the estimate with its score, as the estimators make it."""
    scores = scores or ScoreSet(card, backend, setting)
    plan = plan_resize(card.resize, WIDTH, HEIGHT)
    preparation = Preparation(frame, plan, card.resize)
    outputs = backend.infer(tensors_from(card.inputs, preparation))
    scale = scale or Scale(Rung.NETWORK)
    known = frame.surroundings.references
    if card.is_relative:
        decoded = decode_relative(outputs, card, preparation)
        metric = scale.s * decoded.output + np.float32(scale.t)
        rho = (metric if decoded.domain == 'inverse_depth' else 1.0 / metric).astype(np.float32)
        raw = RawEstimate(rho, np.zeros_like(rho), scale)
        return scores.add(raw, decoded, preparation, known)
    decoded = decode(outputs, card, preparation)
    disparity = None
    if decoded.disparity is not None:
        disparity = Disparity(decoded.disparity, frame.rig, 0.0, 64.0)
    raw = RawEstimate(decoded.rho * scale.s, decoded.sigma_rho * scale.s, scale,
                      disparity=disparity) if scale.s != 1.0 else RawEstimate(
                          decoded.rho, decoded.sigma_rho, scale, disparity=disparity)  # fmt: skip
    return scores.add(raw, decoded, preparation, known)


def tilted(x):
    """Return depth whose inverse is 0.2 + red, plus an error that grows across the image."""
    rho = 0.2 + x[:, :1] + 0.1 * (COLUMN / (WIDTH - 1) - 0.5)
    return (1.0 / rho).astype(np.float32)


def restless(x, error=0.0):
    """Return an affine output with another scale and shift in every run."""
    gain, shift = (3.0, 7.0) if x[0, 0, 0, 0] > x[0, 0, 0, -1] else (0.5, -2.0)
    bias = error * (COLUMN / (WIDTH - 1) - 0.5) ** 3
    return (gain * (x[:, :1] + bias) + shift).astype(np.float32)


STEREO = {
    'task': 'stereo',
    'inputs': [{'tensor': 'x', 'from': 'left'}, {'tensor': 'y', 'from': 'right'}],
    'output': {'params': {'max_disp': 64.0}},
}


def pair(left_px, right_px):
    """Return a pair whose red channel tells the disparity of every pixel, in steps of 1/8 px."""
    pictures = []
    for disparity in (left_px, right_px):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[..., 0] = np.rint(8.0 * np.asarray(disparity))
        pictures.append(Picture(pixels, 'rgb'))
    return StereoFrame(*pictures, RIG)


def told(x, y):
    return x[:, :1] * np.float32(255.0 / 8.0)


def stereo_scores(frame, setting, function=told, **scores):
    card = card_of('disparity_px', scores=scores, **STEREO)
    return scored(card, Formula(function, ('x', 'y')), frame, setting)


def noisy_card(runs=5):
    inputs = [
        {'tensor': 'x', 'from': 'left'},
        {'tensor': 'n', 'from': 'noise', 'value': [1, 1, HEIGHT, WIDTH]},
    ]
    return card_of('log_depth', inputs=inputs, scores={'monte_carlo_runs': runs})


def noisy(backend_function=lambda x, n: x[:, :1] + 0.3 + 0.01 * n):
    backend = Formula(backend_function, ('x', 'n'))
    shape = (1, 1, None, None)
    backend.inputs = (backend.inputs[0], TensorSpec('n', 'float32', shape))
    return backend
