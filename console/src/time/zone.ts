/** The time zone that a dashboard wants. The console has one clock, the browser's; where a dashboard means another it says so. */

/** The zone's name, if its clock shows another time than the browser's now or half a year away. */
export function foreignZone(timezone: string | undefined, now: number): string | undefined {
  if (!timezone || timezone === 'browser') return undefined;
  const zone = timezone.toLowerCase() === 'utc' ? 'UTC' : timezone;
  try {
    const clock = (at: number, timeZone?: string) => new Date(at).toLocaleString('en-US', { timeZone });
    return [now, now + HALF_YEAR_MS].every((at) => clock(at, zone) === clock(at)) ? undefined : zone;
  } catch {
    return zone;
  }
}

const HALF_YEAR_MS = 182 * 86_400_000;
