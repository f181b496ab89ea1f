/** The table panel: sortable columns, coloured cells, bars. Selecting and copying it gives plain text. */
import { type CSSProperties, type ReactNode, useMemo, useState } from 'react';
import { Link, useSearch } from 'wouter';
import { carried } from '../app/url';
import { display, type Display, rangeOf, type Surroundings } from '../dashboard/display';
import { COLUMNS } from '../dashboard/layout';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import type { FieldConfig, FieldConfigSource } from '../dashboard/model';
import type { Cell, Field, Frame } from '../data/frame';
import { rowCount } from '../data/frame';
import { compareCells } from '../data/transform/tables';
import { formatValue } from '../format/units';
import { resolveColor, type Scheme, withAlpha } from '../theme/colors';
import { useScheme } from '../theme/manager';
import { localDateTime } from '../time/range';
import classes from './table.module.css';
import type { PanelProps } from './types';

interface Options {
  sortBy?: { displayName?: string; desc?: boolean }[];
  frameIndex?: number;
}

interface Column {
  field: Field;
  title: string;
  config: FieldConfig;
  /** Largest number of the column, for bars without a maximum of their own. */
  max: number;
  around: Surroundings;
}

/** More rows than anybody reads; drawing them all would stall the page. */
const ROWS_MAX = 1_000;

export function TablePanel({ panel, frames, height }: PanelProps) {
  const options = (panel.options ?? {}) as Options;
  const first = options.sortBy?.[0];
  const [chosen, setChosen] = useState<number | undefined>();
  const index = Math.max(0, Math.min(frames.length - 1, chosen ?? options.frameIndex ?? 0));
  const frame = frames[index];
  return (
    <div className={classes.scroll} style={{ maxHeight: panel.gridPos.w < COLUMNS ? height : undefined }}>
      {frame && <DataTable key={index} frame={frame} source={panel.fieldConfig} initialSort={first?.displayName} initialDesc={first?.desc} />}
      {frames.length > 1 && (
        <select className={classes.chooser} aria-label="Table shown" value={index} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
          {frames.map((one, i) => <option key={i} value={i}>{frameTitle(one, i)}</option>)}
        </select>
      )}
    </div>
  );
}

interface DataTableProps {
  frame: Frame;
  source?: FieldConfigSource | undefined;
  initialSort?: string | undefined;
  initialDesc?: boolean | undefined;
}

