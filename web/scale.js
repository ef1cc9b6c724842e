// Colour scales: the same rules as core/colours.py, whose palettes are fetched from the server.

export class Scale {
  constructor(low, high, table, { inverse = false } = {}) {
    Object.assign(this, { low, high, table, inverse });
  }

  fraction(value) {
    if (this.inverse) return (1 / this.low - 1 / value) / (1 / this.low - 1 / this.high);
    return (value - this.low) / (this.high - this.low);
  }

  // Returns the colours as 256 RGBA words, for an ImageData seen as Uint32Array.
  words() {
    return Uint32Array.from(this.table, ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
  }

  // Paints values into RGBA words: unknown stays transparent, so that what is behind shows.
  paint(values, words) {
    const palette = this.words();
    const first = this.inverse ? 1 / this.low : this.low;
    const gain = 255 / (this.inverse ? 1 / this.low - 1 / this.high : this.high - this.low);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value !== value) words[i] = 0;
      else if (value === Infinity) words[i] = 0xfff2eeec;
      else if (value === -Infinity) words[i] = 0xffff00ff;
      else {
        const place = gain * (this.inverse ? first - 1 / value : value - first);
        words[i] = palette[place < 0 ? 0 : place > 255 ? 255 : (place + 0.5) | 0];
      }
    }
  }

  // Returns round values at least `gap` (a part of the length) apart, ends first.
  ticks(gap) {
    const chosen = [[0, this.low], [1, this.high]];
    if (!this.inverse) {
      const least = gap * (this.high - this.low);
      const decade = 10 ** Math.floor(Math.log10(least));
      const step = decade * [1, 2, 5, 10].find((factor) => factor * decade >= least);
      const count = Math.ceil(this.high / step - 0.5) - 1;
      for (let i = 1; i <= count; i++) if (this.fraction(i * step) > 0) chosen.push([this.fraction(i * step), i * step]);
      return chosen.sort((a, b) => a[0] - b[0]);
    }
    const steps = [1, 2, 5, 3, 1.5, 7];
    for (const step of steps) {
      for (let exponent = -4; exponent < 4; exponent++) {
        const value = step * 10 ** exponent;
        const place = this.fraction(value);
        if (place > 0 && place < 1 && chosen.every(([other]) => Math.abs(place - other) >= gap)) chosen.push([place, value]);
      }
    }
    return chosen.sort((a, b) => a[0] - b[0]);
  }
}

export const short = (value) => String(Number(value.toPrecision(3)));

// Draws the bar with its numbers, and a mark at `value` where there is one.
export function drawBar(canvas, scale, unit, value) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const margin = 4;
  const inner = width - 2 * margin;
  const gradient = context.createLinearGradient(margin, 0, margin + inner, 0);
  for (let i = 0; i <= 32; i++) gradient.addColorStop(i / 32, `rgb(${scale.table[Math.round((i / 32) * 255)].join()})`);
  context.fillStyle = gradient;
  context.beginPath();
  context.roundRect(margin, 4, inner, 10, 3);
  context.fill();
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = '#aab6c5';
  const ticks = scale.ticks(44 / inner);
  ticks.forEach(([place, number], index) => {
    const x = margin + place * inner;
    context.textAlign = index === 0 ? 'left' : index === ticks.length - 1 ? 'right' : 'center';
    context.fillRect(Math.min(x, margin + inner - 1), 14, 1, 3);
    context.fillText(short(number) + (index === ticks.length - 1 ? ` ${unit}` : ''), x, 28);
  });
  if (Number.isFinite(value)) {
    const x = margin + Math.min(1, Math.max(0, scale.fraction(value))) * inner;
    context.fillStyle = '#fff';
    context.strokeStyle = '#000a';
    context.beginPath();
    context.roundRect(x - 2, 1, 4, 16, 2);
    context.fill();
    context.stroke();
  }
}
