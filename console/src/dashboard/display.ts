/** From a cell to what is shown: mappings first, then the unit; colour from mapping, thresholds or a fixed choice. */
import type { Cell } from '../data/frame';
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

export function display(cell: Cell, config: FieldConfig): Display {
  const mapping = mapped(cell, config.mappings ?? []);
  const color = mapping?.color ?? colorOf(cell, config);
  if (mapping?.text !== undefined) return { prefix: '', text: mapping.text, suffix: '', color, mapped: true };
  if (cell === null) return { prefix: '', text: config.noValue ?? '–', suffix: '', color: undefined, mapped: false };
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
    case 'regex': return cell !== null && new RegExp(mapping.options.pattern).test(String(cell)) ? mapping.options.result : undefined;
    case 'special': return isSpecial(cell, mapping.options.match) ? mapping.options.result : undefined;
  }
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

function colorOf(cell: Cell, config: FieldConfig): string | undefined {
  switch (config.color?.mode) {
    case 'fixed': return config.color.fixedColor;
    case 'thresholds':
    case undefined: return typeof cell === 'number' ? thresholdColor(cell, config) : undefined;
    default: return undefined;
  }
}

/** The last step not above the value. Percentage steps count between min and max (0 and 100 when open). */
export function thresholdColor(value: number, config: FieldConfig): string | undefined {
  const { mode, steps = [] } = config.thresholds ?? {};
  const [low, high] = [config.min ?? 0, config.max ?? 100];
  const at = mode === 'percentage' ? ((value - low) / (high - low || 1)) * 100 : value;
  return steps.findLast((step: ThresholdStep) => step.value === null || at >= step.value)?.color;
}
