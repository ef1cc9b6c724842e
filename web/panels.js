// The three pictures: image, depth, sigma. They share one cursor, in pixels of the depth grid.

export class PicturePanel {
  constructor(section, { onHover, onPin }) {
    this.canvas = section.querySelector('.stage canvas');
    this.source = document.createElement('canvas');
    this.picture = undefined; // what is drawn: a canvas or an ImageBitmap
    this.grid = [1, 1];
    this.smooth = false;
    this.canvas.addEventListener('pointermove', (event) => onHover(this.cell(event)));
    this.canvas.addEventListener('pointerleave', () => onHover(undefined));
    this.canvas.addEventListener('click', (event) => onPin(this.cell(event)));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // Shows values in the colours of a scale.
  showValues(values, grid, scale) {
    this.grid = grid;
    const [columns, rows] = grid;
    if (this.source.width !== columns || this.source.height !== rows) {
      [this.source.width, this.source.height] = grid;
      this.data = new ImageData(columns, rows);
    }
    scale.paint(values, new Uint32Array(this.data.data.buffer));
    this.source.getContext('2d').putImageData(this.data, 0, 0);
    this.picture = this.source;
  }

  showImage(bitmap, grid) {
    if (this.picture && this.picture !== bitmap) this.picture.close?.();
    this.grid = grid;
    this.smooth = true;
    this.picture = bitmap;
  }

  clear() {
    this.picture = undefined;
  }

  // Returns where the picture lies on the canvas: x, y, width, height in CSS pixels.
  place() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [columns, rows] = this.grid;
    const size = Math.min(width / columns, height / rows);
    return [(width - size * columns) / 2, (height - size * rows) / 2, size * columns, size * rows];
  }

  // Returns column and row of the depth grid below the pointer; undefined outside.
  cell(event) {
    const [x, y, width, height] = this.place();
    const column = Math.floor(((event.offsetX - x) / width) * this.grid[0]);
    const row = Math.floor(((event.offsetY - y) / height) * this.grid[1]);
    if (!this.picture || column < 0 || row < 0 || column >= this.grid[0] || row >= this.grid[1]) return undefined;
    return [column, row];
  }

  draw(cursor = this.cursor, pin = this.pin) {
    Object.assign(this, { cursor, pin });
    const ratio = devicePixelRatio || 1;
    const context = this.canvas.getContext('2d');
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    if (!this.picture) return;
    context.scale(ratio, ratio);
    const [x, y, width, height] = this.place();
    context.fillStyle = hatch(context);
    context.fillRect(x, y, width, height);
    context.imageSmoothingEnabled = this.smooth;
    context.drawImage(this.picture, x, y, width, height);
    const cell = width / this.grid[0];
    if (pin) mark(context, x + (pin[0] + 0.5) * cell, y + (pin[1] + 0.5) * cell);
    if (cursor) cross(context, [x, y, width, height], x + (cursor[0] + 0.5) * cell, y + (cursor[1] + 0.5) * cell);
  }
}

function hatch(context) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  pen.fillStyle = '#14181f';
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = '#252c36';
  pen.lineWidth = 1.6;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat');
}

function cross(context, [x, y, width, height], u, v) {
  for (const [style, line] of [['#000a', 3], ['#fff', 1]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    for (const [ax, ay, bx, by] of [[x, v, u - 6, v], [u + 6, v, x + width, v], [u, y, u, v - 6], [u, v + 6, u, y + height]]) {
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
    }
    context.globalAlpha = 0.75;
    context.stroke();
  }
  context.globalAlpha = 1;
}

function mark(context, u, v) {
  for (const [style, line] of [['#000', 4], ['#fff', 2]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    context.arc(u, v, 7, 0, 2 * Math.PI);
    context.stroke();
  }
}

// Draws the depth of the pinned pixel over the last frames, with one sigma to both sides.
export function drawHistory(canvas, samples) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const known = samples.filter(({ z }) => Number.isFinite(z));
  if (known.length < 2) return;
  const sigma = (sample) => (Number.isFinite(sample.sigma) ? sample.sigma : 0);
  const low = Math.min(...known.map((sample) => sample.z - sigma(sample)));
  const high = Math.max(...known.map((sample) => sample.z + sigma(sample)), low + 1e-3);
  const x = (index) => 4 + (index / Math.max(1, samples.length - 1)) * (width - 84);
  const y = (z) => height - 5 - ((z - low) / (high - low)) * (height - 10);
  context.fillStyle = '#5ec4a044';
  context.strokeStyle = '#5ec4a0';
  context.lineWidth = 1.5;
  samples.forEach((sample, index) => {
    if (!Number.isFinite(sample.z)) return;
    const top = y(sample.z + sigma(sample));
    const step = (width - 84) / Math.max(1, samples.length - 1);
    context.fillRect(x(index) - step / 2, top, step, y(sample.z - sigma(sample)) - top);
  });
  context.beginPath();
  samples.forEach(({ z }, index) => Number.isFinite(z) && context.lineTo(x(index), y(z)));
  context.stroke();
  const mean = known.reduce((sum, { z }) => sum + z, 0) / known.length;
  const spread = Math.sqrt(known.reduce((sum, { z }) => sum + (z - mean) ** 2, 0) / (known.length - 1));
  context.fillStyle = '#8b98a9';
  context.font = '11px system-ui, sans-serif';
  context.fillText(`spread of ${known.length}`, width - 76, 20);
  context.fillStyle = '#e6ebf2';
  context.fillText(metres(spread), width - 76, 36);
}

// Returns a length in the unit that suits it.
export function metres(value) {
  if (!Number.isFinite(value)) return 'unknown';
  return Math.abs(value) < 0.1 ? `${(value * 1000).toPrecision(3)} mm` : `${value.toPrecision(4)} m`;
}
