/** Range and refresh of the page: quick ranges, an absolute range, stepping, auto-refresh. */
import { ActionIcon, Button, Menu, Popover, TextInput, Tooltip } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { Icon } from '../ui/Icon';
import { describeRange, isRelative, localDateTime, QUICK_RANGES, resolveRange } from './range';
import { useTime } from './TimeContext';
import classes from './time.module.css';

const REFRESHES = ['off', '5s', '10s', '30s', '1m'] as const;

export function TimeControls() {
  const time = useTime();
  const refresh = time.refresh && time.refresh !== 'off' ? time.refresh : 'off';
  return (
    <div className={classes.controls}>
      {time.wrong && <span role="alert" className={classes.wrong}>{time.wrong}. The last hour is shown.</span>}
      <div className={classes.group}>
        <Tooltip label="Earlier ([)"><ActionIcon onClick={() => time.shift(-0.5)} aria-label="Earlier"><Icon name="left" /></ActionIcon></Tooltip>
        <RangePicker />
        <Tooltip label="Later (])"><ActionIcon onClick={() => time.shift(0.5)} aria-label="Later"><Icon name="right" /></ActionIcon></Tooltip>
        <Tooltip label="Zoom out (-)"><ActionIcon onClick={time.zoomOut} aria-label="Zoom out"><Icon name="zoomOut" /></ActionIcon></Tooltip>
      </div>
      <div className={classes.group}>
        <Tooltip label="Refresh now (r)"><ActionIcon onClick={time.refreshNow} aria-label="Refresh now"><Icon name="refresh" size={15} /></ActionIcon></Tooltip>
        <Menu position="bottom-end" width={150}>
          <Menu.Target>
            <button type="button" className={classes.button} aria-label={`Auto-refresh: ${refresh}`}>
              <span className={refresh === 'off' ? classes.off : undefined}>{refresh}</span>
              {refresh !== 'off' && !isRelative(time.raw) && <span className={classes.paused}>paused</span>}
              <Icon name="chevron" size={12} />
            </button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>Refresh every</Menu.Label>
            {REFRESHES.map((every) => (
              <Menu.Item key={every} onClick={() => time.setRefresh(every)} rightSection={every === refresh && <Icon name="check" size={13} />}>
                {every === 'off' ? 'Off' : every}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </div>
    </div>
  );
}

function RangePicker() {
  const time = useTime();
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" width={420} trapFocus>
      <Popover.Target>
        <button type="button" data-time-range className={classes.button} onClick={() => setOpen(!open)} aria-haspopup="dialog" aria-expanded={open}
          title={`${localDateTime(time.range.from)} to ${localDateTime(time.range.to)}`}>
          <Icon name="clock" size={14} />
          <span className="num">{time.wrong ? 'Last hour' : describeRange(time.raw, time.now)}</span>
          <Icon name="chevron" size={12} />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={0} aria-label="Time range">
        <div className={classes.picker}>
          <AbsoluteForm key={String(open)} onDone={() => setOpen(false)} />
          <div className={classes.quick}>
            {QUICK_RANGES.map(({ label, range }) => {
              const current = range.from === time.raw.from && range.to === time.raw.to;
              return (
                <button key={label} type="button" aria-pressed={current} className={classes.quickRange}
                  onClick={() => {
                    time.setRange(range);
                    setOpen(false);
                  }}>
                  {label}
                </button>
              );
            })}
          </div>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function AbsoluteForm({ onDone }: { onDone(): void }) {
  const time = useTime();
  const shown = (text: string, instant: number) => (text.startsWith('now') ? text : localDateTime(instant));
  const [from, setFrom] = useState(() => shown(time.raw.from, time.range.from));
  const [to, setTo] = useState(() => shown(time.raw.to, time.range.to));
  const [wrong, setWrong] = useState(false);
  useEffect(() => setWrong(false), [from, to]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!resolveRange({ from, to }, Date.now())) return setWrong(true);
    // Instants are stored as numbers: a date in words would mean another instant in another time zone.
    const stored = (text: string) => (text.trim().startsWith('now') ? text.trim() : String(resolveRange({ from: text, to: 'now+100y' }, Date.now())?.from ?? text));
    time.setRange({ from: stored(from), to: stored(to) });
    onDone();
  };
  return (
    <form className={classes.absolute} onSubmit={submit}>
      <TextInput label="From" value={from} onChange={(event) => setFrom(event.currentTarget.value)} error={wrong} />
      <TextInput label="To" value={to} onChange={(event) => setTo(event.currentTarget.value)} error={wrong && 'Not a range: from must come before to'} />
      <Button type="submit" variant="filled">Apply</Button>
      <p className={classes.help}>
        <code>2026-11-22 14:30:00</code> or words: <code>now-90m</code>, <code>now/d</code> (today’s start)
      </p>
    </form>
  );
}
