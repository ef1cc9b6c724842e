"""Metric scale of relative networks from references and from the floor, on real scenes.

    python benchmark/scale_accuracy.py SHARED_DATA [--models SHARED_MODELS] [--json FILE]

A relative network is made of a real one: the inverse depth that FastDepth (indoors) or NVTiny
(driving) gives is shifted and scaled to 0..1, frame by frame in another way, and written into a
picture from which a one-layer network reads it back. Everything behind that is the estimator as
it runs in the node. `ratio` is the AbsRel that is published over the AbsRel of the least-squares
fit (s, t) in inverse depth to all of the truth, on the same pixels; `scale` is the median over
frames of |median(Z / truth) - 1|, of the published depth over the oracle's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path
import tempfile
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.core.types import AnyArray
from depth_perception.errors import NotMetricError
from depth_perception.evaluation.datasets.formats import entries_of
from depth_perception.evaluation.datasets.sample import Options, Sample
from depth_perception.evaluation.rendered import CAMERA_HEIGHT_M, rendered_scene
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
import onnx
import yaml

CODES = 65535.0
KITTI_HEIGHT_M = 1.65
PATTERNS = ('200 points', '200 points, 30 % wrong', '16 lines', '2000 points')


@dataclass(frozen=True)
class Case:
    """One frame: what a relative network says of it, and the truth [m], NaN unknown."""

    group: str
    name: str
    camera: PinholeCamera
    output: AnyArray
    truth: AnyArray
    height_m: float = 0.0


def write_network(folder: Path) -> Path:
    """Write the network that reads its answer from the picture, and its card."""
    weight = np.array([256.0, 1.0, 0.0], np.float32).reshape(1, 3, 1, 1) / CODES
    make = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['image', 'w'], ['depth'])],
        'coded',
        [make('image', onnx.TensorProto.FLOAT, [1, 3, 'H', 'W'])],
        [make('depth', onnx.TensorProto.FLOAT, [1, 1, 'H', 'W'])],
        [onnx.numpy_helper.from_array(weight.astype(np.float32), 'w')],
    )
    opset = [onnx.helper.make_opsetid('', 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.save(model, folder / 'coded.onnx')
    values = {
        'schema': 1,
        'id': 'coded',
        'task': 'mono',
        'artifact': {'file': 'coded.onnx', 'licence': 'MIT', 'commercial': True},
        'inputs': [{'tensor': 'image', 'from': 'left', 'color': 'rgb', 'divide': 1}],
        'resize': {'policy': 'none'},
        'output': {'tensor': 'depth', 'kind': 'inv_depth_affine'},
        'scale': {'modes': ['sparse', 'stereo', 'ground']},
    }
    path = folder / 'coded.yaml'
    path.write_text(yaml.safe_dump(values))
    return path


def coded(output: AnyArray) -> Picture:
    """Return the picture that holds an output of 0 to 1 with 16 bits."""
    code = np.rint(np.clip(output, 0.0, 1.0) * CODES).astype(np.int64)
    planes = [code >> 8, code & 255, np.zeros_like(code)]
    return Picture(np.stack(planes, axis=-1).astype(np.uint8), 'rgb')


def relative(rho: AnyArray, generator: np.random.Generator) -> AnyArray:
    """Return an inverse depth shifted and scaled into 0..1, by chance."""
    low, high = np.nanmin(rho), np.nanmax(rho)
    margin = generator.uniform(0.0, 0.3, 2)
    whole = 1.0 + margin.sum()
    return np.asarray(
        (np.nan_to_num(rho, nan=low) - low) / ((high - low) * whole) + margin[0] / whole
    )


def samples(
    data: Path, name: str, folder: str, every: int = 1, **options: Any
) -> Iterator[Sample]:
    """Yield frames of a data set."""
    asked = Options(data / folder, **options)
    for entry in entries_of(name, asked)[::every]:
        yield entry.read()


def cases(data: Path, models: Path) -> Iterator[Case]:
    """Yield all frames with the outputs of the networks."""
    generator = np.random.default_rng(5)
    indoors = MonoEstimatorSettings(
        model=str(_card(models, 'fastdepth')), max_relative_sigma=1.0, filters__flying_pixels=False
    )
    with open_estimator(indoors) as estimator:
        for group, name, folder, every in (
            ('TUM', 'tum-rgbd', 'tum_rgbd', 1),
            ('Kinect', 'seven-scenes', 'kinect_sequence', 10),
            ('Middlebury', 'middlebury', 'middlebury_2014_q', 1),
        ):
            for number, sample in enumerate(samples(data, name, folder, every)):
                frame = MonoFrame(_picture(sample.image), sample.camera)
                rho = 1.0 / np.where(np.isfinite(d := estimator.estimate(frame).depth), d, np.nan)
                truth = _truth(sample)
                yield Case(group, str(number), sample.camera, relative(rho, generator), truth)
    driving = StereoEstimatorSettings(
        model=str(_card(models, 'nvtiny-513x161')),
        max_depth_m=200.0,
        max_relative_sigma=1.0,
        filters__flying_pixels=False,
    )
    calib = data / 'kitti_object' / 'calib' / '000001.txt'
    with open_estimator(driving) as estimator:
        for sample in samples(data, 'kitti-stereo', 'kitti_2015', calib=calib):
            assert sample.rig is not None
            assert sample.right is not None
            pair = StereoFrame(_picture(sample.image), _picture(sample.right), sample.rig)
            depth = estimator.estimate(pair).depth
            rho = 1.0 / np.where(np.isfinite(depth), depth, np.nan)
            output = relative(rho, generator)
            yield Case('KITTI', '46', sample.camera, output, _truth(sample), KITTI_HEIGHT_M)
    scene = rendered_scene()
    truth = scene.truth
    assert truth is not None
    noise = np.repeat(np.repeat(generator.normal(1.0, 0.04, (60, 80)), 8, 0), 8, 1)
    output = relative(noise / truth, generator)
    yield Case('rendered', 'boxes', scene.rig.left, output, truth, CAMERA_HEIGHT_M)


def _card(models: Path, name: str) -> Path:
    """Return a copy of a card that stands beside its network file."""
    source = Path(__file__).parents[1] / 'models' / f'{name}.yaml'
    folder = Path(tempfile.mkdtemp(prefix='scale_accuracy_'))
    values = yaml.safe_load(source.read_text())
    (folder / values['artifact']['file']).symlink_to(models / values['artifact']['file'])
    path = folder / source.name
    path.write_text(source.read_text())
    return path


def _picture(pixels: AnyArray) -> Picture:
    return Picture(pixels, 'grey' if pixels.ndim == 2 else 'rgb')


def _truth(sample: Sample) -> AnyArray:
    if sample.depth is not None:
        return np.where(sample.depth > 0.0, sample.depth, np.nan)
    assert sample.disparity is not None
    assert sample.rig is not None
    with np.errstate(divide='ignore'):
        depth = sample.rig.focal_baseline / (sample.disparity + sample.rig.doffs_px)
    return np.where(np.isfinite(depth) & (depth > 0.0), depth, np.nan)


def references(truth: AnyArray, pattern: str, generator: np.random.Generator) -> References:
    """Return measured points of the truth: 1 % noise, and 30 % gross errors where asked for."""
    v, u = np.nonzero(np.isfinite(truth))
    if pattern == '16 lines':
        rows = np.linspace(0.3 * truth.shape[0], 0.95 * truth.shape[0], 16).astype(int)
        kept = np.isin(v, rows)
        u, v = u[kept][::2], v[kept][::2]
    else:
        chosen = generator.choice(
            u.size, min(int(pattern.split(maxsplit=1)[0]), u.size), replace=False
        )
        u, v = u[chosen], v[chosen]
    rho = 1.0 / truth[v, u] * generator.normal(1.0, 0.01, u.size)
    if 'wrong' in pattern:
        gross = generator.random(u.size) < 0.3
        low, high = np.nanpercentile(1.0 / truth, (2, 98))
        rho[gross] = generator.uniform(low, high, int(gross.sum()))
    return References(u, v, rho, 0.01 * rho)


def oracle(case: Case, pixels: AnyArray) -> AnyArray:
    """Return the depth of the least-squares fit in inverse depth, on `pixels`."""
    o, rho = case.output[pixels], 1.0 / case.truth[pixels]
    s, t = np.polyfit(o, rho, 1)
    return np.asarray(1.0 / np.maximum(s * o + t, 1e-3))


def judged(case: Case, depth: AnyArray) -> dict[str, float]:
    """Return AbsRel, its ratio to the oracle's, and the error of the scale against it."""
    pixels = np.isfinite(depth) & np.isfinite(case.truth)
    best, truth = oracle(case, pixels), case.truth[pixels]
    own = float(np.mean(np.abs(depth[pixels] / truth - 1.0)))
    least = float(np.mean(np.abs(best / truth - 1.0)))
    return {
        'abs_rel': own,
        'oracle': least,
        'ratio': own / least,
        'scale_error': abs(float(np.median(depth[pixels] / truth)) - 1.0),
        'coverage': float(pixels.sum() / np.isfinite(case.truth).sum()),
    }


