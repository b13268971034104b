/** `--gpu`: which card the program sees, a real one or simulated ones. */
import { UsageError } from "./errors.ts";
import { parseBytes } from "./size.ts";

export type Gpu =
  | { readonly kind: "real"; readonly visible: string }
  /** `devices` as the simulator reads it (LORETOKEN_SIM_DEVICES): sizes, comma-separated. */
  | { readonly kind: "simulated"; readonly devices: string };

const index = /^\d+(,\d+)*$/;
const uuid = /^(GPU|MIG)-[0-9a-fA-F-]+(,(GPU|MIG)-[0-9a-fA-F-]+)*$/;

/** The simulator's smallest card: below that not even its own contexts fit. */
const smallestCard = 64 * 2 ** 20;

/** @throws {UsageError} */
export function parseGpu(text: string): Gpu {
  if (text.startsWith("sim:")) return simulated(text.slice("sim:".length));
  if (index.test(text) || uuid.test(text)) return { kind: "real", visible: text };
  throw new UsageError(`--gpu ${text || '""'}: neither a card nor a simulated one`, {
    fix: "give an index (0), a UUID as nvidia-smi -L prints it (GPU-…), or sim:24GiB[,24GiB…]",
  });
}

function simulated(list: string): Gpu {
  const sizes = list.split(",");
  for (const size of sizes) {
    if (parseBytes("--gpu sim:", size) < smallestCard) {
      throw new UsageError(`--gpu sim:${list}: a simulated card needs at least 64 MiB`, {
        fix: "for example sim:256MiB",
      });
    }
  }
  return { kind: "simulated", devices: sizes.join(",") };
}
