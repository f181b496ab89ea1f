/** Rules and their states, the worst first. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { useAlerts } from '../app/Shell';
import { useNow } from '../app/useNow';
import { usePageTitle } from '../app/usePageTitle';
import type { AlertInstance, AlertRule, AlertState } from '../data/api';
import { ago, humanDuration } from '../time/duration';
import { localDateTime } from '../time/range';
import { Icon } from '../ui/Icon';
import { errorText, Failure, Loading, Message } from '../ui/States';
import { Toolbar } from '../ui/Toolbar';
import classes from './alerts.module.css';
import { exploreLink, NAME, RANK, shown, STATES } from './rules';

export default function AlertsPage() {
  usePageTitle('Alerts');
  const alerts = useAlerts();
  const [state, setState] = useState<AlertState | 'all'>('all');
  const [filter, setFilter] = useState('');
  const rules = useMemo(() => shown(alerts.data?.rules ?? [], state, filter), [alerts.data, state, filter]);

  if (alerts.isError && !alerts.data) return <Failure error={alerts.error} onRetry={() => void alerts.refetch()} />;
  if (!alerts.data) return <Loading />;
  const { source, source_error: sourceError, notification_error: deliveryError, notifications_queued: queued } = alerts.data;
  const { evaluated_by: evaluator, evaluator_error: evaluatorError, age_ms: age, instances_left_out: leftOut } = alerts.data;
  const counts = STATES.map((one) => ({ ...one, count: alerts.data.rules.filter((rule) => rule.state === one.state).length }));
  return (
    <div className={classes.page}>
      <Toolbar title="Alerts" source={source && <>from <code>{source}</code>{evaluator && <>, evaluated by <code>{evaluator}</code></>}</>}>
        <SegmentedControl value={state} onChange={(next) => setState(next as AlertState | 'all')} aria-label="State"
          data={[{ value: 'all', label: `All ${alerts.data.rules.length}` }, ...counts.filter(({ count, state: one }) => count > 0 || one === 'firing').map(({ state: value, text, count }) => ({ value, label: `${text} ${count}` }))]} />
        <TextInput placeholder="Find a rule or label" value={filter} leftSection={<Icon name="search" size={13} />} aria-label="Find a rule or label"
          onChange={(event) => setFilter(event.currentTarget.value)} />
      </Toolbar>
      {alerts.isError && <Problem>Seen {ago(alerts.dataUpdatedAt, Date.now())}, nothing newer is known: {errorText(alerts.error)}</Problem>}
      {evaluatorError && (
        <Problem>
          {age === null ? 'Nothing is known of the alerts yet' : `This was seen ${humanDuration(Math.max(1_000, age))} ago, nothing newer is known`}: {evaluatorError}
        </Problem>
      )}
      {leftOut > 0 && <Problem>{leftOut} series are not shown here: there are too many to be told by another node</Problem>}
      {sourceError && <Problem>The rules file cannot be used, its last good version is in force: {sourceError}</Problem>}
      {deliveryError && <Problem>A notification was not delivered: {deliveryError}{queued > 0 ? ` (${queued} waiting)` : ''}</Problem>}
      {alerts.data.rules.length === 0 && evaluatorError ? null : alerts.data.rules.length === 0 ? (
        <Message icon="bell" title="No alert rules">
          <p>Rules come from a file. This prints one to begin with:</p>
          <pre className={classes.code}>skywatch config default alerts &gt; alerts.yaml{'\n'}skywatch run --alerts alerts.yaml</pre>
        </Message>
      ) : rules.length === 0 ? (
        <Message icon="search" title="No rule matches" />
      ) : (
        <div className={classes.list}>{rules.map((rule) => <Rule key={rule.uid} rule={rule} />)}</div>
      )}
    </div>
  );
}

function Problem({ children }: { children: React.ReactNode }) {
  return <div className={classes.problem} role="alert"><Icon name="alert" size={15} /><span>{children}</span></div>;
}

export function StateBadge({ state }: { state: AlertState }) {
  return <span className={classes.badge} data-state={state}>{NAME.get(state)}</span>;
}

function Rule({ rule }: { rule: AlertRule }) {
  const now = useNow(5_000);
  const [open, setOpen] = useState(rule.state === 'firing' || rule.state === 'error');
  const active = rule.instances.filter(({ state }) => state !== 'normal').length;
  return (
    <article className={classes.rule} data-state={rule.state}>
      <button type="button" className={classes.head} onClick={() => setOpen(!open)} aria-expanded={open}>
        <Icon name={open ? 'chevron' : 'right'} size={14} />
        <StateBadge state={rule.state} />
        <span className={classes.title}>{rule.title}</span>
        <span className={classes.condition}>{rule.condition}</span>
        <span className={classes.meta}>
          {rule.instances.length > 1 && <span>{active > 0 ? `${active} of ${rule.instances.length}` : `${rule.instances.length} series`}</span>}
          {rule.since_ms !== null && <span title={localDateTime(rule.since_ms)}>for {humanDuration(Math.max(1_000, now - rule.since_ms))}</span>}
        </span>
      </button>
      {rule.last_error && <p className={classes.error}>{rule.last_error}</p>}
      {open && (
        <div className={classes.body}>
          {rule.summary && <p>{rule.summary}</p>}
          <Instances instances={rule.instances} now={now} />
          <pre className={classes.code}>{rule.query}</pre>
          <p className={classes.foot}>
            {rule.group ? `Group ${rule.group}, evaluated` : 'Evaluated'} every {humanDuration(rule.interval_secs * 1000)}
            {rule.evaluated_ms !== null && `, last ${ago(rule.evaluated_ms, now)}`}
            {' · '}
            <Link href={exploreLink(rule)}>Explore this query</Link>
          </p>
        </div>
      )}
    </article>
  );
}

function Instances({ instances, now }: { instances: readonly AlertInstance[]; now: number }) {
  if (instances.length === 0) return <p className={classes.foot}>The query has returned no series yet.</p>;
  const sorted = [...instances].sort((a, b) => RANK.get(a.state)! - RANK.get(b.state)!);
  return (
    <table className={classes.instances}>
      <thead><tr><th>Series</th><th>State</th><th className={classes.right}>Value</th><th className={classes.right}>For</th></tr></thead>
      <tbody>
        {sorted.map((instance) => (
          <tr key={JSON.stringify(instance.labels)}>
            <td>{instance.labels.length === 0 ? <span className={classes.foot}>all</span> : instance.labels.map(([key, value]) => (
              <span key={key} className={classes.label}><span>{key}</span>{value}</span>
            ))}</td>
            <td>
              <StateBadge state={instance.state} />
              {instance.muted && <span className={classes.muted} title="Nobody is told of it until that time is over">{instance.muted}</span>}
            </td>
            <td className={classes.right}>{instance.value_text || '–'}</td>
            <td className={classes.right} title={instance.since_ms === null ? undefined : localDateTime(instance.since_ms)}>
              {instance.since_ms === null ? '–' : humanDuration(Math.max(1_000, now - instance.since_ms))}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
