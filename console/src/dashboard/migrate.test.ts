import { describe, expect, test } from 'vitest';
import { type OldPanel, type OldRow, migrated } from './migrate';
import { type Dashboard, type Panel, whyNoDashboard } from './model';

const GRID = { gridPos: { x: 0, y: 0, w: 12, h: 8 } };

function panelOf(old: Record<string, unknown>): Panel {
  return migrated({ uid: 'u', title: 't', panels: [{ id: 1, ...GRID, ...old } as unknown as Panel] }).panels[0]!;
}

describe('singlestat', () => {
  test('becomes a stat with its number, unit, steps and colours', () => {
    const panel = panelOf({ type: 'singlestat', valueName: 'avg', format: 'bytes', decimals: 1, nullText: 'N/A', thresholds: '70, 90', colors: ['green', 'orange', 'red'], colorBackground: true, sparkline: { show: true }, valueMaps: [{ op: '=', text: 'none', value: 'null' }, { text: 'up', value: '1' }], tableColumn: 'a.b' });
    expect(panel.type).toBe('stat');
    expect(panel.options).toEqual({ reduceOptions: { calcs: ['mean'], fields: '/^a\\.b$/', values: false }, colorMode: 'background', graphMode: 'area', textMode: 'auto' });
    expect(panel.fieldConfig!.defaults).toMatchObject({
      unit: 'bytes', decimals: 1, noValue: 'N/A',
      thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 70, color: 'orange' }, { value: 90, color: 'red' }] },
      mappings: [{ type: 'special', options: { match: 'null' } }, { type: 'value', options: { '1': { text: 'up' } } }],
    }); // prettier-ignore
  });
  test('with a gauge becomes one; without colours it has none', () => {
    const panel = panelOf({ type: 'singlestat', valueName: 'current', gauge: { show: true, minValue: 5, maxValue: 50 }, postfix: ' cores' });
    expect([panel.type, panel.fieldConfig!.defaults!.min, panel.fieldConfig!.defaults!.max, panel.fieldConfig!.defaults!.unit]).toEqual(['gauge', 5, 50, 'suffix: cores']);
    expect(panel.options).toMatchObject({ reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'none', graphMode: 'none' });
  });
  test('ranges', () => {
    const maps = { mappingType: 2, rangeMaps: [{ from: '1', to: '5', text: 'few' }, { from: 'null', to: 'null', text: 'none' }] };
    expect(panelOf({ type: 'singlestat', ...maps }).fieldConfig!.defaults!.mappings).toEqual([
      { type: 'range', options: { from: 1, to: 5, result: { text: 'few' } } }, { type: 'special', options: { match: 'null', result: { text: 'none' } } },
    ]); // prettier-ignore
  });
});

