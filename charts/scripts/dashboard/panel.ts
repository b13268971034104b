/** Panels of a Grafana dashboard, placed one after the other on a grid of 24 columns. */
import type { metricCatalog } from "../../../device-plugin/src/reporting/metric-catalog.ts";

/** Only what the agent offers can be asked for. */
export type Metric = keyof typeof metricCatalog;

/** As Grafana names them. */
export type Unit = "bytes" | "percentunit" | "short" | "celsius" | "watt" | "s" | "Bps" | "ops";

export interface Query {
  /** PromQL. */
  readonly expr: string;
  /** Name of its series; labels in {{}}. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly about: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** One figure instead of a curve. */
  readonly stat?: boolean;
  /** Columns; a half if left out. */
  readonly width?: 4 | 6 | 8 | 12 | 24;
  readonly stacked?: boolean;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const datasource = { type: "prometheus", uid: "$datasource" };
const columns = 24;

/** Every row's heading and panels with their places. */
export function place(rows: readonly Row[]): object[] {
  const placed: object[] = [];
  let y = 0;
  for (const row of rows) {
    placed.push({
      type: "row",
      id: placed.length + 1,
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: columns, h: 1 },
    });
    y += 1;
    let x = 0;
    const height = row.panels.every(({ stat }) => stat) ? 4 : 8;
    for (const panel of row.panels) {
      const w = panel.width ?? columns / 2;
      if (x + w > columns) {
        x = 0;
        y += height;
      }
      placed.push({ ...bodyOf(panel), id: placed.length + 1, gridPos: { x, y, w, h: height } });
      x += w;
    }
    y += height;
  }
  return placed;
}

function bodyOf({ title, about, unit, queries, stat = false, stacked = false }: Panel): object {
  return {
    type: stat ? "stat" : "timeseries",
    title,
    description: about,
    datasource,
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + at),
      datasource,
      expr,
      legendFormat: legend,
      ...(stat && { instant: true }),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(!stat && { custom: { fillOpacity: 10, stacking: { mode: stacked ? "normal" : "none" } } }),
      },
      overrides: [],
    },
    options: stat
      ? { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "value" }
      : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
  };
}
