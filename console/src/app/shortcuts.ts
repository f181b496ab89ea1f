/** Keyboard shortcuts. Single keys and sequences of two ("g h"); silent while somebody types. */
import { useLayoutEffect, useRef } from 'react';

export type Shortcuts = Record<string, () => void>;

/** What "?" lists. */
export const SHORTCUT_HELP: readonly { title: string; keys: readonly [string, string][] }[] = [
  {
    title: 'Go to',
    keys: [
      ['g o', 'Overview'],
      ['g h', 'Hosts'],
      ['g v', 'Virtual machines'],
      ['g e', 'Explore'],
      ['g a', 'Alerts'],
      ['g c', 'Cluster'],
    ],
  },
  {
    title: 'Time',
    keys: [
      ['r', 'Refresh now'],
      ['t', 'Choose a range'],
      ['[ ]', 'Earlier, later'],
      ['-', 'Zoom out'],
      ['0', 'Back from zooming'],
    ],
  },
  {
    title: 'Charts',
    keys: [
      ['drag', 'Zoom in'],
      ['double-click', 'Back from zooming'],
      ['click', 'In a legend: only this series'],
      ['Ctrl click', 'In a legend: hide or show'],
      ['Esc', 'Leave an enlarged panel'],
    ],
  },
  {
    title: 'Explore',
    keys: [
      ['Ctrl Enter', 'Run the query'],
      ['Ctrl Space', 'Complete'],
    ],
  },
  {
    title: 'Everywhere',
    keys: [
      ['d', 'Light or dark'],
      ['?', 'This list'],
    ],
  },
];

const SEQUENCE_MS_MAX = 1_000;

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  // Before the page is painted: whoever sees it can use its keys.
  useLayoutEffect(() => {
    let first: { key: string; at: number } | undefined;
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const sequence = first && event.timeStamp - first.at < SEQUENCE_MS_MAX ? `${first.key} ${event.key}` : undefined;
      const action = (sequence && latest.current[sequence]) || latest.current[event.key];
      first = { key: event.key, at: event.timeStamp };
      if (!action) return;
      event.preventDefault();
      action();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
