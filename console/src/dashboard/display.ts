/** From a cell to what is shown: mappings first, then the unit; colour from mapping, thresholds or a fixed choice. */
import type { Cell } from '../data/frame';
import { toRegex } from '../data/regex';
import { formatParts } from '../format/units';
import type { FieldConfig, Mapping, MappingResult, ThresholdStep } from './model';

export interface Display {
  prefix: string;
  text: string;
  suffix: string;
  /** Colour as the dashboard names it ("green", "#ff0000"), for the theme to resolve. */
  color: string | undefined;
  /** Whether the text comes from a mapping. */
  mapped: boolean;
}

/** What a colour may depend on beside the cell: which of the series it is, and the values around it. */
export interface Surroundings {
  index?: number | undefined;
  /** Least and largest value, where the panel sets none. */
  range?: readonly [number, number] | undefined;
}

export function display(cell: Cell, config: FieldConfig, around: Surroundings = {}): Display {
  const mapping = mapped(cell, config.mappings ?? []);
  const color = mapping?.color ?? colorOf(cell, config, around);
  if (mapping?.text !== undefined) return { prefix: '', text: mapping.text, suffix: '', color, mapped: true };
  if (cell === null) return { prefix: '', text: config.noValue ?? '–', suffix: '', color: undefined, mapped: false };
  if (typeof cell === 'boolean' && config.unit?.startsWith('bool')) return { ...formatParts(Number(cell), config.unit), color, mapped: false };
  if (typeof cell !== 'number') return { prefix: '', text: String(cell), suffix: '', color, mapped: false };
  return { ...formatParts(cell, config.unit, config.decimals ?? undefined), color, mapped: false };
}

export function displayText(cell: Cell, config: FieldConfig): string {
  const { prefix, text, suffix } = display(cell, config);
  return prefix + text + suffix;
}

function mapped(cell: Cell, mappings: readonly Mapping[]): MappingResult | undefined {
  for (const mapping of mappings) {
    const result = mappedBy(cell, mapping);
    if (result) return result;
  }
  return undefined;
}

function mappedBy(cell: Cell, mapping: Mapping): MappingResult | undefined {
  switch (mapping.type) {
    case 'value': return cell === null ? undefined : mapping.options[String(cell)];
    case 'range': {
      const { from, to, result } = mapping.options;
      return typeof cell === 'number' && cell >= (from ?? -Infinity) && cell <= (to ?? Infinity) ? result : undefined;
    }
    case 'regex': return cell === null ? undefined : mappedByRegex(String(cell), mapping.options);
    case 'special': return isSpecial(cell, mapping.options.match) ? mapping.options.result : undefined;
  }
}

/** `$1` in the text stands for what the first group matched. */
function mappedByRegex(text: string, { pattern, result }: { pattern: string; result: MappingResult }): MappingResult | undefined {
  const regex = toRegex(pattern);
  if (!regex?.test(text)) return undefined;
  return result.text === undefined ? result : { ...result, text: text.replace(regex, result.text) };
}

function isSpecial(cell: Cell, match: string): boolean {
  switch (match) {
    case 'null': return cell === null;
    case 'nan': return Number.isNaN(cell);
    case 'null+nan': return cell === null || Number.isNaN(cell);
    case 'true': return cell === true;
    case 'false': return cell === false;
    case 'empty': return cell === '';
    default: return false;
  }
}

function colorOf(cell: Cell, config: FieldConfig, { index = 0, range }: Surroundings): string | undefined {
  const { mode = 'thresholds', fixedColor } = config.color ?? {};
  if (mode === 'fixed' || mode === 'shades') return fixedColor;
  if (mode.startsWith('palette-')) return `palette-${index}`;
  const value = typeof cell === 'boolean' ? Number(cell) : cell;
  if (typeof value !== 'number') return undefined;
  if (mode === 'thresholds') return thresholdColor(value, config, range);
  if (!mode.startsWith('continuous-')) return undefined;
  return `${mode}:${Math.max(0, Math.min(1, share(value, config, range))).toFixed(3)}`;
}

/** Where between the least and the largest value the value is. */
function share(value: number, { min, max }: FieldConfig, [least, largest]: readonly [number, number] = [0, 100]): number {
  const [low, high] = [min ?? least, max ?? largest];
  return (value - low) / (high - low || 1);
}

/** The last step not above the value. Percentage steps count between min and max, or what the values are between. */
export function thresholdColor(value: number, config: FieldConfig, range?: readonly [number, number]): string | undefined {
  const { mode, steps = [] } = config.thresholds ?? {};
  const at = mode === 'percentage' ? share(value, config, range) * 100 : value;
  return steps.findLast((step: ThresholdStep) => step.value === null || at >= step.value)?.color;
}

/** Least and largest number of columns. */
export function rangeOf(columns: readonly (readonly Cell[])[]): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const values of columns) {
    for (const value of values) {
      if (typeof value !== 'number' || Number.isNaN(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : undefined;
}
