"""Random furnished rooms, corridors and table tops."""

from __future__ import annotations

from dataclasses import dataclass, field
import re

import numpy as np

from training.mono.scenes.catalogue import Piece, place
from training.mono.scenes.geometry import box, join, lathe, Materials, Mesh, quad, Scene
from training.mono.scenes.light import Lamp
from training.mono.scenes.textures import Textures

INDOOR = ('Bathroom', 'Bedroom', 'Kitchen', 'Living room', 'Office', 'Miscellaneous')
CEILING = re.compile(r'Ceiling|Pendant|Chandelier|Hanging light|Fluorescent|Track', re.IGNORECASE)
TABLE = re.compile(r'table|desk|workbench', re.IGNORECASE)
CHAIR = re.compile(r'chair|stool|puff', re.IGNORECASE)
FLAT = re.compile(r'carpet|rug|doormat|bathmat|tatami', re.IGNORECASE)
OPENING = re.compile(r'window|door|curtain|blind|shutter', re.IGNORECASE)


@dataclass
class Stock:
    """The catalogue sorted by where a piece may stand."""

    pieces: list[Piece]

    def __post_init__(self) -> None:
        indoor = [
            p for p in self.pieces if p.category in INDOOR and not OPENING.search(p.name)
        ]  # fmt: skip
        low = [p for p in indoor if p.elevation < 0.1 and not FLAT.search(p.name)]
        size = {p: max(p.size[0], p.size[2]) for p in indoor}
        self.by_room = {
            c: [p for p in low if p.category == c and (size[p] > 0.4 or p.size[1] > 0.6)]
            for c in INDOOR
        }
        self.small = [p for p in low if 0.04 < max(p.size) < 0.5]
        self.tables = [p for p in low if TABLE.search(p.name) and size[p] > 0.6 and p.top > 0.3]
        self.chairs = [p for p in low if CHAIR.search(p.name) and p.size[1] > 0.35]
        self.hung = [p for p in indoor if p.elevation > 0.5 and max(p.size) < 2.5]
        self.flat = [p for p in self.pieces if FLAT.search(p.name)]
        lights = [p for p in self.pieces if p.category == 'Lights']
        self.ceiling = [p for p in lights if CEILING.search(p.name)]
        self.lamps = [p for p in lights if p.elevation < 0.1 and not CEILING.search(p.name)
                      and p.size[1] < 2.2]  # fmt: skip
        self.doors = [p for p in self.pieces if p.category == 'Doors and windows'
                      and 'oor' in p.name and p.size[0] < 1.4]  # fmt: skip
        self.people = [p for p in self.pieces if p.category == 'Characters']


@dataclass
class Room:
    """A room being built: its size (x, y, z) [m], what stands in it, its light."""

    size: np.ndarray
    rng: np.random.Generator
    stock: Stock
    textures: Textures
    materials: Materials = field(default_factory=Materials)
    meshes: list[Mesh] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    tops: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    ambient: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))

    def tint(self, spread: float = 0.35) -> np.ndarray:
        """Returns a random colour factor (3,)."""
        return np.exp(self.rng.normal(0, spread) + self.rng.normal(0, spread / 2.5, 3))

    def material(self, textured: float = 0.6, gloss: float = 0.0) -> int:
        """Adds a random material, with a texture in a share of ``textured`` cases."""
        if self.rng.random() < textured:
            picture = self.textures.surface(self.rng)
            return self.materials.add(np.clip(self.tint(0.2), 0, 1), picture, gloss)
        grey = self.rng.uniform(0.05, 0.85)
        return self.materials.add(np.clip(grey * self.tint(0.25), 0.01, 0.9), None, gloss)

    def add(self, mesh: Mesh) -> None:
        """Puts a mesh into the room."""
        self.meshes.append(mesh)

    def free(self, x: float, z: float, w: float, d: float, gap: float = 0.02) -> bool:
        """Tells whether the rectangle around (x, z) of ``w`` by ``d`` [m] is still empty."""
        a = (x - w / 2 - gap, z - d / 2 - gap, x + w / 2 + gap, z + d / 2 + gap)
        if (
            a[0] < -0.01
            or a[1] < -0.01
            or a[2] > self.size[0] + 0.01
            or a[3] > self.size[2] + 0.01
        ):
            return False
        return all(a[2] < b[0] or a[0] > b[2] or a[3] < b[1] or a[1] > b[3] for b in self.taken)

    def take(self, x: float, z: float, w: float, d: float) -> None:
        """Marks the rectangle as used."""
        self.taken.append((x - w / 2, z - d / 2, x + w / 2, z + d / 2))

    def pick(self, pieces: list[Piece]) -> Piece:
        """Returns a random piece."""
        return pieces[int(self.rng.integers(len(pieces)))]

    def stand(self, piece: Piece, x: float, z: float, yaw: float, y: float = 0.0) -> bool:
        """Stands a piece at (x, y, z); returns False if its model is of no use."""
        mesh = place(piece, self.materials, self.tint() if self.rng.random() < 0.5 else None)
        if mesh is None:
            return False
        mesh = mesh.moved(np.array([x, y, z]), yaw)
        self.add(mesh)
        if 0.25 < piece.top + y < 1.3 and min(piece.size[0], piece.size[2]) > 0.3:
            low, high = mesh.bounds()
            low[1] = high[1] = y + piece.top
            self.tops.append((low, high))
        return True