describe('graph', () => {
  test('becomes a time series with its axes, lines and fill', () => {
    const panel = panelOf({
      type: 'graph', fill: 2, linewidth: 3, stack: true, steppedLine: true, nullPointMode: 'connected', legend: { show: true, alignAsTable: true, rightSide: true, values: true, avg: true, current: true },
      yaxes: [{ format: 'percent', min: '0', max: 100, logBase: 10, label: 'CPU' }, { format: 'bytes', min: null }],
      aliasColors: { a: '#ff0000' }, seriesOverrides: [{ alias: '/sent/', transform: 'negative-Y' }, { alias: 'mem', yaxis: 2, fill: 0 }],
      thresholds: [{ op: 'gt', value: 80, colorMode: 'critical', fill: true, line: true }],
    }); // prettier-ignore
    expect(panel.type).toBe('timeseries');
    expect(panel.fieldConfig!.defaults).toMatchObject({
      unit: 'percent', min: 0, max: 100,
      thresholds: { mode: 'absolute', steps: [{ value: null, color: 'transparent' }, { value: 80, color: 'red' }] },
      custom: { lineWidth: 3, fillOpacity: 20, lineInterpolation: 'stepAfter', spanNulls: true, stacking: { mode: 'normal' }, axisLabel: 'CPU', scaleDistribution: { type: 'log', log: 10 }, thresholdsStyle: { mode: 'line+area' } },
    }); // prettier-ignore
    expect(panel.fieldConfig!.overrides).toEqual([
      { matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: '#ff0000' } }] },
      { matcher: { id: 'byRegexp', options: '/sent/' }, properties: [{ id: 'custom.transform', value: 'negative-Y' }] },
      { matcher: { id: 'byName', options: 'mem' }, properties: [{ id: 'custom.axisPlacement', value: 'right' }, { id: 'unit', value: 'bytes' }, { id: 'custom.fillOpacity', value: 0 }] },
    ]);
    expect(panel.options).toMatchObject({ legend: { showLegend: true, displayMode: 'table', placement: 'right', calcs: ['mean', 'lastNotNull'] } });
  });
  test('bars, points, and what lies below a bound', () => {
    expect(panelOf({ type: 'graph', bars: true, lines: false }).fieldConfig!.defaults!.custom).toMatchObject({ drawStyle: 'bars', fillOpacity: 100 });
    expect(panelOf({ type: 'graph', points: true, lines: false }).fieldConfig!.defaults!.custom).toMatchObject({ drawStyle: 'points' });
    expect(panelOf({ type: 'graph', thresholds: [{ op: 'lt', value: 5, colorMode: 'warning', line: true }] }).fieldConfig!.defaults!.thresholds!.steps).toEqual([
      { value: null, color: 'orange' }, { value: 5, color: 'transparent' },
    ]); // prettier-ignore
  });
  test('of series or as a histogram is another panel', () => {
    expect(panelOf({ type: 'graph', xaxis: { mode: 'series' } }).type).toBe('barchart');
    expect(panelOf({ type: 'graph', xaxis: { mode: 'histogram' } }).type).toBe('histogram');
  });
});

describe('other old panels', () => {
  test('texts had their content beside the rest', () => {
    expect(panelOf({ type: 'text', content: '# a', mode: 'markdown' }).options).toEqual({ mode: 'markdown', content: '# a' });
  });
  test('those of collapsed rows too; what is new stays as it is', () => {
    const row = panelOf({ type: 'row', collapsed: true, panels: [{ id: 2, type: 'table-old', ...GRID }] });
    expect(row.panels![0]!.type).toBe('table');
    const stat = { id: 1, type: 'stat', ...GRID };
    expect(panelOf(stat)).toEqual(stat);
  });
});

describe('rows of schema version 15', () => {
  const panel = (id: number, span: number) => ({ id, type: 'text', span }) as OldPanel;
  const placed = (rows: OldRow[]) => migrated({ uid: 'u', title: 't', rows } as unknown as Dashboard).panels.map(({ type, gridPos: { x, y, w, h } }) => [type, x, y, w, h]);

  test('are a dashboard', () => {
    expect(whyNoDashboard({ rows: [] })).toBeUndefined();
    expect(whyNoDashboard({})).toBe('it has no list of "panels"');
  });
  test('become a grid', () => {
    expect(placed([{ height: '250px', panels: [panel(1, 6), panel(2, 6), panel(3, 12)] }, { height: 100, panels: [panel(4, 3)] }])).toEqual([
      ['text', 0, 0, 12, 7], ['text', 12, 0, 12, 7], ['text', 0, 7, 24, 7], ['text', 0, 14, 6, 3],
    ]); // prettier-ignore
  });
  test('keep titles, and what is collapsed', () => {
    const { panels } = migrated({ uid: 'u', title: 't', rows: [{ title: 'A', showTitle: true, panels: [panel(1, 12)] }, { title: 'B', collapse: true, repeat: 'host', panels: [panel(2, 4)] }] } as unknown as Dashboard);
    expect(panels.map(({ type, title, gridPos: { y } }) => [type, title, y])).toEqual([['row', 'A', 0], ['text', undefined, 1], ['row', 'B', 8]]);
    expect(panels[2]).toMatchObject({ collapsed: true, repeat: 'host', panels: [{ id: 2 }] });
    expect(new Set(panels.map(({ id }) => id)).size).toBe(3);
  });
});
