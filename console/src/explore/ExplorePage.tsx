/** Explore: any query in InfluxQL or Flux, drawn and listed. It, its language, its database and the range are in the URL. */
import { ActionIcon, Button, SegmentedControl, Select, Tooltip } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useUrlParams } from '../app/url';
import { useInfo } from '../app/useInfo';
import { usePageTitle } from '../app/usePageTitle';
import { fluxCsv, influxCsv } from '../data/client';
import { type Language, LANGUAGE_NAMES } from '../data/language';
import type { Filled } from '../dashboard/interpolate';
import { humanDuration } from '../time/duration';
import { localDateTime } from '../time/range';
import { TimeControls } from '../time/TimeControls';
import { TimeProvider, useTime } from '../time/TimeContext';
import { TimeShortcuts } from '../time/TimeShortcuts';
import { Icon } from '../ui/Icon';
import { errorText, Message } from '../ui/States';
import { Toolbar } from '../ui/Toolbar';
import { useCopy } from '../ui/useCopy';
import { curlCommand, download } from './curl';
import { Editor } from './Editor';
import { type ErrorMark, markOf } from './errorPosition';
import classes from './explore.module.css';
import { Hints } from './Hints';
import { type HistoryEntry, loadHistory, remember, saveHistory } from './history';
import { HistoryMenu } from './HistoryMenu';
import { Results } from './Results';
import { filled, run, type RunResult } from './run';
import { fetchDatabases, schemaOf } from './schema';
import { SchemaBrowser } from './SchemaBrowser';
import { TEXTS } from './texts';
import { useAnalysis } from './useAnalysis';

export default function ExplorePage() {
  usePageTitle('Explore');
  const info = useInfo();
  return (
    <TimeProvider defaults={{ from: 'now-1h', to: 'now', refresh: 'off' }}>
      <TimeShortcuts />
      {info.data && <Explore defaultDb={info.data.database} upstream={info.data.upstream} />}
      {info.isError && !info.data && <Message icon="alert" title={errorText(info.error)} />}
    </TimeProvider>
  );
}

/** Run, running or ran: at most one of `result` and `error` is about the latest run. */
interface Outcome {
  result?: RunResult;
  error?: string;
  /** The text that was in the editor, and the one that was sent. */
  typed?: string;
  sent?: Filled;
}

const LANGUAGES = Object.entries(LANGUAGE_NAMES).map(([value, label]) => ({ value, label }));

function Explore({ defaultDb, upstream }: { defaultDb: string; upstream: string }) {
  const [params, setParams] = useUrlParams();
  const time = useTime();
  const queries = useQueryClient();
  const stored = params.get('q') ?? '';
  const db = params.get('db') ?? defaultDb;
  const language: Language = params.get('lang') === 'flux' ? 'flux' : 'influxql';
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
      const sent = filled({ q, language, db }, time.range);
      try {
        const result = await run({ q: sent.text, language, db }, mine.signal);
        setOutcome({ result, typed: q, sent });
      } catch (error) {
        if (!mine.signal.aborted) setOutcome({ error: errorText(error), typed: q, sent });
      } finally {
        if (abort.current === mine) setRunning(false);
      }
    },
    [db, language, time.range],
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
      const next = remember(before, { q, db, language, at: Date.now() });
      saveHistory(next);
      return next;
    });
    shown.current = q;
    if (q === stored) void execute(q);
    else setParams({ q, db });
  };

  // Each language keeps its own text while the other is in use.
  const drafts = useRef<Partial<Record<Language, string>>>({});
  const choose = (next: Language) => {
    drafts.current[language] = text;
    abort.current?.abort();
    setRunning(false);
    setOutcome({});
    shown.current = '';
    setText(drafts.current[next] ?? '');
    setParams({ lang: next === 'flux' ? next : undefined, q: undefined });
  };
  useEffect(() => {
    if (text !== '' || stored !== '') return;
    let gone = false;
    void TEXTS[language].start(schema).then((start) => {
      if (!gone) setText((now) => (now === '' ? start : now));
    });
    return () => { gone = true; };
    // An empty editor is filled when it comes to be, not whenever somebody empties it.
  }, [language, schema]);

  const analysis = useAnalysis({ q: text, language, db });
  const mark = useMemo(() => markOfOutcome(outcome, text), [outcome, text]) ?? analysis;
  const sentText = () => filled({ q: text, language, db }, time.range).text;
  const [copied, copy] = useCopy();
  const copyCurl = () => copy(curlCommand(upstream, db, sentText(), language));
  const saveCsv = async () => {
    try {
      const csv = language === 'flux' ? await fluxCsv(sentText()) : await influxCsv({ q: sentText(), db });
      download(`skywatch-${localDateTime(Date.now()).replace(/[ :]/g, '-')}.csv`, csv, 'text/csv');
    } catch (error) {
      setOutcome({ error: errorText(error) });
    }
  };

  return (
    <div className={classes.page}>
      <Toolbar title="Explore" sticky>
        <Select data={[...new Set([db, ...(databases.data ?? [])])]} value={db} onChange={(next) => next && setParams({ db: next })}
          aria-label="Database" searchable w={190} leftSection={<span className={classes.dim}>db</span>} leftSectionWidth={34} allowDeselect={false} />
        <SegmentedControl data={LANGUAGES} value={language} onChange={(next) => choose(next as Language)} aria-label="Language" />
        <span className={classes.spacer} />
        <TimeControls />
      </Toolbar>
      <div className={classes.columns}>
        <SchemaBrowser language={language} schema={schema} db={db} onQuery={submit} />
        <div className={classes.work}>
          <div className={classes.editorBox}>
            <Editor key={language} language={language} value={text} schema={schema} error={mark} onChange={setText} onRun={() => submit(text)} />
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
              <HistoryMenu history={history} onPick={(entry) => setParams({ q: entry.q, db: entry.db, lang: entry.language === 'flux' ? 'flux' : undefined })} onClear={() => { setHistory([]); saveHistory([]); }} />
              <Tooltip label={copied === 'failed' ? 'The browser did not let it be copied' : 'Copy as curl'}>
                <ActionIcon onClick={copyCurl} aria-label="Copy as curl"><Icon name={copied === 'idle' ? 'copy' : copied === 'copied' ? 'check' : 'alert'} /></ActionIcon>
              </Tooltip>
              <span role="status" className={classes.dim}>{copied === 'copied' ? 'Copied' : ''}</span>
              <Tooltip label="Download as CSV"><ActionIcon onClick={() => void saveCsv()} aria-label="Download as CSV"><Icon name="download" /></ActionIcon></Tooltip>
            </div>
          </div>
          {outcome.error && <div className={classes.error} role="alert"><Icon name="alert" size={15} /><span>{outcome.error}</span></div>}
          {outcome.result && !outcome.error && <Results result={outcome.result} />}
          {!outcome.result && !outcome.error && !running && <Hints language={language} onQuery={submit} />}
        </div>
      </div>
    </div>
  );
}

/** Marks the place the server named, while the text is still the one that was sent. */
function markOfOutcome({ error, typed, sent }: Outcome, text: string): ErrorMark | undefined {
  if (!error || typed !== text || sent === undefined) return undefined;
  const mark = markOf(error, text, sent);
  return mark && { ...mark, message: error };
}
