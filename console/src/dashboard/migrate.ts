/** Panels of older Grafana versions in the form of today's: `graph`, `singlestat`, old tables and texts, and `rows`. */
import { COLUMNS } from './layout';
import { graphPanel } from './migrateGraph';
import { singlestatPanel } from './migrateSinglestat';
import type { Dashboard, Panel } from './model';

/** A row of schema version 15 and before: panels side by side, each so many twelfths wide. */
export interface OldRow {
  title?: string;
  showTitle?: boolean;
  collapse?: boolean;
  height?: number | string;
  repeat?: string | null;
  panels?: OldPanel[];
}

/** A panel as older versions stored it: options beside each other, and a width in twelfths. */
export type OldPanel = Omit<Panel, 'gridPos'> & Partial<Pick<Panel, 'gridPos'>> & { span?: number; height?: number | string } & Record<string, unknown>;

export function migrated(dashboard: Dashboard & { rows?: OldRow[] }): Dashboard {
  const panels = Array.isArray(dashboard.panels) && dashboard.panels.length > 0 ? dashboard.panels : panelsOfRows(dashboard.rows ?? []);
  return { ...dashboard, panels: panels.map(migratedPanel) };
}

function migratedPanel(panel: Panel): Panel {
  const inside = panel.panels ? { panels: panel.panels.map(migratedPanel) } : {};
  const old = { ...panel, ...inside } as Panel & Record<string, unknown>;
  switch (panel.type) {
    case 'graph': return graphPanel(old);
    case 'singlestat':
    case 'grafana-singlestat-panel': return singlestatPanel(old);
    case 'table-old': return { ...old, type: 'table' };
    case 'text': return old.options || old['content'] === undefined ? old : { ...old, options: { mode: old['mode'] ?? 'markdown', content: old['content'] } };
    default: return old;
  }
}

const ROW_PIXELS = 250;
/** A unit of the grid with its gap. */
const UNIT_PIXELS = 38;
const OLD_COLUMNS = 12;

/** Grafana's own conversion: twice as many columns, heights in units, a panel below where it does not fit beside. */
export function panelsOfRows(rows: readonly OldRow[]): Panel[] {
  const titled = rows.some(({ title, showTitle, collapse, repeat }) => collapse || repeat || (showTitle && title));
  const found: Panel[] = [];
  let y = 0;
  let id = Math.max(0, ...rows.flatMap(({ panels = [] }) => panels.map((panel) => panel.id ?? 0)));
  for (const { title = 'Row', collapse = false, height = ROW_PIXELS, repeat, panels = [] } of rows) {
    const top = titled ? y + 1 : y;
    const placed = placedPanels(panels, units(height), top);
    const row: Panel = { id: ++id, type: 'row', title, collapsed: collapse, gridPos: { x: 0, y, w: COLUMNS, h: 1 }, ...(repeat ? { repeat } : {}) };
    if (titled) found.push(collapse ? { ...row, panels: placed } : row);
    if (!titled || !collapse) found.push(...placed);
    y = collapse ? top : Math.max(top, ...placed.map(({ gridPos }) => gridPos.y + gridPos.h));
  }
  return found;
}

function placedPanels(panels: readonly OldPanel[], rowHeight: number, top: number): Panel[] {
  let [x, y, tallest] = [0, top, 0];
  return panels.map(({ span, height, ...panel }): Panel => {
    const w = Math.max(1, Math.min(COLUMNS, Math.round(((span ?? 4) * COLUMNS) / OLD_COLUMNS)));
    const h = height === undefined ? rowHeight : units(height);
    if (x + w > COLUMNS) [x, y, tallest] = [0, y + tallest, 0];
    const gridPos = { x, y, w, h };
    x += w;
    tallest = Math.max(tallest, h);
    return { ...panel, gridPos } as Panel;
  });
}

function units(height: number | string): number {
  const pixels = typeof height === 'number' ? height : parseInt(height, 10) || ROW_PIXELS;
  return Math.max(3, Math.ceil(pixels / UNIT_PIXELS));
}
