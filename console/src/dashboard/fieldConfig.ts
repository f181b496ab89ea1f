/** What a column looks like: the panel's defaults, then every override that matches it. */
import { type Field, type FieldType, isNamed } from '../data/frame';
import { toRegex } from '../data/regex';
import { isDateUnit } from '../format/units';
import type { CustomConfig, FieldConfig, FieldConfigSource, Override } from './model';

/** A column as overrides see it: by its shown name, its own name, its type, its query. */
export interface Subject {
  name: string;
  field: Pick<Field, 'name' | 'type' | 'alias' | 'foreignNames'> & Partial<Pick<Field, 'labels'>>;
  refId: string;
}

export function resolveFieldConfig(source: FieldConfigSource | undefined, subject: Subject): FieldConfig {
  const defaults = source?.defaults ?? {};
  const config: FieldConfig = { ...defaults, custom: { ...defaults.custom } };
  for (const override of source?.overrides ?? []) {
    if (matches(override, subject)) for (const { id, value } of override.properties) apply(config, id, value);
  }
  // The panel's unit is that of its values, and times are not among them.
  if (subject.field.type === 'time' && !isDateUnit(config.unit)) delete config.unit;
  if (config.displayName?.includes('$')) config.displayName = expandName(config.displayName, subject);
  return config;
}

/** `${__field.name}`, `${__field.labels.host}`, `${__series.name}`. */
function expandName(text: string, { name, field: { name: column, labels = {} } }: Subject): string {
  return text
    .replaceAll('${__field.name}', column)
    .replaceAll('${__field.displayName}', name)
    .replaceAll('${__series.name}', name)
    .replaceAll('${__field.labels}', Object.entries(labels).map(([key, value]) => `${key}="${value}"`).join(', '))
    .replace(/\$\{__field\.labels\.([^}]+)\}|\$\{__field\.labels\[["']?([^}\]"']+)["']?\]\}/g, (_, dotted?: string, quoted?: string) => labels[(dotted ?? quoted ?? '').replace(/^"|"$/g, '')] ?? '');
}

function matches({ matcher }: Override, { name, field, refId }: Subject): boolean {
  const options = matcher.options;
  const called = (wanted: string) => wanted === name || isNamed(field, wanted);
  switch (matcher.id) {
    case 'byName': return typeof options === 'string' && called(options);
    case 'byNames': {
      const names = (options as { names?: string[] } | undefined)?.names ?? [];
      return names.some(called) !== ((options as { mode?: string } | undefined)?.mode === 'exclude');
    }
    case 'byRegexp': {
      const pattern = toRegex(String(options));
      return pattern !== undefined && [name, ...(field.alias ? [] : (field.foreignNames ?? []))].some((one) => pattern.test(one));
    }
    case 'byType': return field.type === (options as FieldType);
    case 'byFrameRefID': return options === refId;
    default: return false;
  }
}

function apply(config: FieldConfig, id: string, value: unknown): void {
  if (id.startsWith('custom.')) {
    // Paths such as "custom.stacking" and "custom.hideFrom" replace a whole value, as in Grafana.
    const key = id.slice('custom.'.length) as keyof CustomConfig;
    config.custom = { ...config.custom, [key]: value };
  } else {
    Object.assign(config, { [id]: value });
  }
}
