/** The console's API besides queries. The records mirror crates/console/src/{alerts,dashboards,info}.rs. */
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

export type AlertState = 'normal' | 'pending' | 'no_data' | 'error' | 'firing';

export interface AlertInstance {
  labels: [string, string][];
  state: AlertState;
  value: number | null;
  since_ms: number | null;
}

export interface AlertRule {
  uid: string;
  title: string;
  group: string;
  query: string;
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
}

export const fetchInfo = (signal?: AbortSignal) => getJson<Info>('/api/info', signal);
export const fetchDashboards = (signal?: AbortSignal) => getJson<DashboardSummary[]>('/api/dashboards', signal);
export const fetchDashboard = (uid: string, signal?: AbortSignal) =>
  getJson<unknown>(`/api/dashboards/${encodeURIComponent(uid)}`, signal);
export const fetchAlerts = (signal?: AbortSignal) => getJson<AlertsSnapshot>('/api/alerts', signal);
