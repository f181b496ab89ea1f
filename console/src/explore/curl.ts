/** A query as a command line for a shell, to go on elsewhere. */
import type { Language } from '../data/language';

export function curlCommand(upstream: string, db: string | undefined, q: string, language: Language = 'influxql'): string {
  if (language === 'flux') {
    // The text as it is needs no second quoting, as it would inside of JSON.
    const type = shell('Content-Type: application/vnd.flux');
    return [`curl -s ${shell(`${upstream}/api/v2/query?org=-`)}`, `-H ${type}`, `--data-binary ${shell(q)}`].join(' \\\n  ');
  }
  const parts = [`curl -sG ${shell(`${upstream}/query`)}`];
  if (db) parts.push(`--data-urlencode ${shell(`db=${db}`)}`);
  parts.push(`--data-urlencode ${shell(`q=${q}`)}`);
  return parts.join(' \\\n  ');
}

/** Single quotes keep everything but themselves. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
