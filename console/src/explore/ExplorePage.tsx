/** Explore: any InfluxQL, drawn and listed. The query, its database and the range are in the URL. */
import { ActionIcon, Button, Menu, Select, Tooltip } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useUrlParams } from '../app/url';
import { useInfo } from '../app/useInfo';
import { usePageTitle } from '../app/usePageTitle';
import { influxCsv } from '../data/client';
import { humanDuration } from '../time/duration';
import { localDateTime } from '../time/range';
import { TimeControls } from '../time/TimeControls';
import { TimeProvider, useTime } from '../time/TimeContext';
import { TimeShortcuts } from '../time/TimeShortcuts';
import { Icon } from '../ui/Icon';
import { errorText, Message } from '../ui/States';
import { Toolbar } from '../ui/Toolbar';
import { curlCommand, download } from './curl';
import { Editor } from './Editor';
import { errorOffset, errorSpan, isSameUpTo } from './errorPosition';
import classes from './explore.module.css';
import { type HistoryEntry, loadHistory, remember, saveHistory } from './history';
import { Results } from './Results';
import { fill, run, type RunResult } from './run';
import { fetchDatabases, schemaOf } from './schema';
import { SchemaBrowser } from './SchemaBrowser';

export default function ExplorePage() {
  usePageTitle('Explore');
  const info = useInfo();
  return (
    <TimeProvider defaults={{ from: 'now-1h', to: 'now', refresh: 'off' }}>
      <TimeShortcuts />
      {info.data && <Explore defaultDb={info.data.database} upstream={info.data.upstream} />}
      {info.isError && <Message icon="alert" title={errorText(info.error)} />}
    </TimeProvider>
  );
}

/** Run, running or ran: at most one of `result` and `error` is about the latest run. */
interface Outcome {
  result?: RunResult;
  error?: string;
  /** The text that was in the editor, and the one that was sent. */
  typed?: string;
  sent?: string;
}

function Explore({ defaultDb, upstream }: { defaultDb: string; upstream: string }) {
  const [params, setParams] = useUrlParams();
  const time = useTime();
  const queries = useQueryClient();
  const stored = params.get('q') ?? '';
  const db = params.get('db') ?? defaultDb;
  const [text, setText] = useState(stored);
  const [outcome, setOutcome] = useState<Outcome>({});
  const [running, setRunning] = useState(false);
  const [history, setHistory] = useState<HistoryEntry[]>(loadHistory);
  const abort = useRef<AbortController | undefined>(undefined);
  const schema = useMemo(() => schemaOf(queries, db), [queries, db]);
  const databases = useQuery({ queryKey: ['databases'], queryFn: ({ signal }) => fetchDatabases(signal), staleTime: 10_000, retry: false });

  const execute = useCallback(
    async (q: string) => {
      if (q.trim() === '') return;
      abort.current?.abort();
      const mine = new AbortController();
      abort.current = mine;
      setRunning(true);
      const sent = fill(q, time.range);
      try {
        const result = await run(q, db, time.range, mine.signal);
        setOutcome({ result, typed: q, sent });
      } catch (error) {
        if (!mine.signal.aborted) setOutcome({ error: errorText(error), typed: q, sent });
      } finally {
        if (abort.current === mine) setRunning(false);
      }
    },
    [db, time.range],
  );
  useEffect(() => () => abort.current?.abort(), []);

  // Arriving with a query runs it, and so does a moved range or a refresh.
  const shown = useRef(stored);
  useEffect(() => {
    if (stored !== shown.current) setText(stored);
    shown.current = stored;
    void execute(stored);
  }, [stored, execute]);

  const submit = (q: string) => {
    setText(q);
    if (q.trim() === '') return;
    setHistory((before) => {
      const next = remember(before, { q, db, at: Date.now() });
      saveHistory(next);
      return next;
    });
    shown.current = q;
    if (q === stored) void execute(q);
    else setParams({ q, db });
  };

  const mark = useMemo(() => markOf(outcome, text), [outcome, text]);
  const copyCurl = () => void navigator.clipboard.writeText(curlCommand(upstream, db, fill(text, time.range)));
  const saveCsv = async () => {
    try {
      download(`skywatch-${localDateTime(Date.now()).replace(/[ :]/g, '-')}.csv`, await influxCsv({ q: fill(text, time.range), db }), 'text/csv');
    } catch (error) {
      setOutcome({ error: errorText(error) });
    }
  };

  return (
    <div className={classes.page}>
      <Toolbar title="Explore" sticky>
        <Select data={[...new Set([db, ...(databases.data ?? [])])]} value={db} onChange={(next) => next && setParams({ db: next })}
          aria-label="Database" searchable w={190} leftSection={<span className={classes.dim}>db</span>} leftSectionWidth={34} allowDeselect={false} />
        <span className={classes.spacer} />
        <TimeControls />
      </Toolbar>
      <div className={classes.columns}>
        <SchemaBrowser schema={schema} db={db} onQuery={submit} />
        <div className={classes.work}>
          <div className={classes.editorBox}>
            <Editor value={text} schema={schema} error={mark} onChange={setText} onRun={() => submit(text)} />
            <div className={classes.actions}>
              {running ? (
                <Button variant="default" leftSection={<Icon name="stop" size={14} />} onClick={() => { abort.current?.abort(); setRunning(false); }}>Stop</Button>
              ) : (
                <Tooltip label="Ctrl Enter">
                  <Button variant="filled" leftSection={<Icon name="play" size={14} />} onClick={() => submit(text)} disabled={text.trim() === ''}>Run</Button>
                </Tooltip>
              )}
              {outcome.result && !running && <span className={`${classes.dim} num`}>{humanDuration(Math.max(1, outcome.result.tookMs))}</span>}
              <span className={classes.spacer} />
              <HistoryMenu history={history} onPick={(entry) => { setParams({ q: entry.q, db: entry.db }); }} onClear={() => { setHistory([]); saveHistory([]); }} />
              <Tooltip label="Copy as curl"><ActionIcon onClick={copyCurl} aria-label="Copy as curl"><Icon name="copy" /></ActionIcon></Tooltip>
              <Tooltip label="Download as CSV"><ActionIcon onClick={() => void saveCsv()} aria-label="Download as CSV"><Icon name="download" /></ActionIcon></Tooltip>
            </div>
          </div>
          {outcome.error && <div className={classes.error} role="alert"><Icon name="alert" size={15} /><span>{outcome.error}</span></div>}
          {outcome.result && !outcome.error && <Results result={outcome.result} />}
          {!outcome.result && !outcome.error && !running && <Hints onQuery={submit} />}
        </div>
      </div>
    </div>
  );
}

