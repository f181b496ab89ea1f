/** Panels and rows that are repeated for each chosen value of a variable. */
import type { VariableValue } from './interpolate';
import { COLUMNS, type Section } from './layout';
import type { Panel } from './model';

type Variables = Readonly<Record<string, VariableValue>>;

const PER_ROW = 4;
/** Copies of a panel within a copy of a row count up between those of two rows. */
const ROW_STEP = 1_000;

/** The sections of a page with everything repeated; what repeats for a variable that is unknown stands once. */
export function repeated(sections: readonly Section[], variables: Variables): Section[] {
  return sections.flatMap(({ row, panels }) => {
    const copies = row ? copiesOf(row, variables) : [undefined];
    return copies.map((copy, n): Section => {
      const own = copy?.fixed ? panels.map((panel): Panel => ({ ...panel, id: copyId(panel.id, n * ROW_STEP), fixed: copy.fixed })) : panels;
      return { row: copy, panels: repeatedPanels(own, variables) };
    });
  });
}

/** Side by side, as wide as fits, or below each other; what stands below them moves down. */
function repeatedPanels(panels: readonly Panel[], variables: Variables): Panel[] {
  const ordered = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const placed: Panel[] = [];
  /** How far panels at or below a line have moved. */
  const moves: { y: number; by: number }[] = [];
  for (const panel of ordered) {
    const moved = moves.reduce((sum, { y, by }) => (panel.gridPos.y >= y ? sum + by : sum), 0);
    const base = { ...panel.gridPos, y: panel.gridPos.y + moved };
    const copies = panel.repeat ? copiesOf(panel, variables) : [panel];
    const grid = panel.repeat && copies.some(({ fixed }) => fixed !== panel.fixed);
    const places = grid ? (panel.repeatDirection === 'v' ? below(base, copies.length) : beside(base, copies.length, panel.maxPerRow ?? PER_ROW)) : [base];
    copies.forEach((copy, i) => placed.push({ ...copy, gridPos: places[i]! }));
    const grown = Math.max(...places.map(({ y }) => y)) - base.y;
    if (grown > 0) moves.push({ y: panel.gridPos.y + panel.gridPos.h, by: grown });
  }
  return placed;
}

function beside(base: Panel['gridPos'], count: number, perRow: number): Panel['gridPos'][] {
  const across = Math.max(1, Math.min(count, perRow));
  const w = Math.max(1, Math.floor(COLUMNS / across));
  return Array.from({ length: count }, (_, i) => ({ ...base, w, x: (i % across) * w, y: base.y + Math.floor(i / across) * base.h }));
}

function below(base: Panel['gridPos'], count: number): Panel['gridPos'][] {
  return Array.from({ length: count }, (_, i) => ({ ...base, y: base.y + i * base.h }));
}

function copiesOf(panel: Panel, variables: Variables): Panel[] {
  const name = panel.repeat;
  const variable = name && Object.hasOwn(variables, name) ? { ...variables, ...panel.fixed }[name] : undefined;
  if (!name || !variable) return [panel];
  return variable.values.map((value, i): Panel => {
    const text = variable.texts?.[i];
    const one: VariableValue = { values: [value], ...(text === undefined ? {} : { texts: [text] }) };
    return { ...panel, id: copyId(panel.id, i), fixed: { ...panel.fixed, [name]: one } };
  });
}

/** The first keeps its id, so that a link to it stays good; the others have ids that no dashboard uses. */
function copyId(id: number, n: number): number {
  return n === 0 ? id : id + n * 1_000_000;
}
