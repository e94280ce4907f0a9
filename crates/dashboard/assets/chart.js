// A time chart of several series in SVG. A vertical line follows the pointer in all charts.
//
// A series is { name, colour, values, area }. Each snapshot's time has one value; null means no value.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const INSET = { top: 8, right: 2, bottom: 20, left: 52 };
// One missing snapshot is not a gap, since the server may be late.
const GAP_MS = 2500;

export function element(name, attributes = {}, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

export class Chart {
  // `write` formats a value; `scale` is `counts`, `bytes` or `durations` below, which map values to positions.
  constructor(place, title, write, scale, onPoint) {
    Object.assign(this, { place, write, scale, width: 0, data: null, pointed: null });
    const head = document.createElement("div");
    head.className = "chart-head";
    const heading = document.createElement("h2");
    heading.textContent = title;
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    head.append(heading, this.legend);
    this.svg = element("svg", { height: HEIGHT, role: "img", "aria-label": title });
    place.append(head, this.svg);
    new ResizeObserver(([entry]) => this.resize(Math.floor(entry.contentRect.width))).observe(place);
    this.svg.addEventListener("pointermove", (event) => onPoint(this.timeAt(event)));
    this.svg.addEventListener("pointerleave", () => onPoint(null));
  }

  resize(width) {
    const room = width - parseFloat(getComputedStyle(this.svg).marginLeft || 0);
    if (room <= 0 || room === this.width) return;
    this.width = room;
    this.svg.setAttribute("width", room);
    this.draw();
  }

  show(times, from, to, series) {
    this.data = { times, from, to, series };
    this.place.dataset.points = times.length;
    this.draw();
  }

  point(at) {
    this.pointed = at;
    this.drawPointer();
  }

  timeAt(event) {
    if (!this.data) return null;
    const { from, to } = this.data;
    const share = (event.clientX - this.svg.getBoundingClientRect().left - INSET.left) / this.plotWidth();
    return share < 0 || share > 1 ? null : from + share * (to - from);
  }

  plotWidth() {
    return this.width - INSET.left - INSET.right;
  }

  x(at) {
    const { from, to } = this.data;
    return INSET.left + ((at - from) / (to - from)) * this.plotWidth();
  }

  draw() {
    if (!this.data || this.width <= 0) return;
    const { times, from, to, series } = this.data;
    const values = series.flatMap((one) => one.values).filter((value) => value !== null);
    const scale = this.scale(values);
    const base = HEIGHT - INSET.bottom;
    const y = (value) => base - scale.place(value) * (base - INSET.top);
    this.svg.replaceChildren();
    for (const tick of scale.ticks) {
      const at = Math.round(y(tick)) + 0.5;
      element("line", { class: "grid", x1: INSET.left, x2: this.width - INSET.right, y1: at, y2: at }, this.svg);
      const label = element("text", { class: "axis", x: INSET.left - 8, y: at + 4, "text-anchor": "end" }, this.svg);
      label.textContent = this.write(tick);
    }
    for (const [label, at, anchor] of [
      [ago(to - from), from, "start"],
      ["now", to, "end"],
    ]) {
      const text = element("text", { class: "axis", x: this.x(at), y: HEIGHT - 4, "text-anchor": anchor }, this.svg);
      text.textContent = label;
    }
    for (const { colour, values, area } of series) {
      const runs = runsOf(times, values).map((run) => run.map(([at, value]) => [this.x(at), y(value)]));
      for (const run of runs) {
        const line = run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");
        if (area) {
          const [[first], [last]] = [run[0], run.at(-1)];
          element("path", { class: `area ${colour}`, d: `M${first.toFixed(1)},${base}L${line}L${last.toFixed(1)},${base}Z` }, this.svg);
        }
        // A run of one point is a line without length; its round caps draw a dot.
        element("path", { class: `line ${colour}`, d: `M${line}${run.length === 1 ? `L${line}` : ""}` }, this.svg);
      }
    }
    this.pointer = element("line", { class: "pointer", y1: INSET.top, y2: base, visibility: "hidden" }, this.svg);
    this.drawPointer();
  }

  drawPointer() {
    if (!this.data || !this.pointer) return;
    const { times, series } = this.data;
    const at = this.pointed === null ? times.length - 1 : nearest(times, this.pointed);
    const shown = this.pointed !== null && at >= 0;
    this.pointer.setAttribute("visibility", shown ? "visible" : "hidden");
    if (shown) {
      const x = Math.round(this.x(times[at])) + 0.5;
      this.pointer.setAttribute("x1", x);
      this.pointer.setAttribute("x2", x);
    }
    this.showLegend(series.map(({ name, colour, values }) => [name, colour, this.write(values[at] ?? null)]));
  }

  showLegend(rows) {
    while (this.legend.children.length > rows.length) this.legend.lastChild.remove();
    rows.forEach(([name, colour, value], n) => {
      let row = this.legend.children[n];
      if (!row) {
        row = document.createElement("li");
        row.append(document.createElement("span"), document.createElement("b"));
        this.legend.append(row);
      }
      row.className = colour;
      row.firstChild.textContent = name;
      row.lastChild.textContent = value;
    });
  }
}

// Draws a line without axes over the full width of `svg`.
export function spark(svg, values) {
  const [width, height] = [100, 28];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const known = values.filter((value) => value !== null);
  svg.replaceChildren();
  if (known.length < 2) return;
  const most = Math.max(...known) || 1;
  const least = Math.min(...known, most * 0.9);
  const last = values.length - 1;
  const runs = runsOf(values.map((_, n) => n), values);
  const place = ([n, value]) => `${((n / last) * width).toFixed(2)},${(height - 2 - ((value - least) / (most - least || 1)) * (height - 4)).toFixed(2)}`;
  for (const run of runs) {
    const line = run.map(place).join("L");
    const edge = (n) => ((n / last) * width).toFixed(2);
    element("path", { class: "area", d: `M${edge(run[0][0])},${height}L${line}L${edge(run.at(-1)[0])},${height}Z` }, svg);
    element("path", { class: "line", d: `M${line}` }, svg);
  }
}

// Returns the runs of points without a gap.
function runsOf(times, values) {
  const runs = [];
  let run = null;
  times.forEach((at, n) => {
    if (values[n] === null) {
      run = null;
    } else if (run && at - run.at(-1)[0] <= GAP_MS) {
      run.push([at, values[n]]);
    } else {
      run = [[at, values[n]]];
      runs.push(run);
    }
  });
  return runs;
}

function nearest(times, at) {
  let best = -1;
  times.forEach((time, n) => {
    if (best < 0 || Math.abs(time - at) < Math.abs(times[best] - at)) best = n;
  });
  return best;
}

function ago(ms) {
  const seconds = Math.round(ms / 1000);
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

// Scales from 0 to a round number at or above the maximum, in about three steps.
export const counts = (values) => linearScale(values, 10, [1, 2, 2.5, 5, 10]);
export const bytes = (values) => linearScale(values, 1024, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);

function linearScale(values, base, rounds) {
  const most = Math.max(...values, 0);
  const rough = (most || 1) / 3;
  const power = base ** Math.floor(Math.log(rough) / Math.log(base) + 1e-9);
  const step = rounds.map((n) => n * power).find((n) => n >= rough * 0.999);
  const steps = Math.max(1, Math.ceil(most / step));
  return {
    ticks: Array.from({ length: steps + 1 }, (_, n) => n * step),
    place: (value) => value / (steps * step),
  };
}

// A logarithmic scale of whole powers of ten around the values; at least two, so that a flat line does not fill the chart.
export function durations(values) {
  const known = values.filter((value) => value > 0);
  let low = Math.floor(Math.log10(Math.min(...(known.length ? known : [1e-4]))));
  let high = Math.ceil(Math.log10(Math.max(...(known.length ? known : [1e-2]))));
  if (high - low < 2) [low, high] = [Math.min(low, high - 2), high];
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n)),
    place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  };
}
