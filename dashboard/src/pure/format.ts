/** Numbers, units and moments in words. What is null was not measured and reads as a dash. */

export const NONE = '–';

const formats = new Map<number, Intl.NumberFormat>();

export function number(value: number, digits: number): string {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat('en', { maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

/** A round trip or a wait in µs. */
export function time(us: number | null | undefined): string {
  if (us == null) return NONE;
  if (us >= 999_500) return `${number(us / 1e6, us < 9.95e6 ? 2 : 1)} s`;
  if (us >= 9_995) return `${number(us / 1e3, 0)} ms`;
  return us >= 999.5 ? `${number(us / 1e3, 1)} ms` : `${number(us, us < 10 ? 1 : 0)} µs`;
}

/** A chance, 0 to 1. Never rounded to certainty. */
export function chance(share: number | null | undefined): string {
  if (share == null) return NONE;
  if (share > 0 && share < 0.005) return '<1 %';
  if (share < 1 && share >= 0.995) return '>99 %';
  return `${number(share * 100, 0)} %`;
}

export function percent(value: number | null | undefined): string {
  return value == null ? NONE : `${number(value, 0)} %`;
}

/** A value in the unit of its signal or feature. */
export function quantity(value: number | null | undefined, unit: string): string {
  if (value == null) return NONE;
  if (unit === 'µs') return time(value);
  if (unit.startsWith('bytes')) {
    const per = unit.slice('bytes'.length);
    if (value >= 1e6) return `${number(value / 1e6, 1)} MB${per}`;
    return value >= 1e3 ? `${number(value / 1e3, 0)} kB${per}` : `${number(value, 0)} B${per}`;
  }
  if (unit === 'ratio') return `${number(value * 100, value < 0.1 ? 1 : 0)} %`;
  return number(value, value < 10 ? 1 : 0) + (unit === '1' ? '' : ` ${unit}`);
}

const clocks = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** The time of day. */
export function clock(unix: number): string {
  return clocks.format(unix * 1000);
}

/** The day of the year. */
export function day(unix: number): string {
  return days.format(unix * 1000);
}

/** The time of day without seconds. */
export function minute(unix: number): string {
  return clock(unix).slice(0, 5);
}

/** The time of day, with its date unless it is that of `now`. */
export function moment(unix: number, now: number): string {
  const [day, today] = [days.format(unix * 1000), days.format(now * 1000)];
  return day === today ? clock(unix) : `${day}, ${clock(unix)}`;
}

/** A span of seconds in its largest unit, or in two of them. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${number(whole / 86_400, 1)} d`;
}
