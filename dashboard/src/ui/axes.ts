/** What all charts have in common. */

import type uPlot from 'uplot';
import { clock, day, minute } from '../pure/format';
import { colour } from '../theme';

const FONT = '11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';

/** Room for a label with seconds, and for one without, px. */
const SECONDS = 66;
const MINUTES = 40;

/** Labels that reach beyond the right edge would be cut. */
const EDGE = 14;

/** On a narrow chart there is room for minutes where there is none for seconds. */
function space(_u: uPlot, _axis: number, from: number, to: number, width: number): number {
  const minuteWidth = (60 * width) / Math.max(1, to - from);
  return minuteWidth >= MINUTES && minuteWidth < SECONDS ? MINUTES : SECONDS;
}

/** Room for the labels of the vertical axis: the same for all charts, so that their seconds are above each other. */
const LEFT = 58;

export function timeAxis(isShown: boolean): uPlot.Axis {
  if (!isShown) return { show: false };
  return {
    stroke: colour('soft'), font: FONT, size: 26, gap: 4, space,
    grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false },
    values: (u, splits, _axis, _space, step) => splits.map((at) => (u.valToPos(at, 'x') > u.bbox.width / devicePixelRatio - EDGE ? '' : words(at, step))),
  };
}

/** A label of the time axis: midnight is the day, where charts are longer than one. */
function words(at: number, step: number): string {
  if (step < 60) return clock(at);
  return step >= 3600 && minute(at) === '00:00' ? day(at) : minute(at);
}

export function valueAxis(words: (value: number) => string, space = 34): uPlot.Axis {
  return {
    stroke: colour('soft'), font: FONT, size: LEFT, gap: 6, space,
    grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false },
    values: (_, splits) => splits.map((value) => (value === 0 ? '0' : words(value))),
  };
}

/** Gaps that are bridged: a sample comes once a round trip, not every second. */
const BRIDGE_S = 3.5;

/** Drops the gaps that are too short to mean anything. */
export function shortGapsBridged(u: uPlot, _series: number, _from: number, _to: number, gaps: [number, number][]): [number, number][] {
  const pixels = u.valToPos(BRIDGE_S, 'x', true) - u.valToPos(0, 'x', true);
  return gaps.filter(([from, to]) => to - from > pixels);
}

/** A colour with an alpha, as canvases want it. */
export function faded(name: string, percent: number): string {
  return `color-mix(in srgb, ${colour(name)} ${percent}%, transparent)`;
}

/** Fills spans of seconds behind the series. */
export function shade(u: uPlot, spans: [number, number][], fill: string): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = fill;
  for (const [from, to] of spans) {
    const left = Math.max(bbox.left, u.valToPos(from - 0.5, 'x', true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(to + 0.5, 'x', true));
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

/** A vertical line at a moment. */
export function mark(u: uPlot, at: number, stroke: string, dash: number[] = []): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(at, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
