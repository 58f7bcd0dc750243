// The two charts of a revision, drawn by uPlot from columns of samples.

import { clock, load, roughClock } from "./format.js";

const HEIGHT = 230;
const NARROWEST = 300; // seconds on the charts
const PODS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000]; // apart on the axis

export class Charts {
  /** Draw anew into two elements, in the colours of the present theme. */
  constructor(loads, pods, samples, { target, unit }) {
    this.samples = samples;
    this.target = target;
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const data = this.#data();
    this.charts = [
      this.#make(loads, data[0], unit, this.#loadLines(), {}),
      this.#make(pods, data[1], "pods", this.#podLines(), {
        bands: [
          { series: [1, 2], fill: this.colour("band") },
          { series: [4, 3], fill: this.colour("violet-soft") },
        ],
      }),
    ];
  }

  /** Take in other samples. */
  update(samples, target) {
    this.samples = samples;
    this.target = target;
    this.#data().forEach((data, place) => this.charts[place].setData(data));
  }

  resize() {
    for (const chart of this.charts) {
      const width = chart.root.parentElement?.clientWidth;
      if (width) chart.setSize({ width, height: HEIGHT });
    }
  }

  destroy() {
    for (const chart of this.charts) chart.destroy();
  }

  #data() {
    const s = this.samples;
    const capacity = s.ready.map((ready) => ready * this.target);
    const most = Math.max(...s.recommended, ...s.requested, ...s.ready, 2) * 1.5; // far limits would flatten the rest
    const limited = s.upper.map((pods) => (pods ? Math.min(pods, most) : null));
    const least = s.upper.map((pods, place) => (pods ? s.lower[place] : null));
    this.limits = s.upper;
    return [
      [s.at, s.stable, s.panic, capacity],
      [s.at, limited, least, s.held, s.recommended, s.ready, s.requested],
    ];
  }

  #loadLines() {
    const value = latest(load);
    return [
      this.#line("stable window", "blue", { value, width: 2 }),
      this.#line("panic window", "orange", { value, dash: [3, 2] }),
      this.#line("target of all ready pods", "quiet", { value, dash: [8, 4], paths: stepped() }),
    ];
  }

  #podLines() {
    const whole = { value: latest((pods) => (pods === null ? "–" : pods)), paths: stepped() };
    const limit = { ...whole, value: latest((pods, place) => (pods === null ? "–" : this.limits[place])) };
    return [
      this.#line("most by rate", "blue", { ...limit, width: 1, dash: [1, 3] }),
      this.#line("least by rate", "blue", { ...whole, width: 1, dash: [1, 3] }),
      this.#line("before delay", "violet", { ...whole, dash: [6, 3] }),
      this.#line("recommended", "orange", { ...whole, dash: [3, 2] }),
      this.#line("ready", "green", { ...whole, width: 3.5, fill: this.colour("green-soft") }),
      this.#line("requested", "blue", whole),
    ];
  }

  #line(label, colour, more) {
    return { label, stroke: this.colour(colour), width: 1.5, points: { show: false }, ...more };
  }

  #make(place, data, unit, lines, more) {
    const time = { label: "Time", value: (chart, at, series, index) => (index === null ? "now" : clock(at)) };
    const pods = unit === "pods" ? { incrs: PODS } : {};
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      series: [time, ...lines],
      axes: [
        { ...this.#axis(), size: 30, space: 64, values: timesOf },
        { ...this.#axis(), label: unit, labelSize: 20, labelFont: "12px system-ui", labelGap: 2, size: sizeOf, ...pods },
      ],
      scales: {
        x: { range: (chart, from, to) => [Math.min(from, to - NARROWEST), to] },
        y: { range: (chart, least, most) => [0, Math.max(1, most * 1.1)] },
      },
      legend: { markers: { dash: (chart, series) => styleOf(chart.series[series].dash) } },
      cursor: { sync: { key: "revision" }, drag: { x: false, y: false } },
      hooks: { drawClear: [(chart) => this.#panic(chart)] },
      ...more,
    };
    place.replaceChildren();
    return new uPlot(options, data, place);
  }

  #axis() {
    const thin = { stroke: this.colour("line"), width: 1 };
    return { stroke: this.colour("quiet"), grid: thin, ticks: thin, font: "12px system-ui" };
  }

  /** Shade the times in panic, and say what they are. */
  #panic(chart) {
    const { at, panicking } = this.samples;
    const { left, top, width, height } = chart.bbox;
    const pen = chart.ctx;
    const ratio = devicePixelRatio || 1;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    pen.font = `${11 * ratio}px system-ui`;
    pen.textBaseline = "top";
    pen.textAlign = "left";
    for (let place = 0; place < at.length; place++) {
      if (!panicking[place] || panicking[place - 1]) continue;
      let end = place;
      while (end + 1 < at.length && panicking[end]) end++;
      const from = chart.valToPos(at[place], "x", true);
      const wide = Math.max(2 * ratio, chart.valToPos(at[end], "x", true) - from);
      pen.fillStyle = this.colour("red-soft");
      pen.fillRect(from, top, wide, height);
      pen.fillStyle = this.colour("red");
      pen.fillRect(from, top, wide, 2 * ratio);
      if (wide > pen.measureText("panic").width + 8 * ratio) pen.fillText("panic", from + 4 * ratio, top + 5 * ratio);
    }
    pen.restore();
  }
}

/** The border that looks like a line. */
const styleOf = (dash) => (!dash ? "solid" : dash[0] < 3 ? "dotted" : "dashed");

const stepped = () => uPlot.paths.stepped({ align: 1 });

/** The value under the pointer; the last one where there is no pointer. */
function latest(write) {
  return (chart, value, series, index) => {
    const place = index ?? chart.data[0].length - 1;
    return write(chart.data[series][place] ?? null, place);
  };
}

function timesOf(chart, times, axis, space, apart) {
  return times.map(apart < 60 ? clock : roughClock);
}

function sizeOf(chart, values) {
  return 22 + 7 * Math.max(1, ...(values ?? []).map((value) => value.length));
}
