"""Colours of what the rasteriser found visible: textures, lights, shadows, reflections, glass."""

# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0913, PLR0915, PLR0917
# Kernels: numba infers their types, and calls within a pixel's loop cost more than they clarify.

from __future__ import annotations

from numba import njit
import numpy as np

# Columns of the material table.
TEXTURE, RED, GREEN, BLUE, FLATTEN, GLOSS, SHININESS, MIRROR, OPACITY, REFLECTED, EMISSION = range(
    11
)
MATERIAL_COLUMNS = 13
GLASS = 11  # 1 where the material is drawn over what is behind it
CASTS = 12  # 1 where it casts shadows

# Rows of the light table.
SUN, SUN_COLOUR, ABOVE, BELOW, LAMP, LAMP_COLOUR, UP, SKY_LOW, SKY_HIGH, HAZE = range(10)
LIGHT_ROWS = 11
MISC = 10  # (texture of the sky or -1, 1 / haze length, shadow bias)


@njit(nogil=True, cache=True, fastmath=True)
def _fetch(pool, base, texture, u, v, level):
    """Bilinear look-up in one level of the pyramid of a texture that repeats; sRGB / 255."""
    size = base >> level
    start = 4 * (base * base - size * size)  # the larger levels come first
    x = u * size - 0.5
    y = v * size - 0.5
    fx, fy = np.floor(x), np.floor(y)
    ax, ay = np.float32(x - fx), np.float32(y - fy)
    mask = size - 1
    x0, y0 = int(fx) & mask, int(fy) & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    p00, p01 = start + (y0 * size + x0) * 3, start + (y0 * size + x1) * 3
    p10, p11 = start + (y1 * size + x0) * 3, start + (y1 * size + x1) * 3
    one = np.float32(1.0)
    w00, w01, w10, w11 = (one - ax) * (one - ay), ax * (one - ay), (one - ax) * ay, ax * ay
    k = np.float32(1.0 / 255.0)
    r = w00 * pool[texture, p00] + w01 * pool[texture, p01]
    g = w00 * pool[texture, p00 + 1] + w01 * pool[texture, p01 + 1]
    b = w00 * pool[texture, p00 + 2] + w01 * pool[texture, p01 + 2]
    r += w10 * pool[texture, p10] + w11 * pool[texture, p11]
    g += w10 * pool[texture, p10 + 1] + w11 * pool[texture, p11 + 1]
    b += w10 * pool[texture, p10 + 2] + w11 * pool[texture, p11 + 2]
    return r * k, g * k, b * k


@njit(nogil=True, cache=True, fastmath=True)
def _sample(pool, base, texture, u, v, footprint):
    """Trilinear look-up; footprint is the size of a pixel in units of the whole texture."""
    top = 0
    while (base >> top) > 4:
        top += 1
    level = np.log2(max(footprint * base, 1e-6))
    if level <= 0.0:
        return _fetch(pool, base, texture, u, v, 0)
    if level >= top:
        return _fetch(pool, base, texture, u, v, top)
    low = int(level)
    a = np.float32(level - low)
    r0, g0, b0 = _fetch(pool, base, texture, u, v, low)
    r1, g1, b1 = _fetch(pool, base, texture, u, v, low + 1)
    return r0 + a * (r1 - r0), g0 + a * (g1 - g0), b0 + a * (b1 - b0)


@njit(nogil=True, cache=True, fastmath=True)
def _sky(pool, base, lights, x, y, z, blur):
    """Linear colour of the surroundings in a direction of unit length."""
    up = -(lights[UP, 0] * x + lights[UP, 1] * y + lights[UP, 2] * z)
    a = min(max(0.5 - up * 0.9, 0.0), 1.0)
    r = lights[SKY_LOW, 0] + a * (lights[SKY_HIGH, 0] - lights[SKY_LOW, 0])
    g = lights[SKY_LOW, 1] + a * (lights[SKY_HIGH, 1] - lights[SKY_LOW, 1])
    b = lights[SKY_LOW, 2] + a * (lights[SKY_HIGH, 2] - lights[SKY_LOW, 2])
    texture = int(lights[MISC, 0])
    if texture >= 0:
        u = np.arctan2(x, z) * 0.5
        v = np.arcsin(min(max(-up, -1.0), 1.0)) * 0.5 + 0.25
        tr, tg, tb = _sample(pool, base, texture, u, v, blur)
        r, g, b = (
            r * (0.25 + 1.5 * tr * tr),
            g * (0.25 + 1.5 * tg * tg),
            b * (0.25 + 1.5 * tb * tb),
        )
    return r, g, b


