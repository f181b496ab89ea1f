/** Regular expressions in dashboards: `/cpu.+/i` between slashes, or bare, which then means the whole text. */

/** Nothing for what is no regular expression: it matches nothing, and the panel is drawn all the same. */
export function toRegex(text: string): RegExp | undefined {
  const slashed = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    // "g" and "y" would make a match depend on the one before.
    return slashed ? new RegExp(slashed[1]!, slashed[2]!.replace(/[gy]/g, '')) : new RegExp(`^(?:${text})$`);
  } catch {
    return undefined;
  }
}
