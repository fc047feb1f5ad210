// The moving picture of a source: its log-mel as the model sees it, a lane of scores for
// every label with its threshold, and what was reported along the same clock.
//
// Columns and score frames are kept in rings of numbers and drawn from there, so a change
// of theme or size redraws everything. The right edge runs smoothly a little behind what
// has arrived; with reduced motion it moves once a second.

import { axisTimeOf, colourIndex, hourOf, readable } from "./format.js";
import { colours, isDark } from "./palette.js";

export const SPAN = 30; // s that are shown
export const LANE = 20; // px, unless there is room for more
export const SPECTRUM = 132; // px, likewise
export const AXIS = 20; // px
const LAG = 0.9; // s that the edge stays behind what arrived, to move evenly
const N_COLUMNS = 2048;
const N_SCORES = 1024;
const OTHER = 2; // s that the beginning moves by if another stream began
const CONTRAST = 85; // levels from dark to bright at least: 51 dB

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.labels = [];
    this.lane = LANE;
    this.spectrum = SPECTRUM;
    this.thresholds = [];
    this.events = [];
    this.edge = null; // s of the stream at the right
    this.arrived = 0; // s of the stream that are known
    this.origin = 0;
    this.dirty = true;
    this.drawnAt = 0;
    this.low = 0;
    this.high = CONTRAST;
    this.ring = null;
    this.style = null;
    this.forget();
  }

  forget() {
    this.columnEnd = 0;
    this.scoreEnd = 0;
    this.columnStart = Infinity;
    this.scoreStart = Infinity;
    this.edge = null;
  }

  // Take one step of the stream; says whether the labels changed.
  take(step) {
    let isNew = false;
    if (step.labels) {
      isNew = step.labels.join() !== this.labels.join() || this.bands !== step.bands;
      this.labels = step.labels;
      this.thresholds = step.thresholds;
      if (isNew || step.first + 5 < this.columnEnd - N_COLUMNS) this.forget();
    }
    if (!this.labels.length || !step.bands) return isNew;
    if (!this.ring || this.bands !== step.bands) this.prepare(step.bands);
    if (Math.abs(step.origin - this.origin) > OTHER || step.first > this.columnEnd + N_COLUMNS) this.forget();
    this.origin = step.origin;
    this.column = step.column;
    this.frame = step.frame;
    this.takeColumns(step.first, bytes(step.levels));
    this.takeScores(step.first_score, bytes(step.scores));
    this.arrived = this.columnEnd * this.column;
    this.dirty = true;
    return isNew;
  }

  prepare(bands) {
    this.bands = bands;
    this.ring = new Uint8Array(N_COLUMNS * bands);
    this.film = new OffscreenCanvas(N_COLUMNS, bands);
    this.filmContext = this.film.getContext("2d");
    this.scores = new Uint8Array(0);
    this.theme = null;
  }

  takeColumns(first, levels) {
    const n = levels.length / this.bands;
    for (let i = 0; i < n; i++) {
      const at = ((first + i) % N_COLUMNS) * this.bands;
      this.ring.set(levels.subarray(i * this.bands, (i + 1) * this.bands), at);
    }
    this.columnStart = Math.max(Math.min(this.columnStart, first), first + n - N_COLUMNS);
    this.columnEnd = Math.max(this.columnEnd, first + n);
    this.adapt();
    if (this.theme !== null) this.paint(first, first + n);
  }

  takeScores(first, values) {
    const width = this.labels.length;
    if (this.scores.length !== N_SCORES * width) this.scores = new Uint8Array(N_SCORES * width);
    const n = values.length / width;
    for (let i = 0; i < n; i++) {
      const at = ((first + i) % N_SCORES) * width;
      this.scores.set(values.subarray(i * width, (i + 1) * width), at);
    }
    this.scoreStart = Math.max(Math.min(this.scoreStart, first), first + n - N_SCORES);
    this.scoreEnd = Math.max(this.scoreEnd, first + n);
  }

  // Round frequencies, and how far up they are; bands are even on Slaney's mel scale.
  static pitches(span) {
    if (!span) return [];
    const mel = (hz) => (hz < 1000 ? hz * 3 / 200 : 15 + 27 * Math.log(hz / 1000) / Math.log(6.4));
    const [low, high] = span.map(mel);
    return [[250, "250"], [1000, "1k"], [4000, "4k"], [16000, "16k"]]
      .map(([hz, words]) => [words, (mel(hz) - low) / (high - low)])
      .filter(([, share]) => share > 0.03 && share < 0.97);
  }

  get height() {
    return this.spectrum + this.labels.length * this.lane + AXIS;
  }

  // Take as much room as there is, in px, from the least height on.
  fit(room) {
    const n = Math.max(1, this.labels.length);
    this.lane = Math.max(LANE, Math.min(40, Math.floor((0.62 * (room - AXIS)) / n)));
    this.spectrum = Math.max(SPECTRUM, Math.floor(room - AXIS - n * this.lane));
    this.dirty = true;
  }

  // The newest score of a label, from 0 to 1.
  score(index) {
    if (!this.scoreEnd) return 0;
    const width = this.labels.length;
    return this.scores[((this.scoreEnd - 1) % N_SCORES) * width + index] / 255;
  }

  // Choose which levels are dark and which bright, from what is shown.
  adapt() {
    const counts = new Uint32Array(256);
    let total = 0;
    const from = Math.max(this.columnStart, this.columnEnd - Math.round(SPAN / this.column));
    for (let i = from; i < this.columnEnd; i += 3) {
      const at = (i % N_COLUMNS) * this.bands;
      for (let band = 0; band < this.bands; band += 2) {
        const level = this.ring[at + band];
        if (level) { counts[level]++; total++; } // digital silence does not count
      }
    }
    const at = (share) => {
      let sum = 0;
      for (let level = 0; level < 256; level++) if ((sum += counts[level]) > share * total) return level;
      return 255;
    };
    if (!total) return;
    const high = at(0.997);
    const low = Math.max(0, Math.min(at(0.3), high - CONTRAST));
    if (Math.abs(low - this.low) > 8 || Math.abs(high - this.high) > 8) {
      [this.low, this.high] = [low, high];
      this.theme = null; // everything is repainted
    }
  }

  paint(first, last) {
    const table = colours(this.theme);
    const width = Math.max(1, this.high - this.low);
    for (let begin = first; begin < last;) {
      const place = begin % N_COLUMNS;
      const n = Math.min(last - begin, N_COLUMNS - place);
      const image = new ImageData(n, this.bands);
      const pixels = new Uint32Array(image.data.buffer);
      for (let i = 0; i < n; i++) {
        const at = (place + i) * this.bands;
        for (let band = 0; band < this.bands; band++) {
          const share = (this.ring[at + band] - this.low) / width;
          const level = Math.max(0, Math.min(255, Math.round(255 * share)));
          pixels[(this.bands - 1 - band) * n + i] = table[level];
        }
      }
      this.filmContext.putImageData(image, place, 0);
      begin += n;
    }
  }

  // Draw, if something changed; `now` in ms as of requestAnimationFrame.
  draw(now, isReduced) {
    if (!this.ring || !this.columnEnd) return;
    const passed = Math.min(1, (now - this.drawnAt) / 1000);
    if (isReduced && passed < 1) return;
    if (passed < 0.03 && !this.dirty) return;
    this.drawnAt = now;
    const goal = this.arrived - LAG;
    const off = this.edge === null ? Infinity : goal - this.edge;
    if (Math.abs(off) > 2.5 || isReduced) this.edge = goal;
    else this.edge = Math.min(this.arrived, this.edge + passed * Math.max(0, 1 + 0.6 * off));
    const dark = isDark();
    if (this.theme !== dark) {
      this.theme = dark;
      this.style = styleOf(this.canvas);
      this.paint(Math.max(this.columnStart, this.columnEnd - N_COLUMNS), this.columnEnd);
    }
    this.dirty = false;
    this.drawAll();
  }

  drawAll() {
    const ratio = Math.min(3, devicePixelRatio || 1);
    const width = this.canvas.clientWidth;
    const { height } = this;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const start = this.edge - SPAN;
    const x = (seconds) => ((seconds - start) / SPAN) * width;
    this.drawSpectrum(context, x, start, width);
    this.labels.forEach((label, index) => {
      this.drawLane(context, x, start, index, this.spectrum + index * this.lane, width);
    });
    this.drawEvents(context, x, start);
    this.drawAxis(context, x, start, height - AXIS);
  }

  drawSpectrum(context, x, start, width) {
    context.fillStyle = this.style.ground;
    context.fillRect(0, 0, width, this.spectrum);
    const first = Math.max(this.columnStart, Math.floor(start / this.column));
    const last = Math.min(this.columnEnd, Math.ceil(this.edge / this.column));
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    for (let begin = first; begin < last;) {
      const place = begin % N_COLUMNS;
      const n = Math.min(last - begin, N_COLUMNS - place);
      const left = x(begin * this.column);
      const right = x((begin + n) * this.column);
      context.drawImage(this.film, place, 0, n, this.bands, left, 0, right - left, this.spectrum);
      begin += n;
    }
  }

  drawLane(context, x, start, index, top, width) {
    const line = this.thresholds[index] ?? 0.5;
    const bottom = top + this.lane - 5;
    const y = (score) => bottom - score * (this.lane - 7);
    const first = Math.max(this.scoreStart, Math.floor(start / this.frame));
    const last = Math.min(this.scoreEnd, Math.ceil(this.edge / this.frame));
    context.fillStyle = this.style.line;
    context.fillRect(0, bottom + 3.5, width, 1);
    if (last <= first) return;
    const area = new Path2D();
    const n = this.labels.length;
    area.moveTo(x(first * this.frame), bottom);
    for (let i = first; i < last; i++) {
      area.lineTo(x((i + 0.5) * this.frame), y(this.scores[(i % N_SCORES) * n + index] / 255));
    }
    area.lineTo(x(last * this.frame), bottom);
    area.closePath();
    const colour = this.style.labels[colourIndex(this.labels[index])];
    context.globalAlpha = 0.32;
    context.fillStyle = colour;
    context.fill(area);
    context.globalAlpha = 1;
    context.save();
    context.beginPath();
    context.rect(0, top, width, y(line) - top);
    context.clip();
    context.fill(area);
    context.restore();
    context.strokeStyle = this.style.faint;
    context.globalAlpha = 0.7;
    context.setLineDash([1, 4]);
    context.beginPath();
    context.moveTo(0, Math.round(y(line)) + 0.5);
    context.lineTo(width, Math.round(y(line)) + 0.5);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // What was reported: hatched while it may change, solid when it is settled.
  drawEvents(context, x, start) {
    for (const event of this.events) {
      const index = this.labels.indexOf(event.label);
      if (index < 0 || (event.state === "withdrawn" && !event.offset)) continue;
      const begin = event.onset.getTime() / 1000 - this.origin;
      const end = event.offset ? event.offset.getTime() / 1000 - this.origin : this.edge;
      if (end < start || begin > this.edge) continue;
      const left = Math.max(0, x(begin));
      const right = Math.max(left + 2, x(Math.min(end, this.edge)));
      const top = this.spectrum + (index + 1) * this.lane - 4;
      context.fillStyle = this.style.labels[colourIndex(event.label)];
      if (event.state === "closed") {
        context.beginPath();
        context.roundRect(left, top, right - left, 3.5, 1.75);
        context.fill();
      } else if (event.state === "withdrawn") {
        context.fillStyle = this.style.faint;
        for (let at = left; at < right; at += 6) context.fillRect(at, top + 1, 2, 1.5);
      } else {
        for (let at = left; at < right; at += 5) {
          context.fillRect(at, top, Math.min(3, right - at), 3.5);
        }
      }
    }
  }

  drawAxis(context, x, start, top) {
    context.fillStyle = this.style.quiet;
    context.font = `11px ${this.style.font}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    const step = this.canvas.clientWidth < 300 ? 15 : 10;
    const zone = new Date().getTimezoneOffset() * 60;
    const first = Math.ceil((this.origin + start - zone) / step) * step + zone;
    for (let clock = first; clock < this.origin + this.edge; clock += step) {
      const at = x(clock - this.origin);
      if (at < 26 || at > this.canvas.clientWidth - 26) continue;
      context.fillText(axisTimeOf(new Date(clock * 1000)), at, top + AXIS / 2 + 2);
      context.fillRect(Math.round(at), top, 1, 4);
    }
  }
}

function styleOf(element) {
  const style = getComputedStyle(element);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    ground: value("--ground"), line: value("--line"), faint: value("--faint"),
    quiet: value("--quiet"), font: style.fontFamily,
    labels: Array.from({ length: 10 }, (_, i) => value(`--label-${i}`)),
  };
}

// For those who cannot see the picture.
export function describe(source, picture) {
  const active = picture.labels.filter((_, i) => picture.score(i) >= (picture.thresholds[i] ?? 0.5));
  const now = active.length ? active.map(readable).join(", ") : "nothing above its threshold";
  return `Picture of the last ${SPAN} s of ${source}, up to ${hourOf(new Date())}: ${now}`;
}
