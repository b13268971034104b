/** What happens on the node, for whoever reports it: Events, metrics, GpuNode. All calls are on the main loop and must not throw. */
import type { Glance } from "@loretoken/telemetry";
import type { Verdict } from "./control/block.ts";
import type { Holding } from "./holding.ts";
import type { RefusalReason } from "./units/errors.ts";
import type { Health } from "./units/ledger.ts";

export interface Observer {
  /** A guardrail of a GPU acts, acts differently, or no longer. */
  verdictChanged?(change: { gpuUuid: string; before: Verdict | undefined; after: Verdict | undefined }): void;
  healthChanged?(change: { gpuUuid: string; health: Health }): void;
  /** Every XID, those too that programs cause: `fault` says whether it makes the GPU ill. `at` is milliseconds since 1970. */
  xid?(event: { gpuUuid: string; xid: number; fault: boolean; at: number }): void;
  /** An Allocate was refused: whose it was nobody knows. */
  refused?(refusal: { reason: RefusalReason; message: string; gpuUuid: string | undefined }): void;
  /** The container is gone; its files go now. Last moment to read them. */
  releasing?(holding: Holding): void;
  /** The container starts anew; its telemetry is made anew now. Last moment to read what the one before wrote. */
  renewing?(holding: Holding): void;
  /** A program let its telemetry file grow or shrink to so many bytes; it was put right. */
  telemetryResized?(event: { holding: Holding; bytes: number }): void;
  /** A container's telemetry file was looked at, as in every round of the monitor; undefined: it is not there or not to be read. */
  glanced?(look: { holding: Holding; glance: Glance | undefined }): void;
}

/** One observer for several. */
export function observers(all: readonly Observer[]): Required<Observer> {
  return {
    verdictChanged: (change) => all.forEach((each) => void each.verdictChanged?.(change)),
    healthChanged: (change) => all.forEach((each) => void each.healthChanged?.(change)),
    xid: (event) => all.forEach((each) => void each.xid?.(event)),
    refused: (refusal) => all.forEach((each) => void each.refused?.(refusal)),
    releasing: (holding) => all.forEach((each) => void each.releasing?.(holding)),
    renewing: (holding) => all.forEach((each) => void each.renewing?.(holding)),
    telemetryResized: (event) => all.forEach((each) => void each.telemetryResized?.(event)),
    glanced: (look) => all.forEach((each) => void each.glanced?.(look)),
  };
}
