/** `graph`, the chart before there was `timeseries`: axes, lines, fills, colours, thresholds, legend. */
import type { CustomConfig, FieldConfig, Override, Panel, ThresholdStep } from './model';

type Old = Panel & Record<string, unknown>;

interface OldAxis {
  format?: string;
  min?: number | string | null;
  max?: number | string | null;
  label?: string | null;
  show?: boolean;
  logBase?: number;
  decimals?: number | null;
}

interface OldThreshold {
  value?: number;
  op?: string;
  colorMode?: string;
  fill?: boolean;
  line?: boolean;
  fillColor?: string;
  lineColor?: string;
}

const CALCS: readonly [key: string, calc: string][] = [['min', 'min'], ['max', 'max'], ['avg', 'mean'], ['current', 'lastNotNull'], ['total', 'sum']];

export function graphPanel(panel: Old): Panel {
  const mode = (panel['xaxis'] as { mode?: string } | undefined)?.mode;
  // Bars by series and histograms are other panels, which the console does not draw.
  if (mode === 'series' || mode === 'histogram') return { ...panel, type: mode === 'series' ? 'barchart' : mode };
  const axes = (panel['yaxes'] ?? []) as OldAxis[];
  const { thresholds, style } = thresholdsOf((panel['thresholds'] ?? []) as OldThreshold[]);
  const custom: CustomConfig = { ...lookOf(panel), ...axisCustom(axes[0]), ...(style ? { thresholdsStyle: { mode: style } } : {}) };
  const defaults: FieldConfig = { ...axisConfig(axes[0]), ...(thresholds ? { thresholds } : {}), custom };
  const legend = (panel['legend'] ?? {}) as Record<string, unknown>;
  const options = {
    legend: {
      showLegend: legend['show'] !== false,
      displayMode: legend['alignAsTable'] ? 'table' : 'list',
      placement: legend['rightSide'] ? 'right' : 'bottom',
      calcs: legend['values'] ? CALCS.filter(([key]) => legend[key]).map(([, calc]) => calc) : [],
    },
  };
  const own = panel.fieldConfig;
  const fieldConfig = { defaults: { ...own?.defaults, ...defaults }, overrides: [...(own?.overrides ?? []), ...overridesOf(panel, axes[1])] };
  return { ...panel, type: 'timeseries', fieldConfig, options: { ...panel.options, ...options } };
}

