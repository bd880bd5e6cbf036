// The map: Natural Earth's outlines in the Equal Earth projection, as SVG that zooms and pans.
// It knows longitudes and latitudes; rounds and scores are the business of page.js.

const SVG = "http://www.w3.org/2000/svg";
const A = [1.340264, -0.081106, 0.000893, 0.003796];
const RADIANS = Math.PI / 180;
const WIDTH = 1000;
const SCALE = WIDTH / 2 / 2.7066299836;
const HEIGHT = 2 * SCALE * 1.3173627591;
const MARGIN = 6;
const CLOSEST = 24;

const slope = (t) => 9 * A[3] * t ** 8 + 7 * A[2] * t ** 6 + 3 * A[1] * t ** 2 + A[0];
const rise = (t) => A[3] * t ** 9 + A[2] * t ** 7 + A[1] * t ** 3 + A[0] * t;

/** Degrees to units of the drawing. */
export function project([longitude, latitude]) {
  const t = Math.asin((Math.sqrt(3) / 2) * Math.sin(latitude * RADIANS));
  const x = (2 * Math.sqrt(3) * longitude * RADIANS * Math.cos(t)) / (3 * slope(t));
  return [WIDTH / 2 + SCALE * x, HEIGHT / 2 - SCALE * rise(t)];
}

/** Units of the drawing to degrees; null beside the earth. */
export function unproject([px, py]) {
  const x = (px - WIDTH / 2) / SCALE;
  const y = (HEIGHT / 2 - py) / SCALE;
  let t = y / A[0];
  for (let i = 0; i < 12; i += 1) t -= (rise(t) - y) / slope(t);
  const sine = (2 * Math.sin(t)) / Math.sqrt(3);
  if (!(Math.abs(sine) <= 1)) return null;
  const longitude = (3 * x * slope(t)) / (2 * Math.sqrt(3) * Math.cos(t)) / RADIANS;
  return Math.abs(longitude) <= 180 ? [longitude, Math.asin(sine) / RADIANS] : null;
}

const element = (name, attributes = {}, parent = null) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent?.append(node);
  return node;
};

const line = (points) => "M" + points.map((p) => project(p).map((n) => n.toFixed(2)).join(" ")).join("L");

/** Long edges get points between, so that they follow the curve of the projection. */
function ring(flat, scale) {
  const points = [];
  let [x, y] = [0, 0];
  for (let i = 0; i < flat.length; i += 2) {
    const steps = i ? Math.ceil(Math.max(Math.abs(flat[i]), Math.abs(flat[i + 1])) / scale / 4) : 1;
    for (let step = 1; step <= steps; step += 1) {
      points.push([(x + (flat[i] * step) / steps) / scale, (y + (flat[i + 1] * step) / steps) / scale]);
    }
    x += flat[i];
    y += flat[i + 1];
  }
  return line(points) + "Z";
}

/** The shortest way on the sphere, cut where it crosses the edge of the map. */
function way(from, to) {
  const vector = ([lon, lat]) => {
    const [l, p] = [lon * RADIANS, lat * RADIANS];
    return [Math.cos(p) * Math.cos(l), Math.cos(p) * Math.sin(l), Math.sin(p)];
  };
  const [a, b] = [vector(from), vector(to)];
  const angle = Math.acos(Math.min(1, Math.max(-1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])));
  if (angle < 1e-6) return "";
  let [path, part] = ["", []];
  for (let i = 0; i <= 120; i += 1) {
    const [u, v] = [Math.sin((1 - i / 120) * angle), Math.sin((i / 120) * angle)];
    const [x, y, z] = a.map((n, k) => (n * u + b[k] * v) / Math.sin(angle));
    const point = [Math.atan2(y, x) / RADIANS, Math.asin(Math.min(1, Math.max(-1, z))) / RADIANS];
    if (part.length && Math.abs(part.at(-1)[0] - point[0]) > 180) {
      path += line(part);
      part = [];
    }
    part.push(point);
  }
  return path + line(part);
}

