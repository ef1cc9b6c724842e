// The points in three dimensions. The shader makes them from the depth image itself.
// Coordinates are those of the optical frame: x right, y down, z ahead.

const POINTS = `#version 300 es
precision highp float;
uniform highp sampler2D depth, sigma;
uniform sampler2D picture, palette;
uniform ivec2 grid;
uniform vec4 lens;      // fx, fy, cx, cy of the grid
uniform mat4 world;     // to clip space
uniform vec4 scale;     // first value, gain, 1 if even in 1 / value, 1 if of sigma / z
uniform float gate;     // greatest sigma / z; 0: any
uniform float focal;    // of the view [px]
uniform int mode;       // 0 image, 1 depth, 2 sigma, 3 plain
uniform int stride;
uniform bool bars;
out vec4 colour;
void main() {
  int index = bars ? gl_VertexID / 2 : gl_VertexID;
  int columns = grid.x / stride;
  ivec2 cell = ivec2(index % columns, index / columns) * stride;
  float z = texelFetch(depth, cell, 0).r;
  float s = texelFetch(sigma, cell, 0).r;
  bool known = z > 0.0 && z < 1.0e4;
  bool sure = gate <= 0.0 || (s >= 0.0 && s <= gate * z);
  bool drawn = !bars || (s > 0.0 && s < 1.0e4);
  if (!known || !sure || !drawn) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 1.0;
    return;
  }
  float value = mode == 1 ? z : (scale.w > 0.5 ? s / z : s);
  float place = scale.z > 0.5 ? scale.y * (scale.x - 1.0 / value) : scale.y * (value - scale.x);
  if (bars) z += (gl_VertexID % 2 == 0 ? -1.0 : 1.0) * s;
  vec2 ray = (vec2(cell) - lens.zw) / lens.xy;
  gl_Position = world * vec4(ray * z, z, 1.0);
  gl_PointSize = clamp(1.3 * float(stride) * z / lens.x * focal / gl_Position.w, 1.0, 24.0);
  colour = vec4(0.8, 0.84, 0.9, 1.0);
  if (mode == 0) colour = texture(picture, (vec2(cell) + 0.5) / vec2(grid));
  if (mode == 1 || mode == 2) {
    bool odd = !(value >= 0.0);
    colour = odd ? vec4(0.35, 0.38, 0.42, 1.0) : texture(palette, vec2(clamp(place, 0.002, 0.998), 0.5));
  }
  if (bars) colour = vec4(mix(colour.rgb, vec3(1.0), 0.35), 1.0);
}`;
const LINES = `#version 300 es
in vec3 point;
uniform mat4 world;
void main() { gl_Position = world * vec4(point, 1.0); gl_PointSize = 9.0; }`;
const COLOUR = `#version 300 es
precision mediump float;
in vec4 colour;
out vec4 pixel;
void main() { pixel = vec4(colour.rgb, 1.0); }`;
const PLAIN = `#version 300 es
precision mediump float;
uniform vec4 ink;
out vec4 pixel;
void main() { pixel = ink; }`;

