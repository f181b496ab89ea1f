/** What a column looks like: the panel's defaults, then every override that matches it. */
import type { Field, FieldType } from '../data/frame';
import type { CustomConfig, FieldConfig, FieldConfigSource, Override } from './model';

/** A column as overrides see it: by its shown name, its own name, its type, its query. */
export interface Subject {
  name: string;
  field: Pick<Field, 'name' | 'type'>;
  refId: string;
}

export function resolveFieldConfig(source: FieldConfigSource | undefined, subject: Subject): FieldConfig {
  const defaults = source?.defaults ?? {};
  const config: FieldConfig = { ...defaults, custom: { ...defaults.custom } };
  for (const override of source?.overrides ?? []) {
    if (matches(override, subject)) for (const { id, value } of override.properties) apply(config, id, value);
  }
  return config;
}

function matches({ matcher }: Override, { name, field, refId }: Subject): boolean {
  const options = matcher.options;
  switch (matcher.id) {
    case 'byName': return options === name || options === field.name;
    case 'byNames': {
      const names = (options as { names?: string[] } | undefined)?.names ?? [];
      return names.includes(name) || names.includes(field.name);
    }
    case 'byRegexp': return new RegExp(bareRegex(String(options))).test(name);
    case 'byType': return field.type === (options as FieldType);
    case 'byFrameRefID': return options === refId;
    default: return false;
  }
}

function bareRegex(text: string): string {
  return /^\/(.*)\/[a-z]*$/.exec(text)?.[1] ?? text;
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
