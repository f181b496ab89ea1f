/** What a query gave: a chart where there are times and numbers, and the rows. */
import { SegmentedControl } from '@mantine/core';
import { useRef, useState } from 'react';
import type { Panel } from '../dashboard/model';
import { DataTable } from '../panels/TablePanel';
import { TimeSeriesPanel } from '../panels/TimeSeriesPanel';
import { Icon } from '../ui/Icon';
import { Message } from '../ui/States';
import { useSize } from '../ui/useSize';
import classes from './explore.module.css';
import type { RunResult, StatementResult } from './run';

const CHART_HEIGHT = 380;
/** More lines than this cannot be told apart and take long to draw. */
const SERIES_MAX = 300;

const PANEL: Panel = {
  id: 0,
  type: 'timeseries',
  title: 'Result',
  gridPos: { x: 0, y: 0, w: 24, h: 10 },
  options: { legend: { displayMode: 'table', showLegend: true, calcs: ['lastNotNull', 'mean', 'max', 'min'] } },
};

export function Results({ result }: { result: RunResult }) {
  if (result.statements.length === 0) return <Message compact icon="check" title="Done, nothing to show" />;
  return (
    <>
      {result.notice && <div className={classes.notice} role="status"><Icon name="alert" size={15} /><span>{result.notice}</span></div>}
      {result.statements.map((statement, i) => <Statement key={i} statement={statement} />)}
    </>
  );
}

type View = 'both' | 'chart' | 'table';

function Statement({ statement }: { statement: StatementResult }) {
  const [view, setView] = useState<View>('both');
  const { title, series, tables, rows, seriesCount, messages } = statement;
  const chartable = series.length > 0;
  const shown = series.slice(0, SERIES_MAX);
  return (
    <section className={classes.result} aria-label={title ?? 'Result'}>
      <header className={classes.resultHeader}>
        {title && <strong>{title}</strong>}
        <span className={classes.dim}>
          {rows.toLocaleString()} {rows === 1 ? 'row' : 'rows'} in {seriesCount.toLocaleString()} series
          {series.length > SERIES_MAX && `, the first ${SERIES_MAX} drawn`}
        </span>
        {chartable && (
          <SegmentedControl className={classes.view} value={view} onChange={(next) => setView(next as View)} aria-label="View"
            data={[{ value: 'both', label: 'Both' }, { value: 'chart', label: 'Chart' }, { value: 'table', label: 'Table' }]} />
        )}
      </header>
      {messages.map((message) => <p key={message} className={classes.dim}>{message}</p>)}
      {rows === 0 && <Message compact icon="info" title={seriesCount === 0 ? 'The query worked and returned nothing' : 'No rows'} />}
      {chartable && view !== 'table' && <ChartBox frames={shown} />}
      {rows > 0 && (!chartable || view !== 'chart') && (
        <div className={classes.tables}>
          {tables.map((frame, i) => (
            <div key={i} className={classes.tableBox}>
              {tables.length > 1 && <h3>{frame.name}</h3>}
              <DataTable frame={frame} />
            </div>
          ))}
        </div>
      )}
    </section>
  );
}

function ChartBox({ frames }: { frames: StatementResult['series'] }) {
  const box = useRef<HTMLDivElement>(null);
  const { width } = useSize(box);
  return (
    <div ref={box} className={classes.chart} style={{ height: CHART_HEIGHT }}>
      {width > 0 && <TimeSeriesPanel panel={PANEL} frames={frames} width={width} height={CHART_HEIGHT} syncKey="explore" />}
    </div>
  );
}
