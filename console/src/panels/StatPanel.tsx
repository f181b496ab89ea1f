/** The stat panel: one large number for each series, with its shape behind it. */
import { display } from '../dashboard/display';
import { resolveColor, withAlpha } from '../theme/colors';
import { useScheme } from '../theme/manager';
import classes from './panels.module.css';
import { reduced, type Reduced, type ReduceOptions } from './reduceOptions';
import { Sparkline } from './Sparkline';
import type { PanelProps } from './types';

interface Options {
  reduceOptions?: ReduceOptions;
  colorMode?: string;
  graphMode?: string;
  textMode?: string;
}

/** A name and the smallest number below it; narrower than this a number is cut off. */
const TILE_PIXELS_MIN = { width: 72, height: 42 };
/** A tile of this shape has room for the largest number. */
const TILE_SHAPE = 2.5;
/** The graph stays below the number. */
const GRAPH_SHARE = 0.36;
const VALUE_PIXELS = { min: 15, max: 30 };

export function StatPanel({ panel, frames, width, height }: PanelProps) {
  const options = (panel.options ?? {}) as Options;
  const found = reduced(frames, options.reduceOptions, panel.fieldConfig);
  const tiles = found.length > 0 ? found : [missing(panel)];
  const columns = tileColumns(tiles.length, width, height);
  const rows = Math.ceil(tiles.length / columns);
  const size = { width: Math.floor(width / columns), height: Math.max(TILE_PIXELS_MIN.height, Math.floor(height / rows)) };
  return (
    <div className={classes.stats} style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`, gridAutoRows: `minmax(${TILE_PIXELS_MIN.height}px, 1fr)` }}>
      {tiles.map((tile) => (
        <Tile key={tile.key} tile={tile} options={options} {...size} shows={shownTexts(options.textMode, tiles.length)} />
      ))}
    </div>
  );
}

/** How many tiles stand side by side, so that each has the most room; those that fit in no way are scrolled to. */
export function tileColumns(tiles: number, width: number, height: number): number {
  const most = Math.max(1, Math.min(tiles, Math.floor(width / TILE_PIXELS_MIN.width)));
  const room = (columns: number) => Math.min(width / columns, (height / Math.ceil(tiles / columns)) * TILE_SHAPE);
  let best = 1;
  for (let columns = 2; columns <= most; columns++) if (room(columns) > room(best)) best = columns;
  return height / Math.ceil(tiles / best) < TILE_PIXELS_MIN.height ? most : best;
}

/** No series at all: the panel's `noValue` ("0") or a dash. */
function missing(panel: PanelProps['panel']): Reduced {
  return { key: 'none', name: '', value: null, config: panel.fieldConfig?.defaults ?? {}, around: {}, times: undefined, values: [] };
}

/** Which of name and value stands on a tile. One alone needs no name. */
export function shownTexts(mode: string | undefined, tiles: number): { name: boolean; value: boolean } {
  switch (mode) {
    case 'value': return { name: false, value: true };
    case 'name': return { name: true, value: false };
    case 'value_and_name': return { name: true, value: true };
    case 'none': return { name: false, value: false };
    default: return { name: tiles > 1, value: true };
  }
}

interface TileProps {
  tile: Reduced;
  options: Options;
  width: number;
  height: number;
  shows: { name: boolean; value: boolean };
}

function Tile({ tile, options, width, height, shows }: TileProps) {
  const scheme = useScheme();
  const shown = display(tile.value, tile.config, tile.around);
  const color = shown.color ? resolveColor(shown.color, scheme) : undefined;
  const background = (options.colorMode ?? 'value').startsWith('background');
  const fontSize = Math.max(VALUE_PIXELS.min, Math.min(VALUE_PIXELS.max, height * 0.45, (width * 1.35) / Math.max(4, shown.text.length + shown.suffix.length)));
  const graph = options.graphMode !== 'none' && tile.times !== undefined && height >= 56;
  return (
    <div className={classes.tile} style={background && color ? { background: withAlpha(color, 0.14) } : undefined}>
      {graph && (
        <div className={classes.tileGraph}>
          <Sparkline values={tile.values} width={width} height={Math.round(height * GRAPH_SHARE)} color={color ?? resolveColor('gray', scheme)} />
        </div>
      )}
      {shows.name && <div className={classes.tileName}>{tile.name}</div>}
      {shows.value && (
        <div className={classes.tileValue} style={{ fontSize, color: options.colorMode === 'none' ? undefined : color }}>
          {shown.prefix}
          {shown.text}
          <span className={classes.tileUnit}>{shown.suffix}</span>
        </div>
      )}
    </div>
  );
}
