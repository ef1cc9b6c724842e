"""The fused CUDA kernels: one before the network, one after it.

`prepare` makes the input tensor of 8-bit pixels: colour order, resize as OpenCV does it, padding,
normalisation, layout and type in one pass. `publish` makes depth, sigma and the packed cloud of
the network's map: decoding, restoring the grid, scale, sigma, masks, range, and back-projection.
The filter of flying pixels looks at neighbours, which must be done by then: with it, `calm` and
`finish` follow, and make the cloud.

Their twins in numpy are in `kernel_twins`. The source is C++ that a host compiler takes, too: so
the arithmetic is tested where there is no GPU.
"""

SOURCE = r"""
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define KERNEL extern "C" __global__ void
#define INLINE static __device__ __forceinline__
#define PIXEL(x, y) const int x = blockIdx.x * blockDim.x + threadIdx.x, \
                              y = blockIdx.y * blockDim.y + threadIdx.y
#ifndef INFINITY  // NVRTC knows no headers
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
INLINE unsigned short half_of(float v) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
  return bits;
}
#else
#include <math.h>
#include <string.h>
#define KERNEL static void
#define INLINE static inline
#define PIXEL(x, y) const int x = host_x, y = host_y
static int host_x, host_y;
INLINE unsigned short half_of(float v) {
  const _Float16 half = (_Float16)v;
  unsigned short bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
#endif

typedef unsigned char byte;
enum { LINEAR, CUBIC, AREA, ENLARGE };  // ENLARGE: what OpenCV does for `area` upwards
enum { CONSTANT, REPLICATE, REFLECT };
enum { FLOAT, HALF, BYTE };
enum { INVERSE, DEPTH, LOG };

struct Prepare {
  int width, height, channels;        // of the image
  int scaled_width, scaled_height;    // of the image on the grid of the network
  int target_width, target_height;    // of the network, padding included
  int left, top, pad_mode;
  int interpolation, swap, planes;    // swap: take the channels in reverse; planes: 1 makes grey
  int channel_step, pixel_step;       // of the tensor, in numbers
  int type;
  float pad[4], gain[4], offset[4];
};

struct Taps { int first, count; float centre, from, to; };

// The pixels of the image that one pixel of the scaled image is made of, along one axis.
INLINE Taps taps_of(int kind, int index, int size, int scaled) {
  const float scale = (float)size / (float)scaled;
  Taps t;
  t.from = index * scale;
  t.to = fminf(t.from + scale, (float)size);
  t.centre = (index + 0.5f) * scale - 0.5f;
  if (kind == AREA) {
    t.first = (int)floorf(t.from);
    t.count = (int)ceilf(t.to) - t.first;
  } else if (kind == ENLARGE) {
    t.first = (int)floorf(t.from);
    const float share = (index + 1) - (t.first + 1) / scale;
    t.centre = t.first + (share <= 0.0f ? 0.0f : share - floorf(share));
    t.count = 2;
  } else {
    t.first = (int)floorf(t.centre) - (kind == CUBIC ? 1 : 0);
    t.count = kind == CUBIC ? 4 : 2;
  }
  return t;
}

INLINE float weight_of(int kind, const Taps &t, int tap) {
  const int index = t.first + tap;
  if (kind == AREA) return fminf(index + 1.0f, t.to) - fmaxf((float)index, t.from);
  const float d = fabsf(t.centre - index), a = -0.75f;
  if (kind != CUBIC) return 1.0f - d;
  return d <= 1.0f ? ((a + 2.0f) * d - (a + 3.0f)) * d * d + 1.0f
                   : (((d - 5.0f) * d + 8.0f) * d - 4.0f) * a;
}

INLINE int inside(int index, int size) { return index < 0 ? 0 : index < size ? index : size - 1; }

INLINE int reflected(int index, int size) {
  if (size == 1) return 0;
  const int period = 2 * size - 2;
  index = (index % period + period) % period;
  return index < size ? index : period - index;
}

KERNEL prepare(const byte *image, void *tensor, const Prepare p) {
  PIXEL(x, y);
  if (x >= p.target_width || y >= p.target_height) return;
  int u = x - p.left, v = y - p.top;
  const bool outside = u < 0 || v < 0 || u >= p.scaled_width || v >= p.scaled_height;
  if (outside && p.pad_mode == REPLICATE) {
    u = inside(u, p.scaled_width);
    v = inside(v, p.scaled_height);
  } else if (outside && p.pad_mode == REFLECT) {
    u = reflected(u, p.scaled_width);
    v = reflected(v, p.scaled_height);
  }
  float sum[3] = {0.0f, 0.0f, 0.0f};
  if (outside && p.pad_mode == CONSTANT) {
    for (int c = 0; c < p.planes; c++) sum[c] = p.pad[c];
  } else {
    const Taps across = taps_of(p.interpolation, u, p.width, p.scaled_width);
    const Taps down = taps_of(p.interpolation, v, p.height, p.scaled_height);
    float total = 0.0f;
    for (int j = 0; j < down.count; j++) {
      const float wy = weight_of(p.interpolation, down, j);
      const byte *row = image + (size_t)inside(down.first + j, p.height) * p.width * p.channels;
      for (int i = 0; i < across.count; i++) {
        const float w = wy * weight_of(p.interpolation, across, i);
        const byte *pixel = row + inside(across.first + i, p.width) * p.channels;
        total += w;
        if (p.channels == 1) {
          sum[0] += w * pixel[0];
        } else if (p.planes == 1) {  // grey as OpenCV makes it, rounded like there
          const float red = pixel[p.swap ? 2 : 0], blue = pixel[p.swap ? 0 : 2];
          sum[0] += w * floorf(0.299f * red + 0.587f * pixel[1] + 0.114f * blue + 0.5f);
        } else {
          for (int c = 0; c < 3; c++) sum[c] += w * pixel[p.swap ? 2 - c : c];
        }
      }
    }
    for (int c = 0; c < 3; c++) sum[c] = fminf(fmaxf(rintf(sum[c] / total), 0.0f), 255.0f);
    if (p.channels == 1) sum[1] = sum[2] = sum[0];
  }
  const size_t place = (size_t)(y * p.target_width + x) * p.pixel_step;
  for (int c = 0; c < p.planes; c++) {
    const float value = sum[c] * p.gain[c] + p.offset[c];
    const size_t at = place + (size_t)c * p.channel_step;
    if (p.type == HALF) ((unsigned short *)tensor)[at] = half_of(value);
    else if (p.type == BYTE) ((byte *)tensor)[at] = (byte)sum[c];
    else ((float *)tensor)[at] = value;
  }
}

struct Publish {
  int width, height;                  // of the published depth
  int map_width, map_height;          // of what the network says
  int scaled_width, scaled_height, left, top;
  int kind, channels, swap;           // channels of the colours: 0 none, 1 or 3
  int absolute;                       // the score is sigma of rho [1/m], not a share of it
  float gain, bias;                   // of the network's number, before it is decoded
  float s, t, ss, st, tt;             // rho = s o + t, and the covariance of (s, t)
  float relative, floor;              // sigma: share of rho, and [1/m]
  float rho_near, rho_far, most_sigma;
  float fx, fy, cx, cy;
};

INLINE float decoded(int kind, float value) {
  if (kind == DEPTH) return value > 0.0f ? 1.0f / fmaxf(value, 1e-6f) : NAN;
  return kind == LOG ? expf(-value) : value;
}

struct View { float fx, fy, cx, cy; int channels, swap; };

// One point of the cloud; what is not known has no place, but keeps its colour.
INLINE void pack(unsigned *cloud, const byte *colours, size_t at, int x, int y, float z,
                 float metres, const View &v) {
  const float point = isfinite(z) ? z : NAN;
  float *numbers = (float *)(cloud + at * 5);
  numbers[0] = point * ((x - v.cx) / v.fx);
  numbers[1] = point * ((y - v.cy) / v.fy);
  numbers[2] = point;
  numbers[4] = metres;
  unsigned colour = 0;
  if (v.channels == 1) {
    colour = 0x010101u * colours[at];
  } else if (v.channels == 3) {
    const byte *pixel = colours + at * 3;
    colour = (unsigned)pixel[v.swap ? 2 : 0] << 16 | (unsigned)pixel[1] << 8 |
             (unsigned)pixel[v.swap ? 0 : 2];
  }
  cloud[at * 5 + 3] = colour;
}

// A number of a map, restored to the grid of the image; rho is what is interpolated.
INLINE float restored(const float *map, const Publish &p, int x, int y, bool decode) {
  const bool same = p.scaled_width == p.width && p.scaled_height == p.height;
  const float cx = same ? x : (x + 0.5f) * p.scaled_width / p.width - 0.5f;
  const float cy = same ? y : (y + 0.5f) * p.scaled_height / p.height - 0.5f;
  const int u = (int)floorf(cx), v = (int)floorf(cy);
  float sum = 0.0f;
  for (int j = 0; j < (same ? 1 : 2); j++) {
    for (int i = 0; i < (same ? 1 : 2); i++) {
      const int column = p.left + inside(u + i, p.scaled_width);
      const int row = p.top + inside(v + j, p.scaled_height);
      const float value = map[(size_t)row * p.map_width + column];
      const float part = decode ? decoded(p.kind, p.gain * value + p.bias) : value;
      const float wx = i ? cx - u : 1.0f - (cx - u), wy = j ? cy - v : 1.0f - (cy - v);
      sum += wx * wy * part;
    }
  }
  return sum;
}

// map: what the network says; score: relative sigma of each of its numbers, or null;
// far: sky on the grid of the image, or null; colours, depth, sigma, cloud: null if not wanted.
KERNEL publish(const float *map, const float *score, const byte *far, const byte *colours,
               float *depth, float *sigma, unsigned *cloud, const Publish p) {
  PIXEL(x, y);
  if (x >= p.width || y >= p.height) return;
  const size_t at = (size_t)y * p.width + x;
  const float o = restored(map, p, x, y, true);
  const float rho = p.s * o + p.t;
  const float told = score ? restored(score, p, x, y, false) : p.relative;
  float deviation = told;
  if (!p.absolute) {
    const float own = told * rho;
    deviation =
        sqrtf(own * own + p.floor * p.floor + fmaxf(p.ss * o * o + 2.0f * p.st * o + p.tt, 0.0f));
  }
  float z = 1.0f / rho;
  if (rho < p.rho_far) z = INFINITY;
  else if (rho > p.rho_near) z = -INFINITY;
  if (!(deviation > 0.0f && deviation <= p.most_sigma * fmaxf(rho, p.rho_far))) z = NAN;
  if (far && far[at]) z = INFINITY;
  const bool known = isfinite(z);
  const float share = z * deviation, bound = fminf(share, 0.5f);
  const float metres = known ? z * share / (1.0f - bound * bound) : NAN;
  if (depth) depth[at] = z;
  if (sigma) sigma[at] = metres;
  const View view = {p.fx, p.fy, p.cx, p.cy, p.channels, p.swap};
  if (cloud) pack(cloud, colours, at, x, y, z, metres, view);
}

struct Finish {
  int width, height, channels, swap;
  float jump, grazing_x, grazing_y, sigmas;  // grazing: focal length times tangent of the angle
  float fx, fy, cx, cy;
};

enum { CELL = 4 };  // side of the cells over which the noise of a surface is taken [px]

// The least relative sigma of every cell; NaN where nothing is known.
KERNEL calm(const float *depth, const float *sigma, float *cells, const Finish p) {
  PIXEL(x, y);
  const int across = (p.width + CELL - 1) / CELL, down = (p.height + CELL - 1) / CELL;
  if (x >= across || y >= down) return;
  float least = NAN;
  for (int v = CELL * y; v < CELL * (y + 1) && v < p.height; v++)
    for (int u = CELL * x; u < CELL * (x + 1) && u < p.width; u++) {
      const size_t at = (size_t)v * p.width + u;
      least = fminf(least, sigma[at] / depth[at]);  // takes the number where one is NaN
    }
  cells[y * across + x] = least;
}

INLINE bool on_slope(float before, float after, float limit) {
  return (before > limit && after > limit) || (before < -limit && after < -limit);
}

// Takes away what hangs between two surfaces; see core.filters.flying_pixel_mask.
KERNEL finish(const float *depth, const float *sigma, const float *cells, const byte *colours,
              float *kept_depth, float *kept_sigma, unsigned *cloud, const Finish p) {
  PIXEL(x, y);
  if (x >= p.width || y >= p.height) return;
  const size_t at = (size_t)y * p.width + x;
  float z = depth[at], metres = sigma[at];
  if (isfinite(z)) {
    float noise = NAN;
    const int across = (p.width + CELL - 1) / CELL, down = (p.height + CELL - 1) / CELL;
    for (int j = -1; cells && j < 2; j++)
      for (int i = -1; i < 2; i++) {
        const int u = x / CELL + i, v = y / CELL + j;
        if (u < 0 || v < 0 || u >= across || v >= down) continue;
        noise = fminf(noise, cells[v * across + u]);
      }
    noise *= p.sigmas;
    const float rx = (x - p.cx) / p.fx, ry = (y - p.cy) / p.fy;
    const float column = fmaxf(fminf(1.0f / (p.grazing_x * (1.0f + rx * rx)), p.jump), noise);
    const float row = fmaxf(fminf(1.0f / (p.grazing_y * (1.0f + ry * ry)), p.jump), noise);
    const int w = p.width;
    if ((x > 0 && x < w - 1 && on_slope(z - depth[at - 1], depth[at + 1] - z, z * column)) ||
        (y > 0 && y < p.height - 1 && on_slope(z - depth[at - w], depth[at + w] - z, z * row)))
      z = metres = NAN;
  }
  kept_depth[at] = z;
  kept_sigma[at] = metres;
  const View view = {p.fx, p.fy, p.cx, p.cy, p.channels, p.swap};
  if (cloud) pack(cloud, colours, at, x, y, z, metres, view);
}
"""
