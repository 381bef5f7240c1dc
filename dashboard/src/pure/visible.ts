/** Which rows of a long list are drawn. */

export interface Visible {
  first: number;
  /** Behind the last. */
  end: number;
  /** Heights of what stands for the rows that are not drawn. */
  before: number;
  after: number;
}

/** Rows beyond the edges that are drawn as well, so that scrolling shows no blank. */
const MARGIN = 8;

export function visible(rows: number, rowHeight: number, scrolled: number, height: number): Visible {
  const clamp = (row: number) => Math.max(0, Math.min(rows, row));
  const first = clamp(Math.floor(scrolled / rowHeight) - MARGIN);
  const end = clamp(Math.ceil((scrolled + height) / rowHeight) + MARGIN);
  // Scrolled beyond a list that has become shorter: the last rows.
  const start = Math.min(first, Math.max(0, rows - Math.ceil(height / rowHeight) - MARGIN));
  return { first: start, end, before: start * rowHeight, after: (rows - end) * rowHeight };
}