def wall_spot(room: Room, side: int, along: float, off: float) -> tuple[float, float, float]:
    """Returns x, z and the yaw that faces inwards for a place on wall ``side`` (0..3)."""
    w, _, d = room.size
    return [
        (along * w, off, 0.0),
        (off, along * d, np.pi / 2),
        (along * w, d - off, np.pi),
        (w - off, along * d, -np.pi / 2),
    ][side]


def wall(room: Room, side: int, material: int, repeat_m: float,
         holes: list[tuple[float, float, float, float]]) -> None:  # fmt: skip
    """Builds a wall out of panels around ``holes`` (from, to, bottom, top) [m] along it."""
    w, h, d = room.size
    length = w if side % 2 == 0 else d

    def panel(a: float, b: float, low: float, high: float) -> None:
        if b - a < 0.01 or high - low < 0.01:
            return
        p = []
        for s, y in ((a, low), (b, low), (b, high), (a, high)):
            x, z, _ = wall_spot(room, side, s / length, 0.0)
            p.append((x, y, z))
        room.add(quad(np.array(p), material, repeat_m, shift=a / repeat_m))

    at = 0.0
    for a, b, low, high in sorted(holes):
        panel(at, a, 0, h)
        panel(a, b, 0, low)
        panel(a, b, high, h)
        at = b
    panel(at, length, 0, h)


def window(room: Room, side: int, hole: tuple[float, float, float, float], power: float) -> None:
    """Hangs a bright view behind a hole, a frame into it, and a lamp that shines inwards."""
    w, _, d = room.size
    length = w if side % 2 == 0 else d
    a, b, low, high = hole
    points = []
    for s, y in ((a - 0.4, low - 0.3), (b + 0.4, low - 0.3), (b + 0.4, high + 0.3),
                 (a - 0.4, high + 0.3)):  # fmt: skip
        x, z, _ = wall_spot(room, side, s / length, -0.35)
        points.append((x, y, z))
    colour = np.array([0.9, 1.0, 1.15]) * room.tint(0.2)
    view = room.textures.picture(room.rng) if room.rng.random() < 0.7 else None
    glow = room.materials.add(np.ones(3), view, 0.0, (colour * power).astype(np.float32))
    room.add(quad(np.array(points), glow, 100.0 if view is None else b - a + 0.8))
    frame = room.material(0.2)
    x, z, yaw = wall_spot(room, side, (a + b) / 2 / length, -0.05)
    for t in np.linspace(a, b, int(room.rng.integers(2, 5))):
        px, pz, _ = wall_spot(room, side, t / length, -0.04)
        room.add(
            box(np.array([0.05, high - low, 0.05]), frame).moved(np.array([px, low, pz]), yaw)
        )
    for y in (low, high):
        bar = box(np.array([b - a, 0.05, 0.12]), frame)
        room.add(bar.moved(np.array([x, y - 0.02, z]), yaw))
    inward = np.array([np.sin(yaw), 0, np.cos(yaw)], np.float32)
    sideways = np.array([np.cos(yaw), 0, -np.sin(yaw)], np.float32)
    half = np.stack([sideways * (b - a) / 2, [0, (high - low) / 2, 0]]).astype(np.float32)
    strength = power * (b - a) * (high - low) * colour
    centre = np.array([x, (low + high) / 2, z], np.float32) + inward * 0.1
    room.lamps.append(Lamp(centre, half, inward, strength.astype(np.float32)))


