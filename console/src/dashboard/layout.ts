/** Rows and panels: which belong together, and where they stand on a wide and on a narrow screen. */
import type { GridPos, Panel } from './model';

/** A row with the panels under it. Panels before the first row have a section without one. */
export interface Section {
  row: Panel | undefined;
  panels: Panel[];
}

/** Grafana's grid: 24 columns; a unit of height is 30 px and a gap of 8 px lies between units. */
export const COLUMNS = 24;
export const UNIT_PIXELS = 30;
export const GAP_PIXELS = 8;

export function sections(panels: readonly Panel[]): Section[] {
  const ordered = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const found: Section[] = [{ row: undefined, panels: [] }];
  for (const panel of ordered) {
    // A collapsed row holds its panels itself; those of an open one follow it in the list.
    if (panel.type === 'row') found.push({ row: panel, panels: [...(panel.panels ?? [])] });
    else found[found.length - 1]!.panels.push(panel);
  }
  return found.filter(({ row, panels: inside }) => row || inside.length > 0);
}

export interface Placement {
  column: string;
  row: string;
}

/** CSS grid lines, counted from the section's first line. */
export function placement({ x, y, w, h }: GridPos, top: number): Placement {
  return { column: `${x + 1} / span ${Math.min(w, COLUMNS - x)}`, row: `${y - top + 1} / span ${h}` };
}

export function sectionTop(panels: readonly Panel[]): number {
  return Math.min(...panels.map(({ gridPos }) => gridPos.y));
}

export function heightPixels(h: number): number {
  return h * UNIT_PIXELS + (h - 1) * GAP_PIXELS;
}

/** Panels that stand in one grid together, or one that has the page's width and its own height. */
export type Band = { kind: 'grid'; panels: Panel[] } | { kind: 'fitted'; panel: Panel };

/** A table of full width is as tall as its rows, up to the height it was given: three hosts need no room for thirty. */
export function bands(panels: readonly Panel[]): Band[] {
  const found: Band[] = [];
  for (const panel of panels) {
    const last = found[found.length - 1];
    if (panel.type === 'table' && panel.gridPos.w === COLUMNS) found.push({ kind: 'fitted', panel });
    else if (last?.kind === 'grid') last.panels.push(panel);
    else found.push({ kind: 'grid', panels: [panel] });
  }
  return found;
}

/** On a narrow screen single numbers stand in pairs, everything else takes the whole width. */
export function narrowSpan({ w }: GridPos): number {
  return w <= 6 ? COLUMNS / 2 : COLUMNS;
}

const FALLBACK: GridPos = { x: 0, y: 0, w: 12, h: 8 };

/** Panels of hand-written files may lack a place or an id. */
export function completed(panels: readonly Panel[]): Panel[] {
  return panels.map((panel, i) => ({
    ...panel,
    id: panel.id ?? 10_000 + i,
    gridPos: { ...FALLBACK, ...panel.gridPos },
    ...(panel.panels ? { panels: completed(panel.panels) } : {}),
  }));
}
