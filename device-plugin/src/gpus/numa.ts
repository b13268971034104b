/** The NUMA node that a GPU hangs on, as Linux has it. */
import { readFileSync } from "node:fs";

/**
 * @param busId NVML's, "00000000:1B:00.0"
 * @returns undefined where Linux does not say, as on machines without NUMA (-1).
 */
export function numaNodeOf(busId: string, read = (path: string) => readFileSync(path, "utf8")): number | undefined {
  const name = busId.toLowerCase().replace(/^[0-9a-f]{4}(?=[0-9a-f]{4}:)/, "");
  try {
    const node = Number(read(`/sys/bus/pci/devices/${name}/numa_node`).trim());
    return Number.isInteger(node) && node >= 0 ? node : undefined;
  } catch {
    return undefined;
  }
}
