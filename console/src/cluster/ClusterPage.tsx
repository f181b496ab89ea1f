/** The cluster: who is in it and how they are, what waits for whom, how far the log is applied, and what to do. */
import type { ReactNode } from 'react';
import { usePageTitle } from '../app/usePageTitle';
import type { ClusterSnapshot } from '../data/api';
import { ApiError } from '../data/client';
import { formatValue } from '../format/units';
import { humanDuration } from '../time/duration';
import { Card, Tile } from '../ui/Card';
import shared from '../ui/card.module.css';
import { Command } from '../ui/Command';
import { Icon } from '../ui/Icon';
import { Failure, Loading, Message } from '../ui/States';
import { Toolbar } from '../ui/Toolbar';
import { dataNodeSaid, hintRows, isShort, lagRows, metaNodeSaid, partitionTone, plural, type Problem, problems, type Said, summary } from './cluster';
import classes from './cluster.module.css';
import { useCluster } from './useCluster';

const REFRESH_MS = 5_000;

export default function ClusterPage() {
  usePageTitle('Cluster');
  const cluster = useCluster(REFRESH_MS);
  if (cluster.error instanceof ApiError && cluster.error.status === 403) return <ForAdministrators reason={cluster.error.message} />;
  if (cluster.isError && cluster.data === undefined) return <Failure error={cluster.error} onRetry={() => void cluster.refetch()} />;
  if (cluster.data === undefined) return <Loading label="Asking the nodes" />;
  if (cluster.data === null) return <SingleServer />;
  return <Members cluster={cluster.data} stale={cluster.isError} />;
}

function ForAdministrators({ reason }: { reason: string }) {
  return (
    <Message icon="cluster" title="The cluster is shown to administrators">
      <p>{reason}</p>
      <p>Log in as a user who has all privileges. An administrator grants them with</p>
      <Command text="GRANT ALL PRIVILEGES TO name" />
    </Message>
  );
}

function SingleServer() {
  return (
    <Message icon="server" title="This is a single server">
      <p>It holds everything by itself: there are no other nodes to show.</p>
      <dl className={classes.ways}>
        <dt>Three meta nodes and two data nodes on this machine, to try it, with this page on port 3000 (from the source tree):</dt>
        <dd><Command text="make cluster" /></dd>
        <dt>A cluster on real hosts begins with one file that names them:</dt>
        <dd><Command text="skywatch render --example > cloud.toml" /></dd>
        <dt>What a data node is told in its own file:</dt>
        <dd><Command text="skywatch config default data" /></dd>
      </dl>
    </Message>
  );
}

function Members({ cluster, stale }: { cluster: ClusterSnapshot; stale: boolean }) {
  const found = problems(cluster);
  const me = cluster.data_nodes.find(({ id }) => id === cluster.told_by);
  const told = (
    <>
      {stale ? 'not answering; last ' : ''}told by <code>{me?.tcp_addr ?? `node ${cluster.told_by}`}</code>
      {cluster.catalogue_age_ms === null
        ? ', which reaches no meta node that is up to date'
        : cluster.catalogue_age_ms > REFRESH_MS ? `, catalogue of ${humanDuration(cluster.catalogue_age_ms)} ago` : ''}
    </>
  );
  return (
    <div className={shared.page}>
      <Toolbar title="Cluster" source={told}>
        <span className={classes.verdict} data-tone={found.length === 0 ? 'good' : found[0]!.tone} role="status">
          {found.length === 0 ? 'All is well' : plural(found.length, 'thing to look at', 'things to look at')}
        </span>
      </Toolbar>
      {found.length > 0 && (
        <ul className={classes.problems} aria-label="Things to look at">
          {found.map((problem) => <ProblemItem key={problem.title} problem={problem} />)}
        </ul>
      )}
      <div className={shared.tiles}>{summary(cluster).map((tile) => <Tile key={tile.label} {...tile} />)}</div>
      <div className={classes.grid}>
        <div>
          <DataNodes cluster={cluster} />
          {cluster.log !== null && <Lag cluster={cluster} log={cluster.log} />}
          <Handoff cluster={cluster} />
          <Commands cluster={cluster} />
        </div>
        <div>
          <MetaNodes cluster={cluster} />
          <Copies cluster={cluster} />
        </div>
      </div>
    </div>
  );
}

