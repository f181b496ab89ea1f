/** The console's icons: strokes on a 24 x 24 grid, in the colour of the text around them. */

const PATHS = {
  home: 'M4 11.5 12 5l8 6.5M6.5 10v9h11v-9M10 19v-5h4v5',
  dashboards: 'M4 4.5h7v8H4zM13 4.5h7v5h-7zM13 11.5h7v8h-7zM4 14.5h7v5H4z',
  explore: 'M4 6h16M4 12h9M4 18h6M15.5 13.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M18 19l2.5 2.5',
  bell: 'M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5L19.5 18h-15zM10 20.5h4',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10',
  auto: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  clock: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4.5l3 1.8',
  refresh: 'M19 12a7 7 0 1 1-2.2-5.1L19 9M19 4.5V9h-4.5',
  chevron: 'm7 10 5 5 5-5',
  left: 'm14 7-5 5 5 5',
  right: 'm10 7 5 5-5 5',
  zoomOut: 'M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15 15l5 5M8 10.5h5',
  search: 'M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15 15l5 5',
  close: 'M6.5 6.5l11 11M17.5 6.5l-11 11',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  copy: 'M9 9h10v10H9zM5.5 15V5h10',
  download: 'M12 4.5v10m-4.5-4 4.5 4.5 4.5-4.5M5 19.5h14',
  play: 'M8 5.5v13l10.5-6.5z',
  stop: 'M7 7h10v10H7z',
  keyboard: 'M3.5 7h17v10h-17zM7 10.2h.01M10.3 10.2h.01M13.7 10.2h.01M17 10.2h.01M8 13.8h8',
  server: 'M4.5 5h15v6h-15zM4.5 13h15v6h-15zM8 8h.01M8 16h.01M12 8h4M12 16h4',
  cluster: 'M12 3.5a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4M6 15.6a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4M18 15.6a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4M10.9 7.6 7.1 15.8M13.1 7.6l3.8 8.2M8.2 17.8h7.6',
  cube: 'm12 3.5 7.5 4.2v8.6L12 20.5l-7.5-4.2V7.7zM4.8 7.8 12 12l7.2-4.2M12 12v8.3',
  alert: 'M12 4.5 21 19.5H3zM12 10v4.5M12 17h.01',
  info: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 11v5M12 8h.01',
  history: 'M5 12a7 7 0 1 0 2.2-5.1L5 9M5 4.5V9h4.5M12 8.5v4l2.8 1.7',
  trash: 'M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5',
  table: 'M4 5.5h16v13H4zM4 10h16M4 14.2h16M10 5.5v13',
  expand: 'M9 4.5H4.5V9M15 4.5h4.5V9M9 19.5H4.5V15M15 19.5h4.5V15',
  dots: 'M12 6h.01M12 12h.01M12 18h.01',
  external: 'M13 4.5h6.5V11M19 5l-8.5 8.5M10 6.5H5v12.5h12.5V14',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, className }: { name: IconName; size?: number; className?: string | undefined }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      className={className}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.75}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      // Beside a text that wraps it keeps its size.
      style={{ flex: 'none' }}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
