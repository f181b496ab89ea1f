/** The database's measurements with their fields and tags; a click puts a query or a name into the editor. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Icon } from '../ui/Icon';
import type { Language } from '../data/language';
import classes from './explore.module.css';
import type { Schema } from './schema';
import { TEXTS } from './texts';

interface SchemaBrowserProps {
  language: Language;
  schema: Schema;
  db: string;
  onQuery(q: string): void;
}

export function SchemaBrowser({ language, schema, db, onQuery }: SchemaBrowserProps) {
  const [filter, setFilter] = useState('');
  const measurements = useQuery({ queryKey: ['schema-list', db], queryFn: () => schema.measurements(), staleTime: 30_000 });
  const shown = (measurements.data ?? []).filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  return (
    <aside className={classes.schema} aria-label="Schema">
      <TextInput placeholder="Find a measurement" value={filter} aria-label="Find a measurement" leftSection={<Icon name="search" size={13} />}
        onChange={(event) => setFilter(event.currentTarget.value)} />
      <div className={classes.schemaList}>
        {measurements.data && shown.length === 0 && <p className={classes.dim}>{filter ? 'Nothing like that' : `No measurements in ${db} yet`}</p>}
        {shown.map((name) => <Measurement key={name} name={name} language={language} db={db} schema={schema} onQuery={onQuery} />)}
      </div>
    </aside>
  );
}

function Measurement({ name, language, db, schema, onQuery }: SchemaBrowserProps & { name: string }) {
  const [open, setOpen] = useState(false);
  const details = useQuery({
    queryKey: ['schema-of', db, name],
    queryFn: async () => ({ fields: await schema.fields(name), tags: await schema.tags(name) }),
    enabled: open,
    staleTime: 30_000,
  });
  const texts = TEXTS[language];
  return (
    <div>
      <button type="button" className={classes.measurement} aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? 'chevron' : 'right'} size={12} />
        {name}
      </button>
      {open && details.data && (
        <div className={classes.members}>
          {details.data.fields.map((field) => (
            <button key={field.name} type="button" title={`Chart ${field.name}`} onClick={() => onQuery(texts.chart(name, field, details.data.tags))}>
              <span>{field.name}</span>
              <span className={classes.type}>{field.type}</span>
            </button>
          ))}
          {details.data.tags.map((tag) => (
            <button key={tag} type="button" title={`List the values of ${tag}`}
              onClick={() => onQuery(texts.tagValues(name, tag))}>
              <span>{tag}</span>
              <span className={classes.type}>tag</span>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