def measure(data: Path, models: Path) -> list[dict[str, Any]]:
    """Return one row per frame and source of scale."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        card = str(write_network(Path(folder)))
        generator = np.random.default_rng(0)
        for case in cases(data, models):
            sources = [*PATTERNS, *(['ground'] if case.height_m else [])]
            for source in sources:
                settings = MonoEstimatorSettings(
                    model=card,
                    max_depth_m=200.0,
                    filters__flying_pixels=False,
                    ground__camera_height_m=case.height_m if source == 'ground' else 0.0,
                )
                known = None
                if source != 'ground':
                    known = references(case.truth, source, generator)
                frame = MonoFrame(
                    coded(case.output), case.camera, 1, 'cam', Surroundings(references=known)
                )
                row: dict[str, Any] = {
                    'group': case.group,
                    'frame': case.name,
                    'source': source,
                }
                with open_estimator(settings) as estimator:
                    try:
                        depth = estimator.estimate(frame).depth
                        row |= judged(case, depth)
                    except NotMetricError as error:
                        row['refused'] = str(error)
                rows.append(row)
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print one line per group of scenes and source of scale."""
    heads = ('frames', 'AbsRel', 'oracle', 'ratio', 'worst', 'scale', 'kept', 'refused')
    print(f'{"scenes":12} {"scale from":24}' + ''.join(f'{head:>8}' for head in heads))
    for group, source in dict.fromkeys((row['group'], row['source']) for row in rows):
        these = [row for row in rows if (row['group'], row['source']) == (group, source)]
        known = [row for row in these if 'ratio' in row]
        cells = [''] * 6
        if known:
            own, best, kept = (
                float(np.mean([row[key] for row in known]))
                for key in ('abs_rel', 'oracle', 'coverage')
            )
            scale = float(np.median([row['scale_error'] for row in known]))
            worst = max(row['ratio'] for row in known)
            cells = [f'{own:.3f}', f'{best:.3f}', f'{own / best:.3f}', f'{worst:.3f}']
            cells += [f'{scale:.1%}', f'{kept:.1%}']
        line = [str(len(these)), *cells, str(len(these) - len(known))]
        print(f'{group:12} {source:24}' + ''.join(f'{cell:>8}' for cell in line))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--models', type=Path)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.data, arguments.models or arguments.data.parent / 'models')
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
