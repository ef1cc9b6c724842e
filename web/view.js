import { follow } from './frame.js';
import { drawHistory, metres, PicturePanel } from './panels.js';
import { PointView } from './points.js';
import { drawBar, Scale, short } from './scale.js';

const HISTORY = 120; // frames
const by = (id) => document.getElementById(id);
const { tables } = await (await fetch('palettes.json')).json();

const state = { paused: false, relative: false, samples: [] };
const events = {
  onHover: (cell) => {
    state.cursor = cell;
    redraw();
  },
  onPin: (cell) => {
    state.pin = cell && String(cell) === String(state.pin) ? undefined : cell;
    state.samples = [];
    if (state.pin) remember();
    redraw();
  },
};
const panels = Object.fromEntries(
  ['image', 'depth', 'sigma'].map((name) => [name, new PicturePanel(by(`${name}-panel`), events)]),
);
const points = new PointView(by('points-panel'));

// --- a new frame ---

function show(frame) {
  state.head = frame;
  tellStatus(frame);
  fillCameras(frame.cameras, frame.name);
  if (!frame.grid) return;
  state.frame = frame;
  if (state.wished) {
    state.pin = state.wished.map((place) => Math.floor(place / frame.step));
    delete state.wished;
  }
  remember();
  paint();
}

function paint() {
  const { frame } = state;
  if (!frame) return;
  const sigma = frame.sigma && (state.relative ? relativeSigma(frame) : frame.sigma);
  state.scales = scalesOf(frame);
  panels.depth.showValues(frame.depth, frame.grid, state.scales.depth);
  if (sigma) panels.sigma.showValues(sigma, frame.grid, state.scales.sigma);
  else panels.sigma.clear();
  if (frame.image) panels.image.showImage(frame.image, frame.grid);
  else panels.image.clear();
  by('image-note').textContent = frame.image ? `${frame.frame_id} · ${frame.size.join(' × ')}` : 'no image of this stamp';
  points.show(frame, state.scales, state.relative);
  redraw();
}

function relativeSigma({ sigma, depth }) {
  return sigma.map((value, i) => value / depth[i]);
}

function scalesOf({ scales }) {
  const given = (panel, end) => {
    const number = parseFloat(by(`${panel}-panel`).querySelector(`.${end}`).value.replace(',', '.'));
    return Number.isFinite(number) && number > 0 ? number : undefined;
  };
  const ends = (panel, [low, high], percent = 1) => {
    const chosen = [given(panel, 'low') ?? low, (given(panel, 'high') ?? high * percent) / percent];
    return chosen[1] > chosen[0] ? chosen : [chosen[0], chosen[0] * 1.05 + 1e-4];
  };
  const result = { depth: new Scale(...ends('depth', scales.depth), tables.turbo, { inverse: true }) };
  const range = state.relative ? scales.relative : scales.sigma;
  if (range) result.sigma = new Scale(...ends('sigma', range, state.relative ? 100 : 1), tables.viridis);
  return result;
}

// --- the pixel below the cursor ---

function valueAt(cell) {
  const { frame } = state;
  if (!cell || !frame || cell[0] >= frame.grid[0] || cell[1] >= frame.grid[1]) return undefined;
  const index = cell[1] * frame.grid[0] + cell[0];
  return { z: frame.depth[index], sigma: frame.sigma ? frame.sigma[index] : NaN };
}

function remember() {
  const value = valueAt(state.pin);
  if (value) state.samples = [...state.samples.slice(1 - HISTORY), value];
  document.body.dataset.samples = state.samples.length; // for tests: what has been drawn
}