/** Marks the place the server named, while the text is still the one that was sent. */
function markOf({ error, typed, sent }: Outcome, text: string): { from: number; to: number; message: string } | undefined {
  if (!error || typed !== text || sent === undefined) return undefined;
  const offset = errorOffset(error, sent);
  if (offset === undefined || !isSameUpTo(offset, text, sent)) return undefined;
  const [from, to] = errorSpan(offset, text);
  return { from, to, message: error };
}

function HistoryMenu({ history, onPick, onClear }: { history: readonly HistoryEntry[]; onPick(entry: HistoryEntry): void; onClear(): void }) {
  return (
    <Menu position="bottom-end" width={560}>
      <Menu.Target>
        <Tooltip label="Earlier queries"><ActionIcon aria-label="Earlier queries"><Icon name="history" /></ActionIcon></Tooltip>
      </Menu.Target>
      <Menu.Dropdown className={classes.history}>
        {history.length === 0 && <Menu.Label>Queries that you run are kept here, in this browser</Menu.Label>}
        {history.map((entry) => (
          <Menu.Item key={`${entry.at}${entry.q}`} onClick={() => onPick(entry)}>
            <code className={classes.historyQuery}>{entry.q}</code>
            <span className={classes.dim}>{localDateTime(entry.at)} · {entry.db}</span>
          </Menu.Item>
        ))}
        {history.length > 0 && <Menu.Divider />}
        {history.length > 0 && <Menu.Item leftSection={<Icon name="trash" size={14} />} onClick={onClear}>Forget them all</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}

const EXAMPLES = [
  'SELECT 100 - mean("usage_idle") AS "busy" FROM "cpu" WHERE "cpu" = \'cpu-total\' AND $timeFilter GROUP BY time($__interval), "host"',
  'SELECT last("used_percent") FROM "disk" WHERE $timeFilter GROUP BY "host", "path"',
  'SELECT * FROM "mem" WHERE $timeFilter ORDER BY time DESC LIMIT 20',
  'SHOW MEASUREMENTS',
];

function Hints({ onQuery }: { onQuery(q: string): void }) {
  return (
    <div className={classes.hints}>
      <p>
        Write InfluxQL and press <kbd>Ctrl</kbd> <kbd>Enter</kbd>, or pick a field on the left. <code>$timeFilter</code> stands for the range
        above, <code>$__interval</code> for buckets that suit it.
      </p>
      {EXAMPLES.map((q) => <button key={q} type="button" onClick={() => onQuery(q)}><code>{q}</code></button>)}
    </div>
  );
}