@njit(nogil=True, cache=True, fastmath=True)
def _lit(shadow, to_shadow, bias, px, py, pz):
    """Share of the sun's light at a point: 1 in the open, 0 in shadow, between at the edges."""
    height, width = shadow.shape
    if height < 2:
        return 1.0
    c = to_shadow[0, 0] * px + to_shadow[0, 1] * py + to_shadow[0, 2] * pz + to_shadow[0, 3]
    r = to_shadow[1, 0] * px + to_shadow[1, 1] * py + to_shadow[1, 2] * pz + to_shadow[1, 3]
    d = to_shadow[2, 0] * px + to_shadow[2, 1] * py + to_shadow[2, 2] * pz + to_shadow[2, 3] - bias
    if not (c >= 0.0 and r >= 0.0 and c < width - 1.0 and r < height - 1.0):
        return 1.0
    i, j = int(r), int(c)
    a, b = r - i, c - j
    v00 = 1.0 if shadow[i, j] >= d else 0.0
    v01 = 1.0 if shadow[i, j + 1] >= d else 0.0
    v10 = 1.0 if shadow[i + 1, j] >= d else 0.0
    v11 = 1.0 if shadow[i + 1, j + 1] >= d else 0.0
    return (1 - a) * ((1 - b) * v00 + b * v01) + a * ((1 - b) * v10 + b * v11)


