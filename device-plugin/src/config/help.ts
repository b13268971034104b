/** Settings for people: `--help`, and the table of docs/reference/agent.md. */
import * as service from "@loretoken/service";
import { configSchema } from "./schema.ts";

export function helpText(): string {
  return service.helpText({
    name: "loretoken-agent",
    purpose: "The LoreToken node agent: offers enlarged GPU memory to the kubelet of this node.",
    schema: configSchema,
    keys: "expansion, maxPowerPercent",
  });
}

export function settingsTable(): string {
  return service.settingsTable(configSchema);
}
