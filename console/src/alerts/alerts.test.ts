import { expect, test } from 'vitest';
import type { AlertRule, AlertState } from '../data/api';
import { exploreLink, NAME, shown } from './rules';

test('a rule is explored in the database that it asks', () => {
  expect(exploreLink({ query: 'SELECT x FROM m', database: 'the hosts' })).toBe('/explore?q=SELECT%20x%20FROM%20m&db=the%20hosts');
});

test('the worst rules come first, and those that are paused last', () => {
  const rules = (['paused', 'normal', 'firing', 'error'] as AlertState[]).map((state) => ({ title: state, group: '', query: '', state, instances: [] as unknown[] }) as AlertRule);
  expect(shown(rules, 'all', '').map(({ state }) => NAME.get(state))).toEqual(['Firing', 'Error', 'Normal', 'Paused']);
  expect(shown(rules, 'paused', 'PAU')).toHaveLength(1);
});