export class WorldMap {
  /** `pick` is called with [longitude, latitude] when a point is chosen. */
  constructor(svg, { pick, speak }) {
    this.svg = svg;
    this.pick = pick;
    this.speak = speak;
    this.open = false;
    this.cross = [0, 20];
    this.pointers = new Map();
    this.drawing = element("g", {}, svg);
    this.marks = element("g", {}, svg);
    this.crossMark = element("g", { class: "cross" }, svg);
    element("path", { d: "M-16 0H-5M16 0H5M0-16V-5M0 16V5" }, this.crossMark);
    element("circle", { r: 9 }, this.crossMark);
    this.whole();
    this.listen();
    new ResizeObserver(() => this.look(this.box)).observe(svg);
  }

  /** Draws the earth. */
  draw({ scale, countries }) {
    const side = (longitude) => Array.from({ length: 91 }, (_, i) => [longitude, i * 2 - 90]);
    const edge = [...side(-180), ...side(180).reverse()];
    element("path", { class: "sphere", d: line(edge) + "Z" }, this.drawing);
    let grid = "";
    for (let lon = -150; lon < 180; lon += 30) grid += line(side(lon));
    for (let lat = -60; lat < 90; lat += 30) grid += line([[-180, lat], [180, lat]]);
    element("path", { class: "grid", d: grid }, this.drawing);
    const land = countries.map((rings) => rings.map((r) => ring(r, scale)).join("")).join("");
    element("path", { class: "land", d: land }, this.drawing);
  }

  /** Takes guesses from now on. */
  ask() {
    this.marks.replaceChildren();
    this.open = true;
    this.svg.classList.remove("over");
    this.fly(this.wholeBox());
  }

  /** Shows a guess beside the truth, and moves so that both are seen. */
  show(guess, truth, name) {
    element("path", { class: "way", d: way(guess, truth) }, this.marks);
    this.pin(guess, "guess", "");
    this.pin(truth, "truth", name);
    const [a, b] = [project(guess), project(truth)];
    const room = 60 + Math.hypot(a[0] - b[0], a[1] - b[1]) * 0.25;
    const [left, top] = [Math.min(a[0], b[0]) - room, Math.min(a[1], b[1]) - room];
    const [right, bottom] = [Math.max(a[0], b[0]) + room, Math.max(a[1], b[1]) + room];
    this.fly(this.shape({ x: left, y: top, width: right - left, height: bottom - top }));
  }

  pin(point, kind, name) {
    const mark = element("g", { class: `pin ${kind}` }, this.marks);
    mark.point = project(point);
    element("path", { d: "M0 0C-3-8-9-12-9-19A9 9 0 0 1 9-19C9-12 3-8 0 0Z" }, mark);
    element("circle", { cy: -19, r: 3.2 }, mark);
    if (name) element("text", { y: 17 }, mark).textContent = name;
  }

  // --- what is seen -------------------------------------------------------------------------

  whole() {
    this.look(this.wholeBox());
  }

  wholeBox() {
    return this.shape({ x: -MARGIN, y: -MARGIN, width: WIDTH + 2 * MARGIN, height: HEIGHT + 2 * MARGIN });
  }

  /** The box, grown to the proportions of the element, and no smaller than the closest look. */
  shape({ x, y, width, height }) {
    const ratio = (this.svg.clientWidth || 2) / (this.svg.clientHeight || 1);
    const grown = Math.max(width, height * ratio, WIDTH / CLOSEST);
    const size = { width: grown, height: grown / ratio };
    return { x: x + (width - size.width) / 2, y: y + (height - size.height) / 2, ...size };
  }

  look(box) {
    const most = this.wholeBox();
    const width = Math.min(box.width, most.width);
    const height = width * (most.height / most.width);
    const within = (at, size, low, room) => Math.min(Math.max(at, low), low + room - size);
    const x = within(box.x + (box.width - width) / 2, width, most.x, most.width);
    const y = within(box.y + (box.height - height) / 2, height, most.y, most.height);
    this.box = { x, y, width, height };
    this.svg.setAttribute("viewBox", [x, y, width, height].join(" "));
    this.svg.classList.toggle("zoomed", width < most.width * 0.99);
    const unit = width / (this.svg.clientWidth || WIDTH);
    const place = (mark, [px, py]) => mark.setAttribute("transform", `translate(${px} ${py}) scale(${unit})`);
    for (const mark of this.marks.children) if (mark.point) place(mark, mark.point);
    place(this.crossMark, project(this.cross));
  }

