/** `singlestat`, the panel of one number before there was `stat`. */
import type { FieldConfig, Mapping, Panel, ThresholdStep } from './model';

type Old = Panel & Record<string, unknown>;

const CALCS: Readonly<Record<string, string>> = {
  avg: 'mean', current: 'lastNotNull', total: 'sum', first: 'firstNotNull', min: 'min', max: 'max', range: 'range', delta: 'delta', diff: 'diff', last_time: 'lastNotNull',
}; // prettier-ignore

export function singlestatPanel(panel: Old): Panel {
  const gauge = panel['gauge'] as { show?: boolean; minValue?: number; maxValue?: number } | undefined;
  const sparkline = panel['sparkline'] as { show?: boolean } | undefined;
  const valueName = String(panel['valueName'] ?? 'avg');
  const field = String(panel['tableColumn'] ?? '');
  const colored = panel['colorBackground'] ? 'background' : panel['colorValue'] ? 'value' : 'none';
  const decimals = panel['decimals'];
  const defaults: FieldConfig = {
    unit: unitOf(panel),
    ...(typeof decimals === 'number' ? { decimals } : {}),
    ...(typeof panel['nullText'] === 'string' && panel['nullText'] !== '' ? { noValue: panel['nullText'] } : {}),
    ...(gauge?.show ? { min: gauge.minValue ?? 0, max: gauge.maxValue ?? 100 } : {}),
    thresholds: { mode: 'absolute', steps: stepsOf(panel['thresholds'], panel['colors']) },
    mappings: mappingsOf(panel),
  };
  const reduceOptions = { calcs: [CALCS[valueName] ?? 'lastNotNull'], fields: field && `/^${field.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$/`, values: false };
  const options = { reduceOptions, colorMode: colored, graphMode: sparkline?.show ? 'area' : 'none', textMode: valueName === 'name' ? 'name' : 'auto' };
  return { ...panel, type: gauge?.show ? 'gauge' : 'stat', fieldConfig: { ...panel.fieldConfig, defaults: { ...defaults, ...panel.fieldConfig?.defaults } }, options: { ...options, ...panel.options } };
}

/** A text before or after the number is a unit where none is set. */
function unitOf(panel: Old): string {
  const format = String(panel['format'] ?? 'none');
  if (format !== 'none' && format !== '') return format;
  const [prefix, postfix] = [String(panel['prefix'] ?? ''), String(panel['postfix'] ?? '')];
  return postfix ? `suffix:${postfix}` : prefix ? `prefix:${prefix}` : 'none';
}

/** `"70,90"` and three colours. */
export function stepsOf(thresholds: unknown, colors: unknown): ThresholdStep[] {
  const palette = Array.isArray(colors) ? colors.map(String) : [];
  const bounds = String(thresholds ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '').map(Number).filter((bound) => !Number.isNaN(bound)); // prettier-ignore
  return [null, ...bounds].flatMap((value, i) => (palette[i] === undefined ? [] : [{ value, color: palette[i] }]));
}

interface OldMap {
  value?: string;
  text?: string;
  from?: string;
  to?: string;
}

/** Of texts for values and for ranges one kind counts: `mappingType` 2 are ranges. */
function mappingsOf(panel: Old): Mapping[] {
  const list = (panel[panel['mappingType'] === 2 ? 'rangeMaps' : 'valueMaps'] ?? []) as OldMap[];
  return list.flatMap(({ value, text = '', from, to }): Mapping[] => {
    if (text === '') return [];
    const lower = panel['mappingType'] === 2 ? from : value;
    if (lower === 'null') return [{ type: 'special', options: { match: 'null', result: { text } } }];
    if (panel['mappingType'] === 2) return [{ type: 'range', options: { from: bound(from), to: bound(to), result: { text } } }];
    return value === undefined ? [] : [{ type: 'value', options: { [value]: { text } } }];
  });
}

function bound(text: string | undefined): number | null {
  return text === undefined || text === '' || text === 'null' || Number.isNaN(Number(text)) ? null : Number(text);
}
