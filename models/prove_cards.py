"""Prove model cards without the weights of their networks.

For every card a stand-in is made that has the tensors of the real network and computes a known
depth from the picture it is fed (proof_graph.py, from the facts in proof_table.py). It is run
through the whole estimator with the card as it is; what comes out must be that depth.

    ./run exec python models/prove_cards.py [ID...]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import sys
import tempfile

from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
from proof_graph import make_network
from proof_networks import LIMIT_BLOCK, Net
from proof_scene import make_scene, Scene
from proof_table import NETWORKS
import yaml

SIZES = ((158, 118), (97, 121), (1001, 563))  # of the pictures; smaller and larger than networks
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Proof:
    """How far a card is from the truth.

    Attributes:
        card: Id of the card.
        size: (width, height) of the picture [px].
        error: Greatest relative error of the depth where it must be known.
        share: Share of the image that was compared.
        problems: What else is wrong; empty if nothing is.
    """

    card: str
    size: tuple[int, int]
    error: float
    share: float
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the card is proven."""
        return self.error <= TOLERANCE and self.share > 0.25 and not self.problems


def scene_for(net: Net, size: tuple[int, int]) -> Scene:
    """Return the test picture of a network."""
    return make_scene(
        net.rule(*size),
        stereo=net.stereo,
        grey=net.order == 'grey',
        depth_m=net.depth_m,
        depth_ramp=net.depth_ramp,
        relative=net.relative,
    )


def stand_in_card(name: str, net: Net, scene: Scene, folder: Path) -> Path:
    """Write the stand-in and a card that differs from the real one in its files alone."""
    path = folder / 'stand_in.onnx'
    make_network(net, scene, path)
    card = folder / 'stand_in.yaml'
    values = {
        'base': name,
        'artifact': {'file': path.name, 'sha256': '', 'bytes': 0},
        'uncertainty': {'calibration': ''},  # its file lies beside the real card
    }
    card.write_text(yaml.safe_dump(values), 'utf-8')
    return card


def prove(name: str, net: Net, size: tuple[int, int], folder: Path) -> Proof:
    """Run a card on its stand-in.

    Args:
        name: Id or path of the card.
        net: The facts of its network.
        size: (width, height) of the picture.
        folder: Where to write the stand-in.
    """
    scene = scene_for(net, size)
    card = stand_in_card(name, net, scene, folder)
    settings = (
        StereoEstimatorSettings
        if load_card(str(card)).task == 'stereo'
        else (MonoEstimatorSettings)
    )
    chosen = settings(
        model=str(card), filters__flying_pixels=False, max_relative_sigma=1.0, threads=1
    )
    with open_estimator(chosen) as estimator:
        depth = estimator.estimate(scene.frame).depth.astype(np.float64)
    problems = []
    silent = scene.sure & False
    if net.limit is not None:
        silent |= scene.block == LIMIT_BLOCK
        if not np.isnan(depth[scene.sure & silent]).all():
            problems.append('something is known at the limit of the network')
    for tensor, flag in net.flags.items():
        here = scene.block == flag.block
        wanted = np.isposinf if flag.far else np.isnan
        if not wanted(depth[scene.sure & here]).all():
            problems.append(f'mask {tensor} is not obeyed')
        silent |= here
    judged = scene.sure & ~silent
    error = np.abs(depth[judged] / scene.depth[judged] - 1.0)
    worst = float(error.max()) if np.isfinite(error).all() else float('inf')
    return Proof(name, size, worst, float(judged.mean()), tuple(problems))


def main(names: list[str]) -> int:
    """Prove the cards named, or all of them; print a line each."""
    failed = 0
    for name in names or sorted(NETWORKS):
        for size in SIZES:
            with tempfile.TemporaryDirectory() as folder:
                proof = prove(name, NETWORKS[name], size, Path(folder))
            failed += not proof.holds
            words = 'proven' if proof.holds else 'WRONG ' + '; '.join(proof.problems)
            line = f'{name:32s} {size[0]}x{size[1]}  {proof.error:.1e}  {words}'
            sys.stdout.write(line + '\n')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
