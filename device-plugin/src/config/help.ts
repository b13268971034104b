/** Settings for people: `--help`, and the table of docs/reference/agent.md. */
import { type Setting, settings } from "./schema.ts";

export function helpText(): string {
  const lines = settings().flatMap(({ flag, allowed, fallback, meaning }) => [
    `  ${flag} VALUE`,
    `      ${meaning}`,
    `      ${allowed}${fallback === "" ? "" : ` (default: ${fallback})`}`,
  ]);
  return [
    "Usage: loretoken-agent [--config FILE] [flags]",
    "",
    "The LoreToken node agent: offers enlarged GPU memory to the kubelet of this node.",
    "",
    "Settings come from the file (YAML, keys as expansion, maxPowerPercent) and from flags; flags win.",
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

export function settingsTable(): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const row = ({ key, flag, allowed, fallback, meaning }: Setting): string =>
    `| \`${key}\` | \`${flag}\` | ${cell(allowed)} | ${fallback === "" ? "" : `\`${fallback}\``} | ${cell(meaning)} |`;
  return ["| key | flag | allowed | default | meaning |", "|---|---|---|---|---|", ...settings().map(row)].join("\n");
}
