/** The logs panel: lines of text with their times, the newest on top. */
import { useMemo } from 'react';
import { localDateTime } from '../time/range';
import { logLines } from './logs';
import classes from './panels.module.css';
import type { PanelProps } from './types';

interface Options {
  showTime?: boolean;
  showLabels?: boolean;
  wrapLogMessage?: boolean;
  sortOrder?: 'Ascending' | 'Descending';
}

const LINES_MAX = 1_000;

export function LogsPanel({ panel, frames, height }: PanelProps) {
  const { showTime = true, showLabels = true, wrapLogMessage = true, sortOrder } = (panel.options ?? {}) as Options;
  const lines = useMemo(() => logLines(frames, LINES_MAX), [frames]);
  const ordered = sortOrder === 'Ascending' ? lines.toReversed() : lines;
  return (
    <ol className={classes.logs} style={{ maxHeight: height, whiteSpace: wrapLogMessage ? 'pre-wrap' : 'pre' }} tabIndex={0} aria-label="Lines of the log">
      {ordered.map(({ key, time, text, labels }) => (
        <li key={key}>
          {showTime && time !== null && <time dateTime={new Date(time).toISOString()}>{localDateTime(time)}</time>}{' '}
          {text}
          {showLabels && labels.map(([name, value]) => <span key={name} className={classes.logLabel}> {name}={value}</span>)}
        </li>
      ))}
    </ol>
  );
}