@njit(nogil=True, cache=True, fastmath=True)
def _surface(
    normals,
    uvs,
    triangles,
    owner,
    materials,
    lights,
    shadow,
    to_shadow,
    pool,
    base,
    inverses,
    t,
    x,
    y,
    step,
    offset,
):
    """Linear colour and opacity of triangle t along the ray (x, y, 1)."""
    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    m00, m01, m02 = inverses[t, 0, 0], inverses[t, 0, 1], inverses[t, 0, 2]
    m10, m11, m12 = inverses[t, 1, 0], inverses[t, 1, 1], inverses[t, 1, 2]
    m20, m21, m22 = inverses[t, 2, 0], inverses[t, 2, 1], inverses[t, 2, 2]
    w0 = m00 * x + m01 * y + m02
    w1 = m10 * x + m11 * y + m12
    w2 = m20 * x + m21 * y + m22
    s = max(w0 + w1 + w2, 1e-9)
    q = 1.0 / s
    u = (uvs[i, 0] * w0 + uvs[j, 0] * w1 + uvs[k, 0] * w2) * q
    v = (uvs[i, 1] * w0 + uvs[j, 1] * w1 + uvs[k, 1] * w2) * q
    sx, sy = m00 + m10 + m20, m01 + m11 + m21
    ux = (uvs[i, 0] * m00 + uvs[j, 0] * m10 + uvs[k, 0] * m20 - u * sx) * q
    uy = (uvs[i, 0] * m01 + uvs[j, 0] * m11 + uvs[k, 0] * m21 - u * sy) * q
    vx = (uvs[i, 1] * m00 + uvs[j, 1] * m10 + uvs[k, 1] * m20 - v * sx) * q
    vy = (uvs[i, 1] * m01 + uvs[j, 1] * m11 + uvs[k, 1] * m21 - v * sy) * q
    longest = max(ux * ux + vx * vx, uy * uy + vy * vy)
    area = abs(ux * vy - uy * vx)
    footprint = np.sqrt(max(0.6 * np.sqrt(longest * area) + 0.4 * area, 0.08 * longest)) * step
    o = owner[t]
    r, g, b = _sample(pool, base, int(materials[o, TEXTURE]), u, v, footprint)
    flat = np.float32(materials[o, FLATTEN])
    r, g, b = r + flat * (0.5 - r), g + flat * (0.5 - g), b + flat * (0.5 - b)
    r, g, b = r * r * materials[o, RED], g * g * materials[o, GREEN], b * b * materials[o, BLUE]
    nx = normals[i, 0] * w0 + normals[j, 0] * w1 + normals[k, 0] * w2
    ny = normals[i, 1] * w0 + normals[j, 1] * w1 + normals[k, 1] * w2
    nz = normals[i, 2] * w0 + normals[j, 2] * w1 + normals[k, 2] * w2
    n = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-20)
    if nx * x + ny * y + nz > 0.0:
        n = -n  # a surface has two sides
    nx, ny, nz = nx * n, ny * n, nz * n
    px, py, pz = x * q + offset, y * q, q
    e = 1.0 / np.sqrt(x * x + y * y + 1.0)
    ex, ey, ez = x * e, y * e, e
    sun = -(nx * lights[SUN, 0] + ny * lights[SUN, 1] + nz * lights[SUN, 2])
    if sun > 0.0:
        sun *= _lit(shadow, to_shadow, lights[MISC, 2] * (1.0 + 3.0 * (1.0 - sun)), px, py, pz)
    sun = max(sun, 0.0)
    lx, ly, lz = lights[LAMP, 0] - px, lights[LAMP, 1] - py, lights[LAMP, 2] - pz
    far = lx * lx + ly * ly + lz * lz + 1e-6
    f = 1.0 / np.sqrt(far)
    lx, ly, lz = lx * f, ly * f, lz * f
    lamp = max(nx * lx + ny * ly + nz * lz, 0.0) / (1.0 + far)
    up = 0.5 + 0.5 * (nx * lights[UP, 0] + ny * lights[UP, 1] + nz * lights[UP, 2])
    lr = lights[BELOW, 0] + up * (lights[ABOVE, 0] - lights[BELOW, 0])
    lg = lights[BELOW, 1] + up * (lights[ABOVE, 1] - lights[BELOW, 1])
    lb = lights[BELOW, 2] + up * (lights[ABOVE, 2] - lights[BELOW, 2])
    lr += sun * lights[SUN_COLOUR, 0] + lamp * lights[LAMP_COLOUR, 0] + materials[o, EMISSION]
    lg += sun * lights[SUN_COLOUR, 1] + lamp * lights[LAMP_COLOUR, 1] + materials[o, EMISSION]
    lb += sun * lights[SUN_COLOUR, 2] + lamp * lights[LAMP_COLOUR, 2] + materials[o, EMISSION]
    r, g, b = r * lr, g * lg, b * lb
    opacity = materials[o, OPACITY]
    if materials[o, MIRROR] > 0.0 or materials[o, GLOSS] > 0.0:
        c = nx * ex + ny * ey + nz * ez
        rx, ry, rz = ex - 2 * c * nx, ey - 2 * c * ny, ez - 2 * c * nz
        if materials[o, GLOSS] > 0.0:
            h = -(rx * lights[SUN, 0] + ry * lights[SUN, 1] + rz * lights[SUN, 2])
            if h > 0.0 and sun > 0.0:
                h = materials[o, GLOSS] * h ** materials[o, SHININESS]
                r += h * lights[SUN_COLOUR, 0]
                g += h * lights[SUN_COLOUR, 1]
                b += h * lights[SUN_COLOUR, 2]
                opacity = max(opacity, min(h, 1.0))
            h = rx * lx + ry * ly + rz * lz
            if h > 0.0:
                h = materials[o, GLOSS] * h ** materials[o, SHININESS] / (0.3 + 0.3 * far)
                r += h * lights[LAMP_COLOUR, 0]
                g += h * lights[LAMP_COLOUR, 1]
                b += h * lights[LAMP_COLOUR, 2]
                opacity = max(opacity, min(h, 1.0))
        if materials[o, MIRROR] > 0.0:
            fresnel = materials[o, MIRROR] + (1.0 - materials[o, MIRROR]) * (1.0 + c) ** 5
            mr, mg, mb = _sample(
                pool,
                base,
                int(materials[o, REFLECTED]),
                np.arctan2(rx, rz) * 0.5,
                ry * 0.5,
                2.0 / base,
            )
            bright = lights[ABOVE, 0] + lights[ABOVE, 1] + lights[ABOVE, 2] + 0.3
            r = r * (1 - fresnel) + fresnel * mr * mr * bright
            g = g * (1 - fresnel) + fresnel * mg * mg * bright
            b = b * (1 - fresnel) + fresnel * mb * mb * bright
            opacity = max(opacity, fresnel)
    haze = lights[MISC, 1] * q
    if haze > 0.0:
        a = np.exp(-haze)
        r = a * r + (1 - a) * lights[HAZE, 0]
        g = a * g + (1 - a) * lights[HAZE, 1]
        b = a * b + (1 - a) * lights[HAZE, 2]
    return r, g, b, opacity