  fly(target) {
    cancelAnimationFrame(this.flight);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.look(target);
    const [from, start] = [this.box, performance.now()];
    const step = (now) => {
      const t = Math.min(1, (now - start) / 600);
      const ease = t * t * (3 - 2 * t);
      const mix = (key) => from[key] + (target[key] - from[key]) * ease;
      this.look({ x: mix("x"), y: mix("y"), width: mix("width"), height: mix("height") });
      if (t < 1) this.flight = requestAnimationFrame(step);
    };
    this.flight = requestAnimationFrame(step);
    return undefined;
  }

  /** Zooms by `factor` around a point of the drawing, or the middle. */
  zoom(factor, at = null) {
    cancelAnimationFrame(this.flight);
    const { x, y, width, height } = this.box;
    const next = Math.max(width / factor, WIDTH / CLOSEST);
    const [cx, cy] = at ?? [x + width / 2, y + height / 2];
    const k = next / width;
    this.look({ x: cx - (cx - x) * k, y: cy - (cy - y) * k, width: next, height: height * k });
  }

  // --- hands --------------------------------------------------------------------------------

  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(this.svg.getScreenCTM().inverse());
    return [x, y];
  }

  choose(point) {
    if (!this.open || !point) return;
    this.open = false;
    this.svg.classList.add("over");
    this.pick(point);
  }

  listen() {
    const { svg } = this;
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", (event) => this.up(event));
    svg.addEventListener("pointercancel", (event) => this.up(event, true));
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("blur", () => svg.classList.remove("keys"));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 200), this.at(event));
    }, { passive: false });
  }

  down(event) {
    if (event.button) return;
    this.svg.classList.remove("keys");
    this.svg.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.still = true;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, from: [event.clientX, event.clientY] });
    if (this.pointers.size > 1) this.still = false;
  }

  move(event) {
    const held = this.pointers.get(event.pointerId);
    if (!held) return;
    const unit = this.box.width / this.svg.clientWidth;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    if (Math.hypot(event.clientX - held.from[0], event.clientY - held.from[1]) > 6) this.still = false;
    if (this.still) return;
    const before = this.spread();
    [held.x, held.y] = [event.clientX, event.clientY];
    const part = 1 / this.pointers.size;
    cancelAnimationFrame(this.flight);
    this.look({ ...this.box, x: this.box.x - dx * unit * part, y: this.box.y - dy * unit * part });
    if (before) this.zoom(this.spread() / before, this.at(event));
    this.svg.classList.add("panning");
  }

  /** How far two fingers are apart; 0 with one. */
  spread() {
    const [a, b] = [...this.pointers.values()];
    return b ? Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) : 0;
  }

  up(event, cancelled = false) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    this.svg.classList.remove("panning");
    if (this.still && !cancelled) this.choose(unproject(this.at(event)));
  }

  key(event) {
    const step = (event.shiftKey ? 0.5 : 5) * Math.min(1, this.box.width / WIDTH);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) this.walk(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.choose([...this.cross]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6, project(this.cross));
    else if (event.key === "-") this.zoom(1 / 1.6, project(this.cross));
    else return;
    event.preventDefault();
    this.svg.classList.add("keys");
  }

  walk([east, north]) {
    const longitude = ((this.cross[0] + east + 540) % 360) - 180;
    const latitude = Math.min(90, Math.max(-90, this.cross[1] + north));
    this.cross = [longitude, latitude];
    const [x, y] = project(this.cross);
    const { width, height } = this.box;
    const inside = x > this.box.x && x < this.box.x + width && y > this.box.y && y < this.box.y + height;
    this.look(inside ? this.box : { x: x - width / 2, y: y - height / 2, width, height });
    const side = (value, plus, minus) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? minus : plus}`;
    this.speak(`${side(latitude, "north", "south")}, ${side(longitude, "east", "west")}`);
  }
}
