import { useEffect, useRef } from 'preact/hooks';
import { colour } from '../theme';

type Values = (number | null)[];

interface Line {
  values: Values;
  colour: 'measured' | 'forecast' | 'chance';
  isArea?: boolean;
  width?: number;
}

interface Props {
  lines: Line[];
  /** A dashed level. */
  level: number | null;
  /** The most that is drawn; what is higher stands at the upper edge. */
  top: number;
  width: number;
  height: number;
  isDark: boolean;
}

/** A small chart without axes. The figures beside it say the same, so it is hidden from screen readers. */
export function Spark({ lines, level, top, width, height, isDark }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!canvas.current || !context) return;
    const scale = devicePixelRatio || 1;
    canvas.current.width = width * scale;
    canvas.current.height = height * scale;
    context.scale(scale, scale);
    const y = (value: number) => 1 + (height - 2) * (1 - Math.min(value, top) / (top || 1));
    for (const line of lines) draw(context, line, width, height, y);
    if (level != null) {
      context.strokeStyle = colour('bad');
      context.setLineDash([4, 3]);
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(0, y(level));
      context.lineTo(width, y(level));
      context.stroke();
      context.setLineDash([]);
    }
  }, [lines, level, top, width, height, isDark]);
  return <canvas ref={canvas} class="spark" style={{ width: `${width}px`, height: `${height}px` }} aria-hidden="true" />;
}

/** Gaps of up to this many places are bridged: samples come once a round trip. */
const BRIDGE = 2;

function draw(context: CanvasRenderingContext2D, line: Line, width: number, height: number, y: (value: number) => number): void {
  const { values } = line;
  const x = (at: number) => (at * width) / Math.max(1, values.length - 1);
  let from: number | null = null;
  let before: number | null = null;
  context.strokeStyle = context.fillStyle = colour(line.colour);
  context.lineWidth = line.width ?? 1.5;
  context.lineJoin = 'round';
  context.beginPath();
  const close = () => {
    if (from == null || before == null) return;
    if (line.isArea) {
      context.lineTo(x(before), height);
      context.lineTo(x(from), height);
      context.closePath();
    } else if (from === before) {
      context.lineTo(x(from) + 1, y(values[from] ?? 0));
    }
  };
  values.forEach((value, at) => {
    if (value == null) return;
    if (before == null || at - before > BRIDGE) {
      close();
      from = at;
      context.moveTo(x(at), y(value));
    } else {
      context.lineTo(x(at), y(value));
    }
    before = at;
  });
  close();
  if (line.isArea) {
    context.globalAlpha = 0.55;
    context.fill();
    context.globalAlpha = 1;
  } else {
    context.stroke();
  }
}