export class PointView {
  constructor(section) {
    this.canvas = section.querySelector('canvas');
    this.lack = section.querySelector('.lack');
    this.colour = 'image';
    this.gate = 0;
    this.bars = false;
    this.stride = 1;
    this.smooth = 0;
    this.all = false; // whatever that takes
    this.gl = this.canvas.getContext('webgl2', { antialias: true });
    if (!this.gl) {
      this.say('The points need WebGL 2, which this browser does not give.');
      return;
    }
    this.points = program(this.gl, POINTS, COLOUR);
    this.lines = program(this.gl, LINES, PLAIN);
    this.textures = Object.fromEntries(
      ['depth', 'sigma', 'picture', 'palette'].map((name, unit) => [name, texture(this.gl, unit)]),
    );
    this.buffer = this.gl.createBuffer();
    this.listen();
    this.reset();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  say(text) {
    this.lack.textContent = text;
    this.lack.hidden = !text;
  }

  // Takes over a frame: textures, intrinsics and the scales of the two pictures.
  show(frame, scales, relative) {
    if (!this.gl) return;
    this.say(frame.camera ? '' : 'The points need a camera_info beside the depth image.');
    const gl = this.gl;
    const first = !this.frame;
    this.frame = frame;
    this.scales = scales;
    this.relative = relative;
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    half(gl, 0, this.textures.depth, frame.grid, frame.halves.depth);
    half(gl, 1, this.textures.sigma, frame.halves.sigma ? frame.grid : [1, 1], frame.halves.sigma ?? new Uint16Array([0x7e00]));
    if (frame.image) {
      gl.activeTexture(gl.TEXTURE2);
      gl.bindTexture(gl.TEXTURE_2D, this.textures.picture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, frame.image);
    }
    if (first) this.reset();
    this.draw();
  }

  reset() {
    const middle = this.frame?.figures?.median_depth_m ?? 3;
    Object.assign(this, { yaw: 0.3, pitch: -0.22, distance: 0.82 * middle, pivot: [0, 0, middle] });
    this.draw();
  }

  listen() {
    const held = new Map();
    this.canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    this.canvas.addEventListener('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    for (const end of ['pointerup', 'pointercancel']) {
      this.canvas.addEventListener(end, (event) => held.delete(event.pointerId));
    }
    this.canvas.addEventListener('pointermove', (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const now = [event.offsetX, event.offsetY];
      if (held.size === 2) {
        const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        this.distance *= Math.hypot(before[0] - other[0], before[1] - other[1]) / Math.max(1, Math.hypot(now[0] - other[0], now[1] - other[1]));
      } else if (event.shiftKey || event.buttons === 2 || event.buttons === 4) {
        const [right, down] = rows(this.yaw, this.pitch);
        const step = this.distance / this.canvas.clientHeight;
        this.pivot = this.pivot.map((value, i) => value - step * (right[i] * (now[0] - before[0]) + down[i] * (now[1] - before[1])));
      } else {
        this.yaw += (now[0] - before[0]) * 0.006;
        this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch - (now[1] - before[1]) * 0.006));
      }
      held.set(event.pointerId, now);
      this.draw();
    });
    this.canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.distance = Math.min(500, Math.max(0.05, this.distance * Math.exp(event.deltaY * 0.0012)));
      this.draw();
    }, { passive: false });
    this.canvas.addEventListener('dblclick', () => this.reset());
  }

  draw() {
    if (!this.gl || this.drawing) return;
    this.drawing = true;
    requestAnimationFrame((begun) => {
      this.drawing = false;
      this.render();
      requestAnimationFrame((over) => this.pace(over - begun));
    });
  }

  // Draws fewer points where there is no graphics card to draw all of them in time.
  pace(took) {
    if (this.all) return;
    this.smooth = took < 40 ? this.smooth + 1 : 0;
    if (took > 200) this.stride = Math.min(6, this.stride + 1);
    else if (this.smooth > 30 && this.stride > 1) Object.assign(this, { stride: this.stride - 1, smooth: 0 });
  }

  render() {
    const gl = this.gl;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0.039, 0.051, 0.071, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.frame?.camera) return;
    gl.enable(gl.DEPTH_TEST);
    const focal = height * 1.05;
    this.world = projection(this, width, height, focal);
    this.renderPoints(focal);
    this.renderLines();
  }

  renderPoints(focal) {
    const { gl, frame, points } = this;
    const { fx, fy, cx, cy } = frame.camera;
    gl.useProgram(points.program);
    for (const [unit, name] of Object.keys(this.textures).entries()) gl.uniform1i(points.at(name), unit);
    gl.uniform2i(points.at('grid'), ...frame.grid);
    gl.uniform4f(points.at('lens'), fx, fy, cx, cy);
    gl.uniformMatrix4fv(points.at('world'), false, this.world);
    gl.uniform1f(points.at('gate'), frame.sigma ? this.gate : 0);
    gl.uniform1f(points.at('focal'), focal);
    const colour = (this.colour === 'image' && !frame.image) || (this.colour === 'sigma' && !frame.sigma) ? 'depth' : this.colour;
    const scale = this.scales[colour === 'sigma' ? 'sigma' : 'depth'];
    if (scale) {
      const gain = scale.inverse ? 1 / (1 / scale.low - 1 / scale.high) : 1 / (scale.high - scale.low);
      gl.uniform4f(points.at('scale'), scale.inverse ? 1 / scale.low : scale.low, gain, scale.inverse ? 1 : 0, colour === 'sigma' && this.relative ? 1 : 0);
      gl.activeTexture(gl.TEXTURE3);
      gl.bindTexture(gl.TEXTURE_2D, this.textures.palette);
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, Uint8Array.from(scale.table.flat()));
    }
    gl.uniform1i(points.at('mode'), ['image', 'depth', 'sigma'].indexOf(colour));
    gl.uniform1i(points.at('bars'), 0);
    if (this.all) this.stride = 1;
    this.canvas.dataset.stride = this.stride;
    gl.uniform1i(points.at('stride'), this.stride);
    gl.drawArrays(gl.POINTS, 0, cells(frame.grid, this.stride));
    if (this.bars && frame.sigma) {
      const stride = Math.max(1, Math.round(frame.grid[0] / 90));
      gl.uniform1i(points.at('bars'), 1);
      gl.uniform1i(points.at('stride'), stride);
      gl.drawArrays(gl.LINES, 0, 2 * cells(frame.grid, stride));
    }
  }

  renderLines() {
    const { frame } = this;
    const { fx, fy, cx, cy } = frame.camera;
    const [columns, rows] = frame.grid;
    const ray = (u, v, z) => [((u - cx) / fx) * z, ((v - cy) / fy) * z, z];
    const far = 0.12 * (frame.figures.median_depth_m ?? 2);
    const corners = [[0, 0], [columns, 0], [columns, rows], [0, rows]].map(([u, v]) => ray(u, v, far));
    const frustum = corners.flatMap((corner, i) => [0, 0, 0, ...corner, ...corner, ...corners[(i + 1) % 4]]);
    this.line(frustum, [0.37, 0.77, 0.63, 1]);
    const metre = [];
    for (let z = 1; z <= 10; z++) metre.push(-0.06, 0, z, 0.06, 0, z, 0, -0.06, z, 0, 0.06, z);
    this.line([0, 0, 0, 0, 0, 10, ...metre], [0.35, 0.42, 0.5, 1]);
    for (const [cell, ink] of [[this.pin, [1, 1, 1, 1]], [this.cursor, [1, 0.85, 0.3, 1]]]) {
      if (!cell) continue;
      const index = cell[1] * columns + cell[0];
      const [z, sigma] = [frame.depth[index], frame.sigma?.[index] || 0];
      if (!Number.isFinite(z)) continue;
      this.gl.disable(this.gl.DEPTH_TEST);
      this.line([...ray(...cell, z - sigma), ...ray(...cell, z + sigma)], ink);
      this.line(ray(...cell, z), ink, this.gl.POINTS);
      this.gl.enable(this.gl.DEPTH_TEST);
    }
  }

  line(numbers, ink, kind = this.gl.LINES) {
    const { gl, lines } = this;
    gl.useProgram(lines.program);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(numbers), gl.STREAM_DRAW);
    const place = gl.getAttribLocation(lines.program, 'point');
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
    gl.uniformMatrix4fv(lines.at('world'), false, this.world);
    gl.uniform4f(lines.at('ink'), ...ink);
    gl.drawArrays(kind, 0, numbers.length / 3);
    gl.disableVertexAttribArray(place);
  }
}

