"""Furniture models of Sweet Home 3D, as Debian's sweethome3d-furniture ships them.

The libraries are zip files (``*.sh3f``) of Wavefront models and a list with the real size of
every piece. Licences: CC-BY 3.0 (Kator Legaz, Reallusion, Scopia, Blend Swap) and CC0 (Blend
Swap); see the copyright file of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
import re

import numpy as np

from training.mono.scenes.geometry import flat_normals, Materials, Mesh, TEXTURE_SIDE

LARGEST_MODEL_FACES = 40_000


@dataclass(frozen=True)
class Piece:
    """One entry of the list.

    Attributes:
        name: what it is, for example ``Sofa``.
        category: room or kind that the list files it under.
        model: path of the Wavefront file.
        size: width, height, depth [m].
        elevation: height of its foot above the floor [m].
        top: height of the surface that things may stand on [m], negative if none.
    """

    name: str
    category: str
    model: Path
    size: tuple[float, float, float]
    elevation: float
    top: float


def read_catalogue(root: Path) -> list[Piece]:
    """Returns all pieces of the unpacked libraries under ``root``, sorted by path."""
    pieces = []
    for listing in sorted(root.glob('*/PluginFurnitureCatalog.properties')):
        table: dict[str, dict[str, str]] = {}
        for line in listing.read_text('latin-1').splitlines():
            found = re.match(r'(\w+)#(\d+)=(.*)', line)
            if found:
                table.setdefault(found[2], {})[found[1]] = found[3].strip()
        for entry in table.values():
            model = listing.parent / entry.get('model', '?').lstrip('/')
            if model.suffix.lower() != '.obj' or not model.exists():
                continue
            pieces.append(
                Piece(
                    entry.get('name', ''),
                    entry.get('category', ''),
                    model,
                    tuple(float(entry[k]) / 100 for k in ('width', 'height', 'depth')),
                    float(entry.get('elevation', 0)) / 100,
                    float(entry.get('dropOnTopElevation', entry['height'])) / 100,
                )
            )
    return pieces


@dataclass
class Model:
    """A parsed Wavefront file; ``parts`` names the material of every face."""

    mesh: Mesh
    parts: list[tuple[np.ndarray, float, np.ndarray | None]]


def _read_image(path: Path) -> np.ndarray | None:
    import cv2

    if not path.is_file():
        path = path.parent / path.name.rsplit('/', 1)[-1].rsplit('\\', 1)[-1]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        return None
    side = (TEXTURE_SIDE, TEXTURE_SIDE)
    return cv2.cvtColor(cv2.resize(image, side, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)


Part = tuple[np.ndarray, float, np.ndarray | None, float]
PLAIN: Part = (np.full(3, 0.5, np.float32), 0.0, None, 1.0)


def _lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text('latin-1').splitlines():
        word = line.split()
        if word:
            yield word


def _read_materials(path: Path) -> dict[str, Part]:
    """Returns colour, gloss, texture and opacity by material name."""
    table: dict[str, Part] = {}
    name = ''
    for word in _lines(path):
        if word[0] == 'newmtl':
            name = ' '.join(word[1:])
        colour, gloss, texture, opacity = table.get(name, PLAIN)
        if word[0] == 'Kd' and texture is None:
            colour = np.array([float(v) for v in word[1:4]], np.float32) ** 2.2
        elif word[0] == 'Ks':
            gloss = 0.3 * float(word[1])
        elif word[0] in ('d', 'Tr'):
            opacity = float(word[-1]) if word[0] == 'd' else 1.0 - float(word[-1])
        elif word[0] == 'map_Kd':
            texture = _read_image(path.parent / ' '.join(word[1:]))
            colour = colour if texture is None else np.ones(3, np.float32)
        table[name] = (colour, gloss, texture, opacity)
    return table


def _triangles(word: list[str], material: int) -> list[tuple[tuple[int, ...], ...]]:
    """Returns the triangles of a face line: three corners of three indices, and its material."""
    corners = [tuple(int(i) if i else 0 for i in (w + '//').split('/')[:3]) for w in word[1:]]
    owner = (material,)
    return [(corners[0], corners[k], corners[k + 1], owner) for k in range(1, len(corners) - 1)]


def _read_model(path: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, list[Part]] | None:
    """Returns the tables v, vt and vn, the faces, their materials and what those look like."""
    numbers: dict[str, list[list[float]]] = {'v': [], 'vt': [[0.0, 0.0]], 'vn': [[0.0] * 3]}
    faces: list[tuple[tuple[int, ...], ...]] = []
    names: list[str] = []
    library: dict[str, Part] = {}
    for word in _lines(path):
        if word[0] in numbers:
            wanted = 2 if word[0] == 'vt' else 3
            numbers[word[0]].append([float(x) for x in word[1 : 1 + wanted]])
        elif word[0] == 'f':
            faces += _triangles(word, len(names) - 1)
        elif word[0] == 'usemtl':
            names.append(' '.join(word[1:]))
        elif word[0] == 'mtllib' and (path.parent / ' '.join(word[1:])).is_file():
            library.update(_read_materials(path.parent / ' '.join(word[1:])))
        if len(faces) > LARGEST_MODEL_FACES:
            return None
    if not faces:
        return None
    parts = [*(library.get(n, PLAIN) for n in names), PLAIN]
    index = np.array([face[:3] for face in faces], np.int64)
    owner = np.array([face[3][0] for face in faces], np.int64) % len(parts)
    return [np.array(numbers[k], np.float32) for k in ('v', 'vt', 'vn')], index, owner, parts


@lru_cache(maxsize=700)
def load_model(path: Path) -> Model | None:
    """Parses a Wavefront model; transparent faces are left out.

    Returns:
        The model in the file's own units, or None if it is empty or too large to be useful.
    """
    found = _read_model(path)
    if found is None:
        return None
    tables, index, owner, parts = found
    keep = np.array([part[3] > 0.6 for part in parts])[owner]
    if not keep.any():
        return None
    return Model(_mesh(tables, index[keep], owner[keep]), [part[:3] for part in parts])


def _mesh(tables: list[np.ndarray], index: np.ndarray, owner: np.ndarray) -> Mesh:
    """Returns the triangles of ``index`` (F, 3, 3), which counts from 1, or back from the end."""
    v, vt, vn = tables
    at = np.where(index < 0, index + np.array([len(v) + 1, len(vt), len(vn)]), index)
    corners = v[np.clip(at[..., 0] - 1, 0, len(v) - 1)]
    normals = vn[np.clip(at[..., 2], 0, len(vn) - 1)]
    bad = np.linalg.norm(normals, axis=-1, keepdims=True) < 1e-6
    normals = np.where(bad, flat_normals(corners), normals)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    uv = vt[np.clip(at[..., 1], 0, len(vt) - 1)]
    return Mesh(corners, uv, normals.astype(np.float32), owner.astype(np.int32))


def place(piece: Piece, materials: Materials, tint: np.ndarray | None = None) -> Mesh | None:
    """Returns the piece at its real size, standing on y = 0 and centred in x and z.

    Args:
        piece: what to load.
        materials: where its materials are added.
        tint: (3,) factor on all its colours, or None.

    Returns:
        The mesh, or None if the model cannot be used.
    """
    model = load_model(piece.model)
    if model is None:
        return None
    low, high = model.mesh.bounds()
    factor = np.asarray(piece.size, np.float32) / np.maximum(high - low, 1e-6)
    mesh = model.mesh
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)
    mesh = Mesh(mesh.corners - middle, mesh.uv, mesh.normals, mesh.material).scaled(factor)
    tint = np.ones(3, np.float32) if tint is None else tint
    used = np.unique(mesh.material)
    number = np.zeros(len(model.parts), np.int32)
    for k in used:
        colour, gloss, texture = model.parts[k]
        number[k] = materials.add(np.clip(colour * tint, 0, 1), texture, gloss)
    return Mesh(mesh.corners, mesh.uv, mesh.normals, number[mesh.material])
