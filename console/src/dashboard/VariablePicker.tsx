/** A template variable as a button with a searchable list; several values where the variable allows it. */
import { Popover, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import { Icon } from '../ui/Icon';
import { describeFilter } from './adhoc';
import classes from './dashboard.module.css';
import { ALL, describeSelection, type Option, type ResolvedVariable } from './variables';

export function VariablePicker({ resolved, onChange }: { resolved: ResolvedVariable; onChange(values: string[]): void }) {
  const { variable, options, selected, filters, error } = resolved;
  const [open, setOpen] = useState(false);
  const [filter, setFilter] = useState('');
  const label = variable.label || variable.name;
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    const all: Option[] = variable.includeAll ? [{ value: ALL, text: 'All' }] : [];
    return [...all, ...options].filter(({ text }) => text.toLowerCase().includes(wanted));
  }, [options, variable.includeAll, filter]);

  if (variable.type === 'adhoc') {
    return (
      <span className={classes.variable} title="Filters of the dashboard, for every query in InfluxQL">
        <span className={classes.variableLabel}>{label}</span>
        <span className={classes.variableValue}>{(filters ?? []).map(describeFilter).join(', ')}</span>
      </span>
    );
  }

  if (variable.type === 'textbox') {
    return (
      <label className={classes.variable}>
        <span className={classes.variableLabel}>{label}</span>
        <TextInput defaultValue={selected[0] ?? ''} w={120} aria-label={label} onBlur={(event) => onChange([event.currentTarget.value])} />
      </label>
    );
  }

  const choose = (value: string, only: boolean) => {
    if (!variable.multi || only || value === ALL) {
      onChange([value]);
      if (!variable.multi) setOpen(false);
      return;
    }
    const without = selected.filter((other) => other !== ALL && other !== value);
    const next = selected.includes(value) ? without : [...without, value];
    onChange(next.length > 0 ? next : variable.includeAll ? [ALL] : [value]);
  };

  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" width={240} trapFocus onClose={() => setFilter('')}>
      <Popover.Target>
        <button type="button" className={classes.variable} onClick={() => setOpen(!open)} aria-haspopup="listbox" aria-expanded={open} title={error}>
          <span className={classes.variableLabel}>{label}</span>
          <span className={classes.variableValue}>{error ? 'error' : describeSelection(resolved)}</span>
          <Icon name="chevron" size={12} />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={6}>
        <TextInput
          placeholder={`Find among ${options.length}`}
          value={filter}
          data-autofocus
          aria-label={`Find a value of ${label}`}
          leftSection={<Icon name="search" size={13} />}
          onChange={(event) => setFilter(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && shown[0]) choose(shown[0].value, true);
          }}
        />
        <div className={classes.options} role="listbox" aria-multiselectable={variable.multi ?? false}>
          {error && <div className={classes.optionsEmpty}>{error}</div>}
          {!error && shown.length === 0 && <div className={classes.optionsEmpty}>Nothing like that</div>}
          {shown.slice(0, 500).map(({ value, text }) => {
            const on = selected.includes(value);
            return (
              <button key={value} type="button" role="option" aria-selected={on} className={classes.option}
                onClick={(event) => choose(value, event.ctrlKey || event.metaKey)}>
                <span className={classes.tick}>{on && <Icon name="check" size={13} />}</span>
                <span className={classes.optionText}>{text}</span>
              </button>
            );
          })}
        </div>
        {variable.multi && <div className={classes.optionsHint}>Ctrl-click: only that one</div>}
      </Popover.Dropdown>
    </Popover>
  );
}
