/** Rules as the page of alerts lists them. */
import type { AlertRule, AlertState } from '../data/api';

export const STATES: readonly { state: AlertState; text: string }[] = [
  { state: 'firing', text: 'Firing' },
  { state: 'error', text: 'Error' },
  { state: 'no_data', text: 'No data' },
  { state: 'pending', text: 'Pending' },
  { state: 'normal', text: 'Normal' },
  { state: 'paused', text: 'Paused' },
];

export const RANK = new Map(STATES.map(({ state }, i) => [state, i]));
export const NAME = new Map(STATES.map(({ state, text }) => [state, text]));

/** Those in a state, or all, of which a text is part; the worst first. */
export function shown(rules: readonly AlertRule[], state: AlertState | 'all', filter: string): AlertRule[] {
  const wanted = filter.trim().toLowerCase();
  const text = (rule: AlertRule) => [rule.title, rule.group, rule.query, ...rule.instances.flatMap(({ labels }) => labels.flat())].join('\n').toLowerCase();
  return rules
    .filter((rule) => (state === 'all' || rule.state === state) && (wanted === '' || text(rule).includes(wanted)))
    .sort((a, b) => RANK.get(a.state)! - RANK.get(b.state)!);
}

/** A rule's query may have another database than the one that Explore begins with. */
export function exploreLink({ query, database }: Pick<AlertRule, 'query' | 'database'>): string {
  return `/explore?q=${encodeURIComponent(query)}&db=${encodeURIComponent(database)}`;
}
