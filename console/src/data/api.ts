/** The console's API besides queries. The records mirror crates/console/src/{alerts,cluster,dashboards,info}.rs. */
import { getJson } from './client';

export interface Info {
  version: string;
  database: string;
  upstream: string;
  store_version: string | null;
  store_error: string | null;
}

export interface DashboardSummary {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  file: string | null;
  error: string | null;
}

export type AlertState = 'paused' | 'normal' | 'pending' | 'no_data' | 'error' | 'firing';

export interface AlertInstance {
  labels: [string, string][];
  state: AlertState;
  value: number | null;
  /** The value with its unit; empty where there is none. */
  value_text: string;
  since_ms: number | null;
  /** Why nobody is told of it for now: `muted by nights`. */
  muted?: string;
}

export interface AlertRule {
  uid: string;
  title: string;
  group: string;
  query: string;
  database: string;
  condition: string;
  interval_secs: number;
  summary: string | null;
  state: AlertState;
  since_ms: number | null;
  evaluated_ms: number | null;
  last_error: string | null;
  instances: AlertInstance[];
}

export interface AlertsSnapshot {
  source: string | null;
  source_error: string | null;
  rules: AlertRule[];
  notifications_queued: number;
  notification_error: string | null;
  /** Instances that there was no room for between nodes. */
  instances_left_out: number;
  /** In a cluster: the node that evaluates. */
  evaluated_by: string | null;
  /** How old this is, where another node evaluates. */
  age_ms: number | null;
  /** Why nothing newer is known of the evaluating node. */
  evaluator_error: string | null;
}

export interface ClusterMetaNode {
  id: number;
  http_addr: string;
  raft_addr: string;
  is_leader: boolean;
  knows_leader: boolean;
  version: string | null;
  index: number | null;
  error: string | null;
}

export interface ClusterHints {
  node: number;
  entries: number;
  bytes: number;
  dropped: number;
  has_gaps: boolean;
}

export interface ClusterPartition {
  partition: number;
  applied: number;
  end: number | null;
  lag: number | null;
  lag_ms: number | null;
  state: string;
  trouble: string | null;
}

export interface ClusterDataNode {
  id: number;
  http_addr: string;
  tcp_addr: string;
  labels: Record<string, string>;
  is_behind: boolean;
  copies: number;
  copies_joining: number;
  told: {
    version: string;
    not_ready: string | null;
    reason: string | null;
    shards: number;
    disk_bytes: number;
    hints: ClusterHints[];
    partitions: ClusterPartition[];
    log_error: string | null;
  } | null;
  error: string | null;
  is_older: boolean;
}

export interface ClusterPolicy {
  database: string;
  policy: string;
  copies_wanted: number;
  shards: number;
  copies_fewest: number;
  copies_joining: number;
  copies_lost: number;
}

export interface ClusterSnapshot {
  told_by: number;
  ctl_options: string;
  catalogue_age_ms: number | null;
  feature_level: number;
  meta_nodes: ClusterMetaNode[];
  data_nodes: ClusterDataNode[];
  policies: ClusterPolicy[];
  log: string | null;
}

export const fetchInfo = (signal?: AbortSignal) => getJson<Info>('/api/info', signal);
export const fetchDashboards = (signal?: AbortSignal) => getJson<DashboardSummary[]>('/api/dashboards', signal);
export const fetchDashboard = (uid: string, signal?: AbortSignal) =>
  getJson<unknown>(`/api/dashboards/${encodeURIComponent(uid)}`, signal);
export const fetchAlerts = (signal?: AbortSignal) => getJson<AlertsSnapshot>('/api/alerts', signal);
/** `null` from a single server. */
export const fetchCluster = (signal?: AbortSignal) => getJson<ClusterSnapshot | null>('/api/cluster', signal);