function redraw() {
  for (const panel of Object.values(panels)) panel.draw(state.cursor, state.pin);
  Object.assign(points, { cursor: state.cursor, pin: state.pin });
  points.draw();
  const cell = state.cursor ?? state.pin;
  const value = valueAt(cell);
  if (state.scales) {
    drawBar(by('depth-panel').querySelector('.bar'), state.scales.depth, 'm', value?.z);
    if (state.scales.sigma) drawSigmaBar(value);
  }
  drawHistory(by('history'), state.pin ? state.samples : []);
  by('numbers').replaceChildren(...(value ? numbers(cell, value) : [text('span', 'no pixel chosen', 'hint')]));
}

function drawSigmaBar(value) {
  const { low, high, table } = state.scales.sigma;
  const factor = state.relative ? 100 : 1;
  const shown = value && (state.relative ? (100 * value.sigma) / value.z : value.sigma);
  drawBar(by('sigma-panel').querySelector('.bar'), new Scale(low * factor, high * factor, table), state.relative ? '%' : 'm', shown);
}

function numbers([column, row], { z, sigma }) {
  const { frame } = state;
  const pixel = `${state.cursor ? 'cursor' : 'pin'} (${column * frame.step}, ${row * frame.step})`;
  const parts = [text('span', pixel)];
  if (!Number.isFinite(z)) {
    const meaning = z === Infinity ? 'beyond the range' : z === -Infinity ? 'too near' : 'unknown';
    return [...parts, text('b', meaning, 'main')];
  }
  parts.push(text('b', Number.isFinite(sigma) ? `${metres(z)} ± ${metres(sigma)}` : metres(z), 'main'));
  if (Number.isFinite(sigma)) parts.push(labelled('σ/z', `${short((100 * sigma) / z)} %`));
  if (frame.camera) {
    const { fx, fy, cx, cy } = frame.camera;
    const [x, y] = [((column - cx) / fx) * z, ((row - cy) / fy) * z];
    parts.push(labelled('x', `${x.toFixed(3)} m`), labelled('y', `${y.toFixed(3)} m`));
  }
  return parts;
}

function text(tag, content, name = '') {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = name;
  return element;
}

function labelled(name, content) {
  const element = text('span', `${name} `);
  element.append(text('b', content));
  return element;
}

// --- what the node says ---

function tellStatus(frame) {
  const { status = {}, age_s: age, remark } = frame;
  const element = by('status');
  let [level, message] = [['ok', 'warn', 'bad', 'bad'][status.level] ?? '', status.message ?? ''];
  if (!frame.cameras.length) [level, message] = ['warn', remark || 'no camera yet'];
  else if (frame.remarks?.length) [level, message] = ['warn', frame.remarks.join('; ')];
  else if (age > 1e8) message ||= 'no frame has arrived yet';
  else if (age > 2 && level === 'ok') [level, message] = ['warn', `no frame for ${age.toFixed(0)} s; ${message}`];
  element.className = `status ${level}`;
  element.lastElementChild.textContent = message || remark || 'frames arrive';
  element.title = message;
  by('facts').replaceChildren(...factsOf(frame, status.values ?? {}).map(([name, value]) => {
    const pair = document.createElement('div');
    pair.append(text('dt', name), text('dd', value));
    return pair;
  }));
  if (!by('details').hidden) fillDetails(status.values ?? {});
}

function factsOf(frame, values) {
  const figures = (frame.figures ? frame : state.frame)?.figures ?? {};
  const facts = [];
  const add = (name, value) => value !== undefined && value !== '' && facts.push([name, value]);
  if (frame.rate_hz !== undefined) add('rate', `${frame.rate_hz.toFixed(1)} Hz`);
  const [p50, p95] = (values['latency stamp to publish p50/p95/p99 [ms]'] ?? '').split(' / ').map(Number);
  if (p95) add('latency p50 / p95', `${p50.toFixed(0)} / ${p95.toFixed(0)} ms`);
  if (values['scale rung']) add('scale', `${values['scale rung']}${sure(values['scale sigma [%]'])}`);
  if (figures.known_percent !== undefined) add('known', `${figures.known_percent.toFixed(0)} %`);
  if (figures.median_relative_sigma_percent) add('median σ/z', `${short(figures.median_relative_sigma_percent)} %`);
  if (values.model) add('model', `${values.model}${values.backend && values.backend !== 'builtin' ? ` · ${values.backend}` : ''}`);
  return facts;
}

