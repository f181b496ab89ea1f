/** Dates by a pattern as moment.js reads it, which Grafana's dashboards use: `YYYY-MM-DD HH:mm`, `[at] h:mm a`. */

const TOKEN = /\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DDDD|DDD|DD|Do|D|dddd|ddd|dd|d|HH|H|hh|h|mm|m|SSS|SS|S|ss|s|A|a|ZZ|Z|X|x/g;

const two = (value: number) => String(value).padStart(2, '0');

/** In the browser's time zone. What is no token stands as it is. */
export function formatDate(ms: number, pattern: string): string {
  const date = new Date(ms);
  return pattern.replace(TOKEN, (token, literal: string | undefined) => literal ?? part(date, token));
}

function part(date: Date, token: string): string {
  const hour = date.getHours();
  switch (token) {
    case 'YYYY': return String(date.getFullYear());
    case 'YY': return two(date.getFullYear() % 100);
    case 'MMMM': return word(date, { month: 'long' });
    case 'MMM': return word(date, { month: 'short' });
    case 'MM': return two(date.getMonth() + 1);
    case 'M': return String(date.getMonth() + 1);
    case 'DDDD': return String(dayOfYear(date)).padStart(3, '0');
    case 'DDD': return String(dayOfYear(date));
    case 'DD': return two(date.getDate());
    case 'Do': return ordinal(date.getDate());
    case 'D': return String(date.getDate());
    case 'dddd': return word(date, { weekday: 'long' });
    case 'ddd': return word(date, { weekday: 'short' });
    case 'dd': return word(date, { weekday: 'short' }).slice(0, 2);
    case 'd': return String(date.getDay());
    case 'HH': return two(hour);
    case 'H': return String(hour);
    case 'hh': return two(hour % 12 || 12);
    case 'h': return String(hour % 12 || 12);
    case 'mm': return two(date.getMinutes());
    case 'm': return String(date.getMinutes());
    case 'ss': return two(date.getSeconds());
    case 's': return String(date.getSeconds());
    case 'SSS': return String(date.getMilliseconds()).padStart(3, '0');
    case 'SS': return two(Math.floor(date.getMilliseconds() / 10));
    case 'S': return String(Math.floor(date.getMilliseconds() / 100));
    case 'A': return hour < 12 ? 'AM' : 'PM';
    case 'a': return hour < 12 ? 'am' : 'pm';
    case 'Z': return offset(date, ':');
    case 'ZZ': return offset(date, '');
    case 'X': return String(Math.floor(date.getTime() / 1000));
    default: return String(date.getTime());
  }
}

function word(date: Date, options: Intl.DateTimeFormatOptions): string {
  return date.toLocaleDateString('en-US', options);
}

function dayOfYear(date: Date): number {
  return Math.round((new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() - new Date(date.getFullYear(), 0, 1).getTime()) / 86_400_000) + 1;
}

function ordinal(day: number): string {
  const end = day > 10 && day < 20 ? 'th' : (['th', 'st', 'nd', 'rd'][day % 10] ?? 'th');
  return `${day}${end}`;
}

function offset(date: Date, between: string): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${between}${two(size % 60)}`;
}