function axisConfig(axis: OldAxis | undefined): FieldConfig {
  const [min, max] = [numberOf(axis?.min), numberOf(axis?.max)];
  return {
    ...(axis?.format ? { unit: axis.format } : {}),
    ...(typeof axis?.decimals === 'number' ? { decimals: axis.decimals } : {}),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

function axisCustom(axis: OldAxis | undefined): CustomConfig {
  return {
    ...(axis?.label ? { axisLabel: axis.label } : {}),
    ...(axis?.show === false ? { axisPlacement: 'hidden' as const } : {}),
    ...(axis?.logBase && axis.logBase > 1 ? { scaleDistribution: { type: 'log' as const, log: axis.logBase } } : {}),
  };
}

function numberOf(value: number | string | null | undefined): number | undefined {
  return value === null || value === undefined || value === '' || Number.isNaN(Number(value)) ? undefined : Number(value);
}

/** Lines unless they are switched off; a fill of 1 is a tenth. */
function lookOf(panel: Old): CustomConfig {
  const drawStyle = panel['bars'] ? 'bars' : panel['lines'] === false && panel['points'] ? 'points' : 'line';
  const fill = typeof panel['fill'] === 'number' ? panel['fill'] : 1;
  return {
    drawStyle,
    lineInterpolation: panel['steppedLine'] ? 'stepAfter' : 'linear',
    lineWidth: typeof panel['linewidth'] === 'number' ? panel['linewidth'] : 1,
    fillOpacity: drawStyle === 'bars' ? 100 : fill * 10,
    showPoints: panel['points'] ? 'always' : 'never',
    pointSize: typeof panel['pointradius'] === 'number' ? 2 + 2 * panel['pointradius'] : 5,
    ...(panel['dashes'] ? { lineStyle: { fill: 'dash' as const, dash: [Number(panel['dashLength'] ?? 10), Number(panel['spaceLength'] ?? 10)] } } : {}),
    spanNulls: panel['nullPointMode'] === 'connected',
    ...(panel['stack'] ? { stacking: { mode: panel['percentage'] ? ('percent' as const) : ('normal' as const), group: 'A' } } : {}),
  };
}

const COLORS: Readonly<Record<string, string>> = { critical: 'red', warning: 'orange', ok: 'green' };

/** What lies above (or below) a bound has its colour, everything else none. */
function thresholdsOf(list: readonly OldThreshold[]): { thresholds?: FieldConfig['thresholds']; style?: string } {
  const usable = list.filter((one): one is OldThreshold & { value: number } => typeof one.value === 'number').sort((a, b) => a.value - b.value);
  if (usable.length === 0) return {};
  const steps: ThresholdStep[] = [{ value: null, color: 'transparent' }];
  for (const { value, op, colorMode = '', fillColor, lineColor } of usable) {
    const color = COLORS[colorMode] ?? fillColor ?? lineColor ?? 'red';
    if (op === 'lt') {
      steps[steps.length - 1]!.color = color;
      steps.push({ value, color: 'transparent' });
    } else {
      steps.push({ value, color });
    }
  }
  const [line, fill] = [usable.some((one) => one.line), usable.some((one) => one.fill)];
  return { thresholds: { mode: 'absolute', steps }, ...(line || fill ? { style: line && fill ? 'line+area' : line ? 'line' : 'area' } : {}) };
}

function matcherOf(alias: string): Override['matcher'] {
  return /^\/.*\/[a-z]*$/.test(alias) ? { id: 'byRegexp', options: alias } : { id: 'byName', options: alias };
}

function overridesOf(panel: Old, right: OldAxis | undefined): Override[] {
  const colors = Object.entries((panel['aliasColors'] ?? {}) as Record<string, string>).map(([alias, fixedColor]): Override => ({
    matcher: { id: 'byName', options: alias },
    properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
  })); // prettier-ignore
  const series = ((panel['seriesOverrides'] ?? []) as ({ alias?: string } & Record<string, unknown>)[]).flatMap(({ alias, ...rest }): Override[] => {
    const properties = Object.entries(rest).flatMap(([key, value]) => propertiesOf(key, value, right));
    return alias && properties.length > 0 ? [{ matcher: matcherOf(alias), properties }] : [];
  });
  return [...colors, ...series];
}

function propertiesOf(key: string, value: unknown, right: OldAxis | undefined): Override['properties'] {
  switch (key) {
    case 'yaxis':
      if (value !== 2) return [];
      return [
        { id: 'custom.axisPlacement', value: right?.show === false ? 'hidden' : 'right' },
        ...Object.entries(axisConfig(right)).map(([id, set]) => ({ id, value: set as unknown })),
        ...(right?.label ? [{ id: 'custom.axisLabel', value: right.label }] : []),
      ];
    case 'color': return [{ id: 'color', value: { mode: 'fixed', fixedColor: value } }];
    case 'fill': return [{ id: 'custom.fillOpacity', value: Number(value) * 10 }];
    case 'linewidth': return [{ id: 'custom.lineWidth', value }];
    case 'bars': return value ? [{ id: 'custom.drawStyle', value: 'bars' }, { id: 'custom.fillOpacity', value: 100 }] : []; // prettier-ignore
    case 'lines': return value ? [{ id: 'custom.drawStyle', value: 'line' }] : [];
    case 'points': return value ? [{ id: 'custom.showPoints', value: 'always' }] : [];
    case 'steppedLine': return value ? [{ id: 'custom.lineInterpolation', value: 'stepAfter' }] : [];
    case 'dashes': return value ? [{ id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } }] : [];
    case 'transform': return value === 'negative-Y' ? [{ id: 'custom.transform', value }] : [];
    case 'stack': return value === false ? [{ id: 'custom.stacking', value: { mode: 'none' } }] : value === true ? [{ id: 'custom.stacking', value: { mode: 'normal', group: 'A' } }] : []; // prettier-ignore
    default: return [];
  }
}
