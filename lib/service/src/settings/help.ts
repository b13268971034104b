/** Settings for people: `--help`, and the table of a program's reference page. */
import { type Setting, type SettingsSchema, settingsOf } from "./setting.ts";

export interface Program {
  readonly name: string;
  /** One sentence. */
  readonly purpose: string;
  readonly schema: SettingsSchema;
  /** Two keys, to show what a file has. */
  readonly keys: string;
}

export function helpText({ name, purpose, schema, keys }: Program): string {
  const lines = settingsOf(schema).flatMap(({ flag, allowed, fallback, meaning }) => [
    `  ${flag} VALUE`,
    `      ${meaning}`,
    `      ${allowed}${fallback === "" ? "" : ` (default: ${fallback})`}`,
  ]);
  return [
    `Usage: ${name} [--config FILE] [flags]`,
    "",
    purpose,
    "",
    `Settings come from the file (YAML, keys as ${keys}) and from flags; flags win.`,
    "",
    "  --config FILE",
    "      YAML file with settings",
    "  -h, --help",
    "  --version",
    "",
    ...lines,
    "",
  ].join("\n");
}

export function settingsTable(schema: SettingsSchema): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const row = ({ key, flag, allowed, fallback, meaning }: Setting): string =>
    `| \`${key}\` | \`${flag}\` | ${cell(allowed)} | ${fallback === "" ? "" : `\`${fallback}\``} | ${cell(meaning)} |`;
  return ["| key | flag | allowed | default | meaning |", "|---|---|---|---|---|", ...settingsOf(schema).map(row)].join(
    "\n",
  );
}
