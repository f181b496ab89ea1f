/** Earlier queries, newest first, each with where and in which language it was asked. */
import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { LANGUAGE_NAMES } from '../data/language';
import { localDateTime } from '../time/range';
import { Icon } from '../ui/Icon';
import classes from './explore.module.css';
import type { HistoryEntry } from './history';

export function HistoryMenu({ history, onPick, onClear }: { history: readonly HistoryEntry[]; onPick(entry: HistoryEntry): void; onClear(): void }) {
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
            <span className={classes.dim}>{localDateTime(entry.at)} · {entry.db} · {LANGUAGE_NAMES[entry.language ?? 'influxql']}</span>
          </Menu.Item>
        ))}
        {history.length > 0 && <Menu.Divider />}
        {history.length > 0 && <Menu.Item leftSection={<Icon name="trash" size={14} />} onClick={onClear}>Forget them all</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
