/** The state timeline (and status history, drawn alike): a bar for each series, in the colours of its states. */
import { useMemo } from 'react';
import { timeTicks } from '../chart/ticks';
import { useScheme } from '../theme/manager';
import { humanDuration } from '../time/duration';
import { localDateTime, type TimeRange } from '../time/range';
import { useTime } from '../time/TimeContext';
import classes from './panels.module.css';
import { roundTimes, type Span, stateRows } from './states';
import type { PanelProps } from './types';

interface Options {
  mergeValues?: boolean;
  showValue?: 'auto' | 'always' | 'never';
  legend?: { displayMode?: string; showLegend?: boolean };
}

/** What names, and the room around bars, take of the width. */
const NAME_SHARE = 0.22;
const AROUND_PIXELS = 30;
const LABEL_PIXELS = 80;
const CHARACTER_PIXELS = 7;

export function StateTimelinePanel({ panel, frames, width, height, range: own }: PanelProps) {
  const scheme = useScheme();
  const time = useTime();
  const range = own ?? time.range;
  const { mergeValues = true, showValue = 'auto', legend } = (panel.options ?? {}) as Options;
  const merge = mergeValues && panel.type !== 'status-history';
  const rows = useMemo(() => stateRows(frames, panel.fieldConfig, range, scheme, merge), [frames, panel.fieldConfig, range, scheme, merge]);
  const barPixels = Math.max(1, width * (1 - NAME_SHARE) - AROUND_PIXELS);
  const share = (ms: number) => `${(ms / (range.to - range.from)) * 100}%`;
  const text = (span: Span, from: number) =>
    showValue !== 'never' && (showValue === 'always' || ((span.to - from) / (range.to - range.from)) * barPixels > (span.text.length + 1) * CHARACTER_PIXELS);
  const states = new Map(rows.flatMap(({ spans }) => spans.map(({ text: state, color }): [string, string] => [state, color])));
  return (
    <div className={classes.states} style={{ height, '--names': `${NAME_SHARE * 100}%` } as React.CSSProperties}>
      <div className={classes.stateRows}>
        {rows.map(({ key, name, spans }) => (
          <div key={key} className={classes.stateRow}>
            <span className={classes.barName} title={name}>{name}</span>
            <div className={classes.stateBar} role="img" aria-label={`${name}: ${spans.at(-1)?.text ?? 'no state'}`}>
              {spans.map((span) => {
                const from = Math.max(span.from, range.from);
                return (
                  <span key={span.from} style={{ left: share(from - range.from), width: share(span.to - from), '--color': span.color } as React.CSSProperties} title={told(span)}>
                    {text(span, from) && span.text}
                  </span>
                );
              })}
            </div>
          </div>
        ))}
      </div>
      <Times range={range} most={Math.max(1, Math.floor(barPixels / LABEL_PIXELS))} share={share} />
      {legend?.showLegend !== false && legend?.displayMode !== 'hidden' && (
        <div className={classes.stateLegend}>
          {[...states].map(([state, color]) => <span key={state} style={{ '--color': color } as React.CSSProperties}>{state}</span>)}
        </div>
      )}
    </div>
  );
}

function told({ text, from, to }: Span): string {
  return `${text}\n${localDateTime(from)} to ${localDateTime(to)} (${humanDuration(to - from)})`;
}

function Times({ range, most, share }: { range: TimeRange; most: number; share(ms: number): string }) {
  const found = roundTimes(range, most);
  // Half of a label at the very end would be cut off.
  const times = found.times.filter((time) => range.to - time > (range.to - range.from) / 50);
  const labels = timeTicks(times, found.stepMs);
  return (
    <div className={classes.stateTimes} aria-hidden="true">
      {times.map((time, i) => <span key={time} style={{ left: share(time - range.from) }}>{labels[i]}</span>)}
    </div>
  );
}
