/** The page's time: a range in words, the instants it means now, and how often it moves along. Kept in the URL. */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useUrlParams } from '../app/url';
import { parseDuration } from './duration';
import { isRelative, type RawRange, resolveRange, type TimeRange, whyNoRange } from './range';

export interface TimeState {
  raw: RawRange;
  range: TimeRange;
  /** Why the range is not the one asked for, if so. */
  wrong: string | undefined;
  /** When the range was last worked out. */
  now: number;
  /** Text of the refresh interval (`10s`), empty when off. */
  refresh: string;
  setRange(raw: RawRange): void;
  setRefresh(refresh: string): void;
  /** Works the range out again, which makes every panel ask again. */
  refreshNow(): void;
  /** A range chosen with the mouse; `resetZoom` leads back from it. */
  zoom(range: TimeRange): void;
  resetZoom(): void;
  /** Moves by a part of the range's width, or widens it around its middle. */
  shift(parts: number): void;
  zoomOut(): void;
}

export interface TimeDefaults extends RawRange {
  refresh: string;
}

const FALLBACK: RawRange = { from: 'now-1h', to: 'now' };

const TimeContext = createContext<TimeState | undefined>(undefined);

export function useTime(): TimeState {
  const time = useContext(TimeContext);
  if (!time) throw new Error('useTime needs a TimeProvider around it');
  return time;
}

export function TimeProvider({ defaults, children }: { defaults: TimeDefaults; children: ReactNode }) {
  const [params, setParams] = useUrlParams();
  const [now, setNow] = useState(() => Date.now());
  const beforeZoom = useRef<RawRange | undefined>(undefined);

  const from = params.get('from') ?? defaults.from;
  const to = params.get('to') ?? defaults.to;
  const refresh = params.get('refresh') ?? defaults.refresh;

  const refreshNow = useCallback(() => setNow(Date.now()), []);
  const apply = useCallback(
    (raw: RawRange) => {
      setParams({ from: raw.from, to: raw.to });
      setNow(Date.now());
    },
    [setParams],
  );

  useAutoRefresh(isRelative({ from, to }) ? (parseDuration(refresh) ?? 0) : 0, now, refreshNow);

  const state = useMemo((): TimeState => {
    const raw = { from, to };
    const asked = resolveRange(raw, now);
    const range = asked ?? resolveRange(FALLBACK, now)!;
    const wrong = asked ? undefined : whyNoRange(raw, now);
    const width = range.to - range.from;
    return {
      raw, range, wrong, now, refresh, refreshNow,
      setRange: (next) => {
        beforeZoom.current = undefined;
        apply(next);
      },
      setRefresh: (next) => setParams({ refresh: next || 'off' }, { replace: true }),
      zoom: (next) => {
        beforeZoom.current ??= raw;
        apply(absolute(next));
      },
      resetZoom: () => {
        const back = beforeZoom.current;
        beforeZoom.current = undefined;
        if (back) apply(back);
      },
      shift: (parts) => apply(absolute({ from: range.from + parts * width, to: range.to + parts * width })),
      zoomOut: () => apply(absolute({ from: range.from - width / 2, to: Math.min(range.to + width / 2, Math.max(now, range.to)) })),
    }; // prettier-ignore
  }, [from, to, now, refresh, refreshNow, apply, setParams]);

  return <TimeContext.Provider value={state}>{children}</TimeContext.Provider>;
}

function absolute({ from, to }: TimeRange): RawRange {
  return { from: String(Math.round(from)), to: String(Math.round(to)) };
}

/** Ticks while the page is visible. A tick that fell due in a hidden tab happens when the tab comes back. */
function useAutoRefresh(everyMs: number, last: number, tick: () => void): void {
  useEffect(() => {
    if (everyMs <= 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const arm = () => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') timer = setTimeout(tick, Math.max(0, last + everyMs - Date.now()));
    };
    arm();
    document.addEventListener('visibilitychange', arm);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', arm);
    };
  }, [everyMs, last, tick]);
}
