/** Keys for time: r refreshes, [ and ] step, - zooms out, t opens the picker. */
import { useShortcuts } from '../app/shortcuts';
import { useTime } from './TimeContext';

export function TimeShortcuts() {
  const time = useTime();
  useShortcuts({
    r: time.refreshNow,
    '[': () => time.shift(-0.5),
    ']': () => time.shift(0.5),
    '-': time.zoomOut,
    '0': time.resetZoom,
    t: () => document.querySelector<HTMLElement>('[data-time-range]')?.click(),
  });
  return null;
}