const cells = ([columns, rows], stride) => Math.floor(columns / stride) * Math.floor(rows / stride);

// Returns right, down and ahead of the viewer, in the optical frame.
function rows(yaw, pitch) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [[cy, 0, -sy], [sy * sp, cp, cy * sp], [sy * cp, -sp, cy * cp]];
}

// Returns the matrix from the optical frame to clip space, by columns.
function projection({ yaw, pitch, distance, pivot }, width, height, focal) {
  const turn = rows(yaw, pitch);
  const eye = pivot.map((value, i) => value - distance * turn[2][i]);
  const shift = turn.map((row) => -row.reduce((sum, value, i) => sum + value * eye[i], 0));
  const [near, far] = [Math.max(0.01, distance * 0.01), distance * 20 + 50];
  const gain = [(2 * focal) / width, (-2 * focal) / height];
  const deep = [(far + near) / (far - near), (-2 * far * near) / (far - near)];
  const matrix = [];
  for (let column = 0; column < 4; column++) {
    const of = (row) => (column < 3 ? turn[row][column] : shift[row]);
    matrix.push(gain[0] * of(0), gain[1] * of(1), deep[0] * of(2) + (column === 3 ? deep[1] : 0), of(2));
  }
  return matrix;
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const places = new Map();
  const at = (name) => {
    if (!places.has(name)) places.set(name, gl.getUniformLocation(made, name));
    return places.get(name);
  };
  return { program: made, at };
}

function texture(gl, unit) {
  const made = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  const filter = unit < 2 ? gl.NEAREST : gl.LINEAR;
  for (const when of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, when, filter);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return made;
}

function half(gl, unit, target, [columns, rows], values) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, target);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16F, columns, rows, 0, gl.RED, gl.HALF_FLOAT, values);
}