def shell(room: Room) -> None:
    """Builds floor, ceiling, walls, windows, doors and the ceiling lamps."""
    rng, (w, h, d) = room.rng, room.size
    floor = room.material(0.85, float(rng.choice([0, 0, 0.1, 0.35])))
    repeat = float(rng.uniform(0.5, 2.0))
    corners = np.array([[0, 0, 0], [w, 0, 0], [w, 0, d], [0, 0, d]])
    room.add(quad(corners, floor, repeat))
    white = room.materials.add(np.full(3, rng.uniform(0.5, 0.85)), None)
    ceiling = white if rng.random() < 0.8 else room.material()
    room.add(quad(corners[::-1] + np.array([0, h, 0]), ceiling, 0.6))
    paint = room.material(0.35)
    for side in range(4):
        length = w if side % 2 == 0 else d
        own = paint if rng.random() < 0.75 else room.material(0.6)
        holes: list[tuple[float, float, float, float]] = []
        if rng.random() < 0.4 and length > 1.8:
            wide = float(rng.uniform(0.7, min(2.6, length - 0.6)))
            low = float(rng.choice([0.05, 0.8, 1.0]))
            a = float(rng.uniform(0.2, length - wide - 0.2))
            holes.append((a, a + wide, low, float(rng.uniform(1.9, min(2.3, h - 0.1)))))
            window(room, side, holes[0], float(np.exp(rng.normal(0.6, 0.7))))
        elif rng.random() < 0.35 and length > 1.6:
            a = float(rng.uniform(0.2, length - 1.2))
            holes.append((a, a + 0.9, 0.0, 2.05))
            beyond(room, side, (a + 0.45) / length)
        elif rng.random() < 0.6 and length > 1.6 and room.stock.doors:
            x, z, yaw = wall_spot(room, side, float(rng.uniform(0.6, length - 0.6)) / length, 0.05)
            room.stand(room.pick(room.stock.doors), x, z, yaw)
            room.take(x, z, 1.0, 1.0)
        wall(room, side, own, float(rng.uniform(0.6, 2.5)), holes)
        if rng.random() < 0.6:
            x, z, yaw = wall_spot(room, side, 0.5, 0.01)
            board = box(np.array([length, rng.uniform(0.06, 0.14), 0.02]), white)
            if not holes or holes[0][2] > 0.2:
                room.add(board.moved(np.array([x, 0, z]), yaw))
    lighting(room)


def lighting(room: Room) -> None:
    """Hangs the ceiling lamps and sets the light that comes from everywhere."""
    rng, (w, h, d) = room.rng, room.size
    warm = np.array([1.1, 1.0, 0.85]) ** float(rng.uniform(-0.5, 2.0))
    count = 1 if w * d < 14 else int(rng.integers(1, 4))
    for k in range(count):
        if len(room.lamps) and rng.random() < 0.4:
            continue
        x = w * (k + 0.5) / count if w > d else w * rng.uniform(0.35, 0.65)
        z = d * (k + 0.5) / count if d >= w else d * rng.uniform(0.35, 0.65)
        half = np.array([[rng.uniform(0.1, 0.5), 0, 0], [0, 0, rng.uniform(0.1, 0.5)]], np.float32)
        power = (float(np.exp(rng.normal(0.7, 0.5))) * warm).astype(np.float32)
        y = h - 0.12
        if rng.random() < 0.4 and room.stock.ceiling:
            piece = room.pick(room.stock.ceiling)
            room.stand(piece, x, z, 0.0, h - min(piece.size[1], 1.2))
            y = h - min(piece.size[1], 1.2) - 0.06
        else:
            glow = room.materials.add(np.ones(3), None, 0.0, power * 2)
            panel = box(np.array([half[0, 0] * 2, 0.05, half[1, 2] * 2]), glow)
            room.add(panel.moved(np.array([x, h - 0.06, z])))
        room.lamps.append(Lamp(np.array([x, y, z], np.float32), half, np.zeros(3), power))
    room.ambient = (warm * rng.uniform(0.03, 0.25)).astype(np.float32)