export function DataTable({ frame, source, initialSort, initialDesc = false }: DataTableProps) {
  const scheme = useScheme();
  const [sort, setSort] = useState<{ title: string; desc: boolean } | undefined>(
    initialSort === undefined ? undefined : { title: initialSort, desc: initialDesc },
  );
  const [limit, setLimit] = useState(ROWS_MAX);
  const columns = useMemo(() => columnsOf(frame, source), [frame, source]);
  const rows = useMemo(() => sortedRows(frame, columns, sort), [frame, columns, sort]);
  const sortOn = (title: string) =>
    setSort((now) => (now?.title !== title ? { title, desc: false } : now.desc ? undefined : { title, desc: true }));

  return (
    <>
      <table className={classes.table}>
        <thead>
          <tr>
            {columns.map(({ title, field, config }) => (
              <th key={title} scope="col" style={{ textAlign: alignOf(field, config), minWidth: config.custom?.minWidth, width: config.custom?.width }}
                aria-sort={sort?.title !== title ? 'none' : sort.desc ? 'descending' : 'ascending'}>
                <button type="button" onClick={() => sortOn(title)}>
                  {title}
                  <span aria-hidden="true">{sort?.title === title ? (sort.desc ? ' ↓' : ' ↑') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, limit).map((row) => (
            <tr key={row}>
              {columns.map((column) => (
                <TableCell key={column.title} cell={column.field.values[row] ?? null} column={column} scheme={scheme} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > limit && (
        <button type="button" className={classes.more} onClick={() => setLimit(limit + 5 * ROWS_MAX)}>
          {limit.toLocaleString()} of {rows.length.toLocaleString()} rows. Show more
        </button>
      )}
    </>
  );
}

/** What a table is called among several: by its one column of values, else by its measurement or its query. */
export function frameTitle(frame: Frame, index: number): string {
  const values = frame.fields.filter(({ type }) => type !== 'time');
  const [only] = values.length === 1 ? values : [];
  return only?.alias ?? only?.foreignNames?.[0] ?? (frame.name || `${frame.refId || 'Table'} ${index + 1}`);
}

export function columnsOf(frame: Frame, source: FieldConfigSource | undefined): Column[] {
  // Series that were joined differ in more than the names of their columns.
  const joined = frame.fields.filter(({ foreignNames }) => foreignNames?.includes('Value')).length > 1;
  return frame.fields.flatMap((field, index) => {
    const config = resolveFieldConfig(source, { name: field.name, field, refId: frame.refId });
    if (config.custom?.hidden || config.custom?.hideFrom?.viz) return [];
    const max = field.values.reduce<number>((top, value) => (typeof value === 'number' && value > top ? value : top), 0);
    const title = config.displayName ?? field.alias ?? ((joined && field.foreignNames?.[0]) || field.name);
    return [{ field, title, config, max, around: { index, range: rangeOf([field.values]) } }];
  });
}

function sortedRows(frame: Frame, columns: readonly Column[], sort: { title: string; desc: boolean } | undefined): number[] {
  const rows = Array.from({ length: rowCount(frame) }, (_, row) => row);
  const field = columns.find(({ title }) => title === sort?.title)?.field;
  if (!field || !sort) return rows;
  return rows.sort((a, b) => {
    const [x, y] = [field.values[a] ?? null, field.values[b] ?? null];
    const order = compareCells(x, y);
    return sort.desc && x !== null && y !== null ? -order : order;
  });
}

function alignOf(field: Field, { custom, mappings }: FieldConfig): 'left' | 'center' | 'right' {
  if (custom?.align && custom.align !== 'auto') return custom.align;
  return field.type === 'number' && !mappings?.length && custom?.cellOptions?.type !== 'gauge' ? 'right' : 'left';
}

function TableCell({ cell, column, scheme }: { cell: Cell; column: Column; scheme: Scheme }) {
  const { field, config } = column;
  if (field.type === 'time' && typeof cell === 'number') {
    return <td className={classes.time}>{config.unit ? formatValue(cell, config.unit) : `${localDateTime(cell)}${millis(cell)}`}</td>;
  }
  const shown = display(cell, config, column.around);
  const color = shown.color ? resolveColor(shown.color, scheme) : undefined;
  const type = config.custom?.cellOptions?.type ?? 'auto';
  const text = shown.prefix + shown.text + shown.suffix;
  if (type === 'gauge' && typeof cell === 'number') return <GaugeCell value={cell} column={column} shown={shown} color={color} />;
  if (type === 'color-background' && color) {
    return (
      <td style={{ textAlign: alignOf(field, config) }}>
        <span className={classes.pill} style={{ '--color': color, background: withAlpha(color, 0.14) } as CSSProperties}>{text}</span>
      </td>
    );
  }
  const link = config.links?.[0];
  return (
    <td style={{ textAlign: alignOf(field, config), color: type === 'color-text' ? color : undefined }}>
      {link && cell !== null ? <CellLink link={link} cell={cell}>{text}</CellLink> : text}
    </td>
  );
}

/** `${__value.raw}` and `${__value.text}` stand for the cell. Links into the console keep the time range. */
function CellLink({ link, cell, children }: { link: { title?: string; url: string; targetBlank?: boolean }; cell: Cell; children: ReactNode }) {
  const search = useSearch();
  const url = link.url.replace(/\$\{__value\.(?:raw|text)\}/g, encodeURIComponent(String(cell)));
  if (!url.startsWith('/')) return <a href={url} target={link.targetBlank ? '_blank' : undefined} rel="noreferrer">{children}</a>;
  const time = carried(search).slice(1);
  return <Link href={time ? `${url}${url.includes('?') ? '&' : '?'}${time}` : url} title={link.title}>{children}</Link>;
}

function GaugeCell({ value, column, shown, color }: { value: number; column: Column; shown: Display; color: string | undefined }) {
  const { min, max } = column.config;
  const [low, high] = [min ?? 0, max ?? (column.max || 1)];
  const share = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
  return (
    <td>
      <span className={classes.gauge}>
        <span className={classes.track}>
          <span className={classes.bar} style={{ width: `${share * 100}%`, background: color ?? 'var(--sw-accent)' }} />
        </span>
        <span className={classes.gaugeText}>{shown.prefix + shown.text + shown.suffix}</span>
      </span>
    </td>
  );
}

/** Raw points may be closer than a second. */
function millis(ms: number): string {
  const rest = Math.floor(ms) % 1000;
  return rest === 0 ? '' : `.${String(rest).padStart(3, '0')}`;
}
