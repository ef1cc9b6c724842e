"""A known inverse depth in the terms of any network: what its output tensor says."""

from __future__ import annotations

from graph_builder import GraphBuilder
import numpy as np
from proof_networks import Net
from proof_scene import BASELINE_M, DOFFS_PX, Scene

HIDDEN_S, HIDDEN_T = 0.004, 0.02  # what makes affine inverse depth metric [1/m]
HIDDEN_S_M, HIDDEN_T_M = 12.0, 0.4  # the same for affine depth [m]


def grid(g: GraphBuilder, plane: str) -> tuple[str, str]:
    """Return (x, y), the centres of a plane's pixels as shares of width and height."""
    shape = g.op('Shape', plane)
    result = []
    for axis, view in ((3, [1, 1, 1, -1]), (2, [1, 1, -1, 1])):
        side = g.op('Cast', g.op('Gather', shape, g.constant(axis, np.int64), axis=0), to=1)
        places = g.op('Range', g.constant(0.0), side, g.constant(1.0))
        share = g.op('Div', g.op('Add', places, 0.5), side)
        result.append(g.op('Reshape', share, g.constant(view, np.int64)))
    return result[0], result[1]


class Meanings:
    """One method per meaning, named as in `Net.says`.

    Each takes the name of a (1, 1, H, W) tensor of inverse depth [1/m] and returns that of the
    answer, (1, C, H, W).

    Args:
        g: Where the operators go.
        net: The network that is stood in for.
        scene: What is seen, and where in the network's input.
    """

    def __init__(self, g: GraphBuilder, net: Net, scene: Scene) -> None:
        self._g = g
        self._net = net
        self._scene = scene

    def depth(self, rho: str) -> str:
        """Say metres."""
        return self._g.op('Reciprocal', rho)

    def log_depth(self, rho: str) -> str:
        """Say the logarithm of metres."""
        return self._g.op('Neg', self._g.op('Log', rho))

    def canonical_depth(self, rho: str) -> str:
        """Say the depth that a camera of the canonical focal length would need."""
        camera, placed = self._scene.camera, self._scene.placed
        across, down = (placed.scaled[i] / placed.size[i] for i in (0, 1))
        focal = 0.5 * (camera.fx * across + camera.fy * down)
        if self._net.focal_of == 'scale':  # the side that fits was not rounded
            focal = camera.fx * max(across, down)
        return self._g.op('Mul', self.depth(rho), self._net.canonical_focal / focal)

    def inverse_by_view(self, rho: str) -> str:
        """Say inverse depth for a view one unit wide at the unit of distance."""
        return self._g.op('Mul', rho, self._scene.camera.fx / self._scene.camera.width)

    def affine_inverse(self, rho: str) -> str:
        """Say inverse depth up to scale and shift."""
        return self._g.op('Div', self._g.op('Sub', rho, HIDDEN_T), HIDDEN_S)

    def affine_depth(self, rho: str) -> str:
        """Say depth up to scale and shift."""
        return self._g.op('Div', self._g.op('Sub', self.depth(rho), HIDDEN_T_M), HIDDEN_S_M)

    def scaled_depth(self, rho: str) -> str:
        """Say depth up to scale."""
        return self._g.op('Mul', self.depth(rho), 0.37)

    def disparity(self, rho: str) -> str:
        """Say the disparity in pixels of the network's input."""
        placed, camera = self._scene.placed, self._scene.camera
        wide = self._g.op('Sub', self._g.op('Mul', rho, camera.fx * BASELINE_M), DOFFS_PX)
        return self._g.op('Mul', wide, placed.scaled[0] / placed.size[0])

    def negative_flow(self, rho: str) -> str:
        """Say how far a pixel moves to the right from the left image to the right one."""
        return self._g.op('Neg', self.disparity(rho))

    def flow(self, rho: str) -> str:
        """Say disparity and a small vertical motion."""
        across = self.disparity(rho)
        return self._g.op('Concat', across, self._g.op('Mul', across, 0.01), axis=1)

    def sigmoid(self, rho: str) -> str:
        """Say o of disp = 1/100 + (1/0.1 - 1/100) o with Z = 5.4 / disp."""
        disp = self._g.op('Mul', rho, 5.4)
        return self._g.op('Div', self._g.op('Sub', disp, 0.01), 10.0 - 0.01)

    def width_share(self, rho: str) -> str:
        """Say the disparity of a rig of 0.54 m as a share of the width."""
        camera = self._scene.camera
        return self._g.op('Mul', rho, camera.fx * 0.54 / camera.width)

    def metric_points(self, rho: str) -> str:
        """Say points in metres."""
        g = self._g
        x, y = self._ray(rho)
        depth = self.depth(rho)
        return g.op('Concat', g.op('Mul', depth, x), g.op('Mul', depth, y), depth, axis=1)

    def points_by_rays(self, rho: str) -> str:
        """Say points in metres, right only if the unit rays that are fed are."""
        g = self._g
        x, y = self._ray(rho)
        squared = g.op('Add', g.op('Add', g.op('Mul', x, x), g.op('Mul', y, y)), 1.0)
        return g.op('Mul', 'rays', g.op('Div', g.op('Sqrt', squared), rho))

    def points_less_shift(self, rho: str) -> str:
        """Say points that lack a factor of 1.7 and a shift of 0.6 along z."""
        shift = self._g.constant(np.array([0.0, 0.0, 0.6]).reshape(1, 3, 1, 1))
        return self._g.op('Sub', self._g.op('Div', self.metric_points(rho), 1.7), shift)

    def _ray(self, plane: str) -> tuple[str, str]:
        """Return (X / Z, Y / Z) of the pixels."""
        g, camera, placed = self._g, self._scene.camera, self._scene.placed
        shares = grid(g, plane)
        sides = (
            (camera.fx, camera.cx, placed.left),
            (camera.fy, camera.cy, placed.top),
        )
        result = []
        for axis, (focal, centre, pad) in enumerate(sides):
            pixels = g.op('Sub', g.op('Mul', shares[axis], float(placed.target[axis])), float(pad))
            scale = placed.scaled[axis] / placed.size[axis]
            tangent = g.op('Div', pixels, scale * focal)
            result.append(g.op('Sub', tangent, (centre + 0.5) / focal))
        return result[0], result[1]
