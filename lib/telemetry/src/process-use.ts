/** What the processes of a container hold together, from the process table of its telemetry file alone. */
import { processEntry, TELEMETRY_MAGIC, telemetryHeader } from "./abi.ts";

export interface ProcessUse {
  readonly processes: number;
  /** Physical bytes. */
  readonly charged: bigint;
}

export const noUse: ProcessUse = { processes: 0, charged: 0n };

const chargedAt = processEntry.offsets.get("charged") ?? 0;
const at = (field: string): number => telemetryHeader.offsets.get(field) ?? 0;
const [firstAt, sizeAt, countAt] = [at("process_offset"), at("process_size"), at("process_count")];

/**
 * Of the first device, the only one a container has; nothing for a file that is not set up. What lies beyond the view counts for
 * nothing, and so does what cannot be: a container writes its own file and may write anything.
 */
export function useOf(view: DataView): ProcessUse {
  if (view.byteLength < telemetryHeader.size || view.getBigUint64(0, true) !== TELEMETRY_MAGIC) return noUse;
  const [first, size, count] = [firstAt, sizeAt, countAt].map((field) => view.getUint32(field, true));
  if (first === undefined || size === undefined || count === undefined || size < chargedAt + 8) return noUse;
  let processes = 0;
  let charged = 0n;
  for (let entry = first; entry < first + size * count && entry + chargedAt + 8 <= view.byteLength; entry += size) {
    if (view.getUint32(entry, true) === 0) continue;
    processes += 1;
    charged += view.getBigUint64(entry + chargedAt, true);
  }
  return processes === 0 ? noUse : { processes, charged };
}