function ProblemItem({ problem: { tone, title, text, commands } }: { problem: Problem }) {
  return (
    <li data-tone={tone}>
      <Icon name="alert" size={16} />
      <div>
        <strong>{title}</strong>
        <p>{text}</p>
        <div className={classes.commands}>{commands.map((command) => <Command key={command} text={command} />)}</div>
      </div>
    </li>
  );
}

function State({ said: { text, tone, reason } }: { said: Said }) {
  return <span title={reason}><span className={shared.dot} data-tone={tone} />{text}</span>;
}

/** Data centre and rack first, then whatever else there is. */
function place(labels: Record<string, string>): string {
  const { dc, rack, ...others } = labels;
  return [...[dc, rack].filter(Boolean), ...Object.entries(others).map(([key, value]) => `${key}=${value}`)].join(' / ');
}

function DataNodes({ cluster }: { cluster: ClusterSnapshot }) {
  return (
    <Card title="Data nodes" id="data-nodes">
      <table className={shared.table}>
        <thead>
          <tr>
            <th>Node</th><th>State</th><th>Place</th><th>Version</th><th className={shared.right}>Shards</th><th className={shared.right}>On disk</th><th>Clients</th>
          </tr>
        </thead>
        <tbody>
          {cluster.data_nodes.map((node) => (
            <tr key={node.id}>
              <td><span className={shared.dim}>{node.id}</span> <strong>{node.tcp_addr}</strong></td>
              <td><State said={dataNodeSaid(node)} /></td>
              <td className={shared.dim}>{place(node.labels) || '–'}</td>
              <td>{node.told?.version || '–'}</td>
              <td className={shared.right} title={`${node.copies} by the catalogue, ${node.told?.shards ?? 'unknown'} on disk`}>
                {node.copies}
                {node.copies_joining > 0 && <span className={classes.joining}> {node.copies_joining} filling</span>}
              </td>
              <td className={shared.right}>{node.told ? formatValue(node.told.disk_bytes, 'bytes', 1) : '–'}</td>
              <td className={shared.dim}>{node.http_addr}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function MetaNodes({ cluster }: { cluster: ClusterSnapshot }) {
  return (
    <Card title="Meta nodes" id="meta-nodes">
      <table className={shared.table}>
        <thead><tr><th>Node</th><th>State</th><th>Version</th><th className={shared.right}>Catalogue</th></tr></thead>
        <tbody>
          {cluster.meta_nodes.map((node) => (
            <tr key={node.id}>
              <td><span className={shared.dim}>{node.id}</span> <strong>{node.http_addr}</strong></td>
              <td><State said={metaNodeSaid(node)} /></td>
              <td>{node.version ?? '–'}</td>
              <td className={shared.right} title="The change that its copy of the catalogue has come to">{node.index?.toLocaleString('en') ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Handoff({ cluster }: { cluster: ClusterSnapshot }) {
  const rows = hintRows(cluster);
  return (
    <Card title="Hinted handoff" id="handoff">
      {rows.length === 0 ? <Calm>Nothing waits for anybody: each node got all that was meant for it.</Calm> : (
        <table className={shared.table}>
          <thead><tr><th>Kept by</th><th>For</th><th className={shared.right}>Writes</th><th className={shared.right}>Size</th><th>Given up</th></tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.by} ${row.to}`}>
                <td>{row.by}</td>
                <td>{row.to}</td>
                <td className={shared.right}>{row.entries.toLocaleString('en')}</td>
                <td className={shared.right}>{formatValue(row.bytes, 'bytes', 1)}</td>
                <td className={row.has_gaps || row.dropped > 0 ? classes.joining : shared.dim}>
                  {row.dropped > 0 ? row.dropped.toLocaleString('en') : row.has_gaps ? 'some' : 'none'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Lag({ cluster, log }: { cluster: ClusterSnapshot; log: string }) {
  const rows = lagRows(cluster);
  return (
    <Card title="Kafka: lag by partition and owner" id="lag" aside={<span className={shared.dim}>topic <code>{log}</code></span>}>
      {rows.length === 0 ? <Calm>No data node tells how far it has applied the log.</Calm> : (
        <table className={shared.table}>
          <thead>
            <tr>
              <th>Partition</th><th>Owner</th><th>State</th><th className={shared.right}>Lag</th><th className={shared.right}>For</th><th className={shared.right}>Applied</th><th className={shared.right}>End</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.partition} ${row.by}`}>
                <td>{row.partition}</td>
                <td>{row.by}</td>
                <td><State said={{ text: row.state, tone: partitionTone(row.state), reason: row.trouble ?? undefined }} /></td>
                <td className={shared.right}>{row.lag?.toLocaleString('en') ?? '–'}</td>
                <td className={shared.right}>{row.lag_ms === null ? '–' : row.lag_ms === 0 ? '0s' : humanDuration(row.lag_ms)}</td>
                <td className={shared.right}>{row.applied.toLocaleString('en')}</td>
                <td className={shared.right}>{row.end?.toLocaleString('en') ?? '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Copies({ cluster }: { cluster: ClusterSnapshot }) {
  return (
    <Card title="Copies" id="copies">
      {cluster.policies.length === 0 ? <Calm>There are no shards yet: they come with the first write.</Calm> : (
        <table className={shared.table}>
          <thead>
            <tr>
              <th>Database and policy</th><th className={shared.right}>Shards</th><th className={shared.right}>Wanted</th><th className={shared.right}>Fewest</th><th>Being made</th>
            </tr>
          </thead>
          <tbody>
            {cluster.policies.map((policy) => (
              <tr key={`${policy.database} ${policy.policy}`}>
                <td><strong>{policy.database}</strong> <span className={shared.dim}>{policy.policy}</span></td>
                <td className={shared.right}>{policy.shards.toLocaleString('en')}</td>
                <td className={shared.right}>{policy.copies_wanted}</td>
                <td className={shared.right}>
                  <span className={shared.dot} data-tone={policy.copies_fewest === 0 || policy.copies_lost > 0 ? 'bad' : isShort(policy) ? 'warn' : 'good'} />
                  {policy.copies_fewest}
                </td>
                <td className={shared.dim}>
                  {policy.copies_joining + policy.copies_lost === 0 ? 'none' : [
                    policy.copies_joining > 0 && plural(policy.copies_joining, 'is filled', 'are filled'),
                    policy.copies_lost > 0 && plural(policy.copies_lost, 'has no node yet', 'have no node yet'),
                  ].filter(Boolean).join(', ')}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Commands({ cluster }: { cluster: ClusterSnapshot }) {
  const lines: [string, string][] = [
    ['show -v', 'nodes, addresses, labels, leader'],
    ['show-shards', 'who owns which shard'],
    ['entropy show', 'copies that differ'],
    ...(cluster.log === null ? [] : [['show-lag', 'how far each node has applied the log'] as [string, string]]),
    ['copy-shard-status', 'copies under way'],
  ];
  return (
    <Card title="In a terminal">
      <ul className={classes.terminal}>
        {lines.map(([command, meaning]) => (
          <li key={command}>
            <span className={shared.dim}>{meaning}</span>
            <Command text={`skywatch ctl ${cluster.ctl_options} ${command}`} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Calm({ children }: { children: ReactNode }) {
  return <p className={classes.calm}><Icon name="check" size={15} /> {children}</p>;
}