@njit(nogil=True, cache=True, fastmath=True)
def shade(scene, pool, base, inverses, camera, buffers, out):
    """Fill out (h, w, 3) float32 with linear colours; a pixel is a tent over nine samples.

    Samples of one object at nearly one depth are shaded once (multisample antialiasing).
    buffers are (inverse_z, index, glass_inverse_z, glass_index), each (2 h + 1, 2 w + 1).
    """
    height, width = out.shape[:2]
    inverse_z, index, glass_z, glass = buffers
    normals, uvs, triangles, owner, materials, lights, shadow, to_shadow = scene
    focal, cx, cy, offset = camera[0], camera[1], camera[2], camera[3]
    step = 1.0 / focal
    order = np.array([4, 1, 3, 5, 7, 0, 2, 6, 8])
    weights = np.array([1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]) / 16.0
    done = np.zeros(9, dtype=np.bool_)
    for row in range(height):
        for column in range(width):
            t, g = index[2 * row + 1, 2 * column + 1], glass[2 * row + 1, 2 * column + 1]
            alike = True
            for a in range(9):
                i, j = 2 * row + a // 3, 2 * column + a % 3
                alike &= index[i, j] == t and glass[i, j] == g
            done[:] = alike
            done[4] = False
            for a in range(9):
                n = order[a]
                if done[n]:
                    continue
                i, j = 2 * row + n // 3, 2 * column + n % 3
                t, g, s, gs = index[i, j], glass[i, j], inverse_z[i, j], glass_z[i, j]
                weight = 1.0 if alike else weights[n]
                for c in range(9 if alike else a + 1, 9):
                    o = order[c]
                    if done[o]:
                        continue
                    k, m = 2 * row + o // 3, 2 * column + o % 3
                    t2, g2 = index[k, m], glass[k, m]
                    if t2 != t and (t < 0 or t2 < 0 or owner[t] != owner[t2]):
                        continue
                    if abs(inverse_z[k, m] - s) > 0.05 * s:
                        continue
                    if g2 != g and (g < 0 or g2 < 0 or owner[g] != owner[g2]):
                        continue
                    done[o] = True
                    weight += weights[o]
                x = (0.5 * (j - 1) - cx) / focal
                y = (0.5 * (i - 1) - cy) / focal
                if t >= 0:
                    r, gr, b, _ = _surface(
                        normals, uvs, triangles, owner, materials, lights, shadow, to_shadow,
                        pool, base, inverses, t, x, y, step, offset,
                    )  # fmt: skip
                else:
                    e = 1.0 / np.sqrt(x * x + y * y + 1.0)
                    r, gr, b = _sky(pool, base, lights, x * e, y * e, e, 0.2 * step)
                if g >= 0 and gs > s:
                    r2, g2c, b2, o2 = _surface(
                        normals, uvs, triangles, owner, materials, lights, shadow, to_shadow,
                        pool, base, inverses, g, x, y, step, offset,
                    )  # fmt: skip
                    r, gr, b = r + o2 * (r2 - r), gr + o2 * (g2c - gr), b + o2 * (b2 - b)
                out[row, column, 0] += weight * r
                out[row, column, 1] += weight * gr
                out[row, column, 2] += weight * b
