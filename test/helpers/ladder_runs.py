"""A ladder fed frame by frame with a scene whose scale and shift are known."""

from depth_perception.core.scale_ladder import LadderRules, ScaleLadder
from depth_perception.core.scale_types import References, ScaleFit
import numpy as np

S, T = 0.013, -0.07
FRAME_NS = 66_666_667
RHO = np.add.outer(np.linspace(0.1, 0.7, 120), np.linspace(0.0, 0.3, 160))
OUTPUT = ((RHO - T) / S).astype(np.float32)
MIDDLE = float(np.median(OUTPUT))
TYPICAL = S * MIDDLE + T
PRIOR = ScaleFit(S, T, np.diag([1e-8, 1e-6]))


def references(factor=1.0, count=200, seed=0, rows=(0, 120)):
    generator = np.random.default_rng(seed)
    v, u = generator.integers(*rows, count), generator.integers(0, 160, count)
    rho = factor * RHO[v, u] * generator.normal(1.0, 0.01, count)
    return References(u, v, rho, 0.01 * rho)


def ground(factor=1.0):
    return lambda: ScaleFit(S * factor, T * factor, np.diag([1e-8, 1e-6]), references=900)


class Run:
    """Frames in a row."""

    def __init__(self, **rules):
        self.ladder, self.frame = ScaleLadder(LadderRules(**rules)), 0

    def __call__(self, given=None, known_ground=None, frames=1):
        self.frame += frames
        return self.ladder.step(self.frame * FRAME_NS, OUTPUT, given, known_ground)


def typical(step):
    """Return the inverse depth of the median output over the true one."""
    return (step.scale.s * MIDDLE + step.scale.t) / TYPICAL


def rungs(step):
    return [rung for rung, _ in step.failures]