def beyond(room: Room, side: int, along: float) -> None:
    """Builds the simple room that is seen through a doorway."""
    rng = room.rng
    x, z, yaw = wall_spot(room, side, along, 0.0)
    size = np.array([rng.uniform(2, 5), room.size[1], rng.uniform(1.5, 6)])
    shift = float(rng.uniform(-0.5, 0.5)) * (size[0] - 1.2)
    mesh = box(size, room.material(0.4), 1.5)
    front = np.abs(mesh.normals[:, 0, 2] - 1) < 1e-3
    keep = ~front
    mesh = Mesh(mesh.corners[keep], mesh.uv[keep], mesh.normals[keep], mesh.material[keep])
    floor = box(np.array([size[0], 0.004, size[2]]), room.material(0.8), 1.0)
    parts = [mesh, floor]
    for _ in range(int(rng.integers(0, 3))):
        piece = place(room.pick(room.stock.by_room['Living room']), room.materials)
        if piece is not None:
            at = np.array([rng.uniform(-0.4, 0.4) * size[0], 0, -size[2] * rng.uniform(0.1, 0.4)])
            parts.append(piece.moved(at, float(rng.choice([0, np.pi / 2, -np.pi / 2]))))
    back = np.array([0, 0, -size[2] / 2])
    whole = join(parts).moved(np.array([shift, 0, 0]) + back)
    room.add(whole.moved(np.array([x, 0, z]), yaw))
    inward = np.array([np.sin(yaw), 0, np.cos(yaw)])
    lamp = np.array([x, room.size[1] - 0.3, z]) - inward * size[2] / 2
    power = (np.ones(3) * np.exp(rng.normal(0.3, 0.6))).astype(np.float32)
    half = np.array([[0.2, 0, 0], [0, 0, 0.2]], np.float32)
    room.lamps.append(Lamp(lamp.astype(np.float32), half, np.zeros(3), power))
    gap_x, gap_z, _ = wall_spot(room, side, along, 0.4)
    room.take(gap_x, gap_z, 0.9, 0.9)


def finish(room: Room) -> tuple[Scene, list[Lamp]]:
    """Returns the room ready for rays, with at most four lamps (the strongest)."""
    lamps = sorted(room.lamps, key=lambda lamp: -float(lamp.power.sum()))[:4]
    return Scene(join(room.meshes), room.materials.packed()), lamps


def procedural(room: Room, scale: float) -> Mesh:
    """Returns a small made-up thing: a box, a pile of books, a bottle, a cup or a ball."""
    rng = room.rng
    kind = rng.random()
    material = room.material(0.6, float(rng.choice([0, 0.1, 0.3])))
    if rng.random() < 0.3:
        material = room.materials.add(np.ones(3), room.textures.picture(rng), 0.05)
    if kind < 0.35:
        return box(rng.uniform(0.2, 1.0, 3) * scale, material, scale)
    if kind < 0.6:
        pile, y = [], 0.0
        for _ in range(int(rng.integers(1, 7))):
            size = np.array([rng.uniform(0.5, 0.9), rng.uniform(0.05, 0.2), rng.uniform(0.4, 0.7)])
            book = box(size * scale, room.material(0.5), scale)
            pile.append(book.moved(np.array([0, y, 0]), float(rng.normal(0, 0.2))))
            y += size[1] * scale
        return join(pile)
    height = rng.uniform(0.3, 1.2) * scale
    if kind < 0.85:
        y = np.linspace(0, height, 9)
        r = scale * (0.2 + 0.12 * np.cumsum(rng.normal(0, 0.5, 9)).clip(-1.2, 2))
        return lathe(np.stack([np.r_[0, r, 0], np.r_[0, y, height]], -1), material)
    t = np.linspace(0, np.pi, 12)
    r = 0.4 * scale
    return lathe(np.stack([r * np.sin(t), r - r * np.cos(t)], -1), material)