const sure = (percent) => (Number(percent) > 0 ? ` ± ${short(Number(percent))} %` : '');

function fillDetails(values) {
  by('details').querySelector('table').replaceChildren(...Object.entries(values).map(([name, value]) => {
    const row = document.createElement('tr');
    row.append(text('td', name), text('td', value));
    return row;
  }));
}

function fillCameras(names, chosen) {
  const select = by('camera');
  if ([...select.options].map((option) => option.value).join('\n') !== names.join('\n')) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  if (chosen && document.activeElement !== select) select.value = chosen;
}

// --- what the user does ---

const press = (button, on) => button.setAttribute('aria-pressed', String(on));

function pause(on) {
  state.paused = on;
  press(by('pause'), on);
  by('pause').textContent = on ? 'Go on' : 'Pause';
}

function choose(relative) {
  state.relative = relative;
  press(by('metres'), !relative);
  press(by('percent'), relative);
  by('sigma-panel').querySelector('.high').value = '';
  by('sigma-note').textContent = relative ? 'one standard deviation of z, of z [%]' : 'one standard deviation of z [m]';
  paint();
}

function toggleDetails() {
  const on = by('details').hidden;
  by('details').hidden = !on;
  by('details-button').setAttribute('aria-expanded', String(on));
  if (on) fillDetails(state.head?.status?.values ?? {});
}

function drawAll() {
  points.all = !points.all;
  points.draw();
}

by('pause').addEventListener('click', () => pause(!state.paused));
by('details-button').addEventListener('click', toggleDetails);
by('metres').addEventListener('click', () => choose(false));
by('percent').addEventListener('click', () => choose(true));
by('reset').addEventListener('click', () => points.reset());
by('camera').addEventListener('change', () => {
  Object.assign(state, { camera: by('camera').value, pin: undefined, samples: [] });
  pause(false);
});
for (const input of document.querySelectorAll('.panel footer input:not([type])')) input.addEventListener('input', paint);
for (const button of document.querySelectorAll('[data-colour]')) {
  button.addEventListener('click', () => {
    points.colour = button.dataset.colour;
    for (const other of document.querySelectorAll('[data-colour]')) press(other, other === button);
    points.draw();
  });
}
by('bars').addEventListener('change', () => {
  points.bars = by('bars').checked;
  points.draw();
});
by('gate').addEventListener('input', () => {
  const part = by('gate').value / 100;
  points.gate = part === 1 ? 0 : 0.3 * part ** 2 + 0.001;
  by('gate-value').textContent = points.gate ? `${short(100 * points.gate)} %` : '∞';
  points.draw();
});
addEventListener('resize', redraw);
addEventListener('keydown', (event) => {
  if (event.target.matches('input, select, button') || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = { ' ': () => pause(!state.paused), d: toggleDetails, r: () => points.reset(), a: drawAll, Escape: () => events.onPin(undefined) }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// An address can name what to look at: #pin=285,319&points=sigma&bars&camera=/front
const wish = new URLSearchParams(location.hash.slice(1));
const pin = (wish.get('pin') ?? '').split(',').map(Number);
if (pin.length === 2 && pin.every((place) => Number.isInteger(place) && place >= 0)) state.wished = pin;
if (wish.get('camera')) state.camera = wish.get('camera');
if (wish.has('bars')) by('bars').click();
for (const button of document.querySelectorAll('[data-colour]')) if (button.dataset.colour === wish.get('points')) button.click();

follow({
  camera: () => state.camera ?? '',
  paused: () => state.paused,
  show,
  lost: (message) => {
    by('status').className = 'status bad';
    by('status').lastElementChild.textContent = message;
  },
});
