"""What stands, lies and hangs in a room."""

from __future__ import annotations

import numpy as np

from training.mono.scenes.catalogue import Piece, place
from training.mono.scenes.geometry import box, quad
from training.mono.scenes.rooms import finish, procedural, Room, shell, Stock, wall_spot
from training.mono.scenes.textures import Textures

KINDS = {
    'living': ('Living room', 'Living room', 'Office', 'Miscellaneous'),
    'bedroom': ('Bedroom', 'Bedroom', 'Living room'),
    'kitchen': ('Kitchen', 'Kitchen', 'Living room'),
    'bathroom': ('Bathroom', 'Bathroom', 'Miscellaneous'),
    'office': ('Office', 'Office', 'Office', 'Miscellaneous', 'Living room'),
    'mixed': ('Living room', 'Bedroom', 'Kitchen', 'Office', 'Miscellaneous', 'Bathroom'),
    'corridor': ('Miscellaneous', 'Living room', 'Office'),
    'hall': ('Office', 'Miscellaneous', 'Living room'),
}
SHARES = {'living': 3, 'bedroom': 2, 'kitchen': 2, 'bathroom': 1, 'office': 5, 'mixed': 3,
          'corridor': 1.5, 'hall': 1}  # fmt: skip


def room_size(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Returns width, height and depth [m] of a room of this kind."""
    h = rng.uniform(2.3, 3.2)
    if kind == 'corridor':
        return np.array([rng.uniform(1.3, 2.6), h, rng.uniform(5, 16)])
    if kind == 'hall':
        return np.array([rng.uniform(7, 14), rng.uniform(2.8, 4.5), rng.uniform(7, 14)])
    if kind == 'bathroom':
        return np.array([rng.uniform(1.7, 3.2), h, rng.uniform(2, 4)])
    return np.array([rng.uniform(2.4, 6.5), h, rng.uniform(2.6, 7)])


def along_wall(room: Room, piece: Piece, tries: int = 8) -> bool:
    """Stands a piece with its back to a wall where there is room."""
    w, h, d = piece.size
    if h + piece.elevation > room.size[1]:
        return False
    for _ in range(tries):
        side = int(room.rng.integers(4))
        length = room.size[0] if side % 2 == 0 else room.size[2]
        if w > length - 0.1:
            continue
        along = float(room.rng.uniform(w / 2, length - w / 2)) / length
        x, z, yaw = wall_spot(room, side, along, d / 2 + float(room.rng.exponential(0.03)) + 0.02)
        size = (w, d) if side % 2 == 0 else (d, w)
        if room.free(x, z, *size):
            if room.stand(piece, x, z, yaw, piece.elevation):
                room.take(x, z, *size)
                return True
            return False
    return False


def in_the_open(room: Room, piece: Piece, tries: int = 8) -> tuple[float, float] | None:
    """Stands a piece anywhere on the floor, turned at random; returns where."""
    reach = float(np.hypot(piece.size[0], piece.size[2]))
    if reach > min(room.size[0], room.size[2]) or piece.size[1] > room.size[1]:
        return None
    for _ in range(tries):
        x = float(room.rng.uniform(reach / 2, room.size[0] - reach / 2))
        z = float(room.rng.uniform(reach / 2, room.size[2] - reach / 2))
        square = room.rng.random() < 0.6
        yaw = float(room.rng.integers(4)) * np.pi / 2 if square else room.rng.uniform(0, 6.28)
        side = max(piece.size[0], piece.size[2]) if square else reach
        if room.free(x, z, side, side, 0.1):
            if room.stand(piece, x, z, yaw):
                room.take(x, z, side, side)
                return x, z
            return None
    return None


def chairs_around(room: Room, x: float, z: float, table: Piece) -> None:
    """Puts one to four chairs around a table, facing it more or less."""
    chair = room.pick(room.stock.chairs)
    for k in room.rng.permutation(4)[: int(room.rng.integers(1, 5))]:
        angle = k * np.pi / 2
        reach = (table.size[2] if k % 2 == 0 else table.size[0]) / 2
        reach += room.rng.uniform(0.0, 0.5)
        px, pz = x + np.sin(angle) * reach, z + np.cos(angle) * reach
        if 0.3 < px < room.size[0] - 0.3 and 0.3 < pz < room.size[2] - 0.3:
            room.stand(chair, px, pz, angle + np.pi + float(room.rng.normal(0, 0.3)))
            room.take(px, pz, 0.5, 0.5)


def on_tops(room: Room, density: float) -> None:
    """Covers tables, desks and shelves with things; ``density`` is their number per square m."""
    rng = room.rng
    for low, high in list(room.tops):
        area = float(np.prod((high - low)[[0, 2]]))
        spots: list[tuple[float, float, float]] = []
        for _ in range(int(min(rng.poisson(density * area), 26))):
            margin = 0.12
            if np.any((high - low)[[0, 2]] < 2.2 * margin):
                continue
            x = float(rng.uniform(low[0] + margin, high[0] - margin))
            z = float(rng.uniform(low[2] + margin, high[2] - margin))
            if rng.random() < 0.6:
                piece = room.pick(room.stock.small)
                radius = float(np.hypot(piece.size[0], piece.size[2])) / 2
                mesh = place(piece, room.materials, room.tint() if rng.random() < 0.4 else None)
            else:
                mesh = procedural(room, float(rng.uniform(0.08, 0.35)))
                span = mesh.bounds()
                radius = float(np.hypot(*(span[1] - span[0])[[0, 2]])) / 2
            if mesh is None or any(
                np.hypot(x - a, z - b) < 0.8 * (radius + r) for a, b, r in spots
            ):
                continue
            spots.append((x, z, radius))
            yaw = float(rng.choice([0, np.pi, np.pi / 2]) + rng.normal(0, 0.4))
            room.add(mesh.moved(np.array([x, low[1] + 0.001, z]), yaw))
        if rng.random() < 0.5:
            paper(room, low, high)


def paper(room: Room, low: np.ndarray, high: np.ndarray) -> None:
    """Strews sheets of paper over a surface."""
    for k in range(int(room.rng.integers(1, 6))):
        at = room.rng.uniform(low + 0.05, np.maximum(high - 0.05, low + 0.06))
        at[1] = low[1] + 0.002 + 0.001 * k
        picture = room.textures.picture(room.rng) if room.rng.random() < 0.4 else None
        sheet = room.materials.add(np.full(3, 0.8), picture)
        mesh = box(np.array([0.21, 0.001, 0.297]), sheet, 0.3)
        room.add(mesh.moved(at, float(room.rng.uniform(0, 6.28))))


def on_walls(room: Room) -> None:
    """Hangs pictures, shelves and whatever the catalogue hangs on a wall."""
    rng = room.rng
    for _ in range(int(rng.poisson(4))):
        side = int(rng.integers(4))
        along, y = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.9, 1.7))
        if rng.random() < 0.6:
            size = rng.uniform(0.2, 1.3, 2)
            x, z, yaw = wall_spot(room, side, along, 0.012)
            a, b = size / 2
            corners = np.array([[-a, -b, 0], [a, -b, 0], [a, b, 0], [-a, b, 0]])
            picture = room.textures.picture(rng) if rng.random() < 0.85 else None
            glow = room.materials.add(np.full(3, 0.9), picture, float(rng.choice([0, 0.2])))
            poster = quad(corners, glow, 1.0)
            poster.uv[...] = poster.uv / np.maximum(size, 1e-3)
            room.add(poster.moved(np.array([x, y, z]), yaw))
            if rng.random() < 0.6:
                frame = box(np.array([size[0] + 0.06, size[1] + 0.06, 0.01]), room.material(0.3))
                room.add(frame.moved(np.array([x, y - b - 0.03, z]), yaw))
        elif rng.random() < 0.5 and room.stock.hung:
            piece = room.pick(room.stock.hung)
            along_wall(room, piece, 3)
        else:
            shelf(room, side, along, y)


def shelf(room: Room, side: int, along: float, y: float) -> None:
    """Hangs one to four boards with things on them."""
    rng = room.rng
    wide, deep = float(rng.uniform(0.5, 1.6)), float(rng.uniform(0.15, 0.35))
    x, z, yaw = wall_spot(room, side, along, deep / 2)
    wood = room.material(0.7)
    for k in range(int(rng.integers(1, 5))):
        height = y + 0.33 * k - 0.3
        room.add(box(np.array([wide, 0.025, deep]), wood).moved(np.array([x, height, z]), yaw))
        for t in np.arange(-wide / 2 + 0.08, wide / 2 - 0.08, float(rng.uniform(0.05, 0.2))):
            if rng.random() < 0.3:
                continue
            size = np.array([rng.uniform(0.02, 0.12), rng.uniform(0.12, 0.28), deep * 0.7])
            px = x + np.cos(yaw) * t
            pz = z - np.sin(yaw) * t
            book = box(size, room.material(0.5), 0.3)
            room.add(book.moved(np.array([px, height + 0.025, pz]), yaw))


def clutter(room: Room) -> None:
    """Leaves boxes, bags and small things on the floor, a rug, and sometimes somebody."""
    rng = room.rng
    for _ in range(int(rng.poisson(3))):
        x, z = rng.uniform(0.3, room.size[0] - 0.3), rng.uniform(0.3, room.size[2] - 0.3)
        if room.free(x, z, 0.4, 0.4):
            room.add(procedural(room, float(rng.uniform(0.15, 0.7))).moved(
                np.array([x, 0, z]), float(rng.uniform(0, 6.28))))  # fmt: skip
            room.take(x, z, 0.4, 0.4)
    if rng.random() < 0.4:
        size = np.array([rng.uniform(0.8, 2.5), 0.008, rng.uniform(0.8, 2.5)])
        at = np.array([rng.uniform(0.2, 0.8) * room.size[0], 0.001,
                       rng.uniform(0.2, 0.8) * room.size[2]])  # fmt: skip
        size = np.minimum(size, 2 * np.minimum(at, room.size - at) + 0.01)
        size[1] = 0.008
        room.add(box(size, room.material(0.9), float(size[0])).moved(at))
    if rng.random() < 0.12 and room.stock.people:
        in_the_open(room, room.pick(room.stock.people))


def furnished(seed: int, stock: Stock, textures: Textures):  # noqa: ANN201
    """Builds the room of a seed.

    Returns:
        Its kind, the ``Room``, the ``Scene`` and the lamps.
    """
    rng = np.random.default_rng(seed)
    names = list(SHARES)
    share = np.array([SHARES[n] for n in names], float)
    kind = str(rng.choice(names, p=share / share.sum()))
    room = Room(room_size(kind, rng), rng, stock, textures)
    shell(room)
    area = room.size[0] * room.size[2]
    fill = float(rng.uniform(0.4, 1.6))
    for _ in range(int(np.clip(area * fill, 3, 30))):
        pieces = stock.by_room[str(rng.choice(KINDS[kind]))]
        piece = room.pick(pieces)
        if rng.random() < 0.8:
            along_wall(room, piece)
        else:
            in_the_open(room, piece)
    for _ in range(int(rng.integers(0, 3)) + (kind == 'office')):
        table = room.pick(stock.tables)
        if rng.random() < 0.5:
            along_wall(room, table)
            continue
        spot = in_the_open(room, table)
        if spot:
            chairs_around(room, *spot, table)
    for _ in range(int(rng.integers(0, 3))):
        in_the_open(room, room.pick(stock.chairs + stock.lamps))
    on_walls(room)
    clutter(room)
    on_tops(room, float(rng.choice([3, 8, 16, 30])))
    scene, lamps = finish(room)
    return kind, room, scene, lamps
