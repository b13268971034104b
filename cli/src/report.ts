/** What `--report` prints after the program: a short table and bars, one block per process and device. */
import { codecs, modes, pins, type Row, type Telemetry } from "@loretoken/telemetry";
import { formatBytes } from "./size.ts";

const barWidth = 40;

/** @param seconds wall time of the program, as the command saw it */
export function renderReport(telemetry: Telemetry, seconds: number): string {
  const rows = telemetry.rows.filter((row) => row.allocations > 0 || row.launches > 0);
  if (rows.length === 0) {
    return "loretoken: nothing to report: the program allocated no GPU memory and launched nothing while the shim was on\n";
  }
  return rows.map((row) => renderRow(row, seconds)).join("");
}

function renderRow(row: Row, seconds: number): string {
  const full = Math.max(row.live_peak, row.limit, row.held_peak, 1);
  const tier = (name: string, bytes: number, mark = "█"): string =>
    `${name.padEnd(9)}${formatBytes(bytes).padStart(10)}  ${bar(bytes / full, mark)}`;
  const lines = [
    `loretoken: device ${row.device}, process ${row.pid}, ${seconds.toFixed(1)} s`,
    heading("peaks"),
    tier("live", row.live_peak),
    tier("raw", row.raw_peak),
    tier("packed", row.packed_peak, "▓"),
    tier("host", row.host_peak, "▒"),
    tier("held", row.held_peak),
    tier("limit", row.limit, "·"),
    heading("totals"),
    line("expansion", expansion(row)),
    line("ratio", ratio(row)),
    line("moves", moves(row)),
    line("waited", waited(row, seconds)),
    line("pins", pinned(row)),
    line("mode", mode(row)),
    ...troubles(row).map((trouble) => line("trouble", trouble)),
  ];
  return `${lines.join("\n")}\n`;
}

function heading(text: string): string {
  return ` ${text}`;
}

function line(name: string, text: string): string {
  return `${name.padEnd(9)} ${text}`;
}

export function bar(share: number, mark = "█"): string {
  if (share <= 0) return "";
  return mark.repeat(Math.max(1, Math.round(Math.min(share, 1) * barWidth)));
}

function expansion(row: Row): string {
  if (row.held_peak === 0) return "nothing was held";
  const times = row.live_peak / row.held_peak;
  return `${times.toFixed(2)} x (${formatBytes(row.live_peak)} of tensors in ${formatBytes(row.held_peak)} of the card)`;
}

function ratio(row: Row): string {
  const into = sum(row.codec_in);
  const out = sum(row.codec_out);
  if (out === 0) return "nothing was packed";
  const parts = codecs
    .map((name, index) => ({ name, share: (row.codec_in[index] ?? 0) / into }))
    .filter(({ share }) => share >= 0.005)
    .sort((a, b) => b.share - a.share)
    .map(({ name, share }) => `${name} ${Math.round(share * 100)} %`);
  return `${(into / out).toFixed(2)} (${formatBytes(into)} packed to ${formatBytes(out)}; ${parts.join(", ")})`;
}

function moves(row: Row): string {
  const entries: [number, string][] = [
    [row.packs, "packed"],
    [row.unpacks, "unpacked"],
    [row.drops, "released unchanged"],
    [row.spills, "spilled to host"],
    [row.fetches, "fetched from host"],
    [row.packs_refused, "left raw, did not shrink"],
    [row.forced_packs, "packed in spite of the mode"],
  ];
  const shown = entries.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return shown.length > 0 ? shown.join(", ") : "none";
}

function waited(row: Row, seconds: number): string {
  const spent = row.wait_ns / 1e9;
  const share = seconds > 0 ? ` (${((100 * spent) / seconds).toFixed(1)} % of the time)` : "";
  return `${spent.toFixed(3)} s${share}, ${row.slow_launches} of ${row.launches} launches found something not raw`;
}

function pinned(row: Row): string {
  const shown = pins
    .map(({ name, meaning }, index) => ({ name, meaning, count: row.pins[index] ?? 0 }))
    .filter(({ count }) => count > 0)
    .map(({ name, meaning, count }) => `${count} ${name} (${meaning})`);
  return shown.length > 0 ? `${shown.join(", ")} at the end` : "none at the end";
}

function mode(row: Row): string {
  const name = modes[row.mode] ?? `number ${row.mode}`;
  return row.mode_cause ? `${name}: ${row.mode_cause}` : name;
}

function troubles(row: Row): string[] {
  const entries: [number, string][] = [
    [row.out_of_memory, "times out of memory"],
    [row.verify_failures, "packed copies that did not decode to the original (kept raw)"],
    [row.checksum_failures, "blocks with a wrong checksum"],
  ];
  return entries.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
