/** A program that touches memory that is not its own: the driver tells an XID, and the GPU stays healthy all the same. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { CoreV1Api, CustomObjectsApi } from "@kubernetes/client-node";
import type { GpuNode } from "@loretoken/api";
import type { DeviceEvent, Nvml } from "@loretoken/nvml";
import { NODE_NAME, until } from "@loretoken/test-cluster";
import type { Stage } from "./stages.ts";

export async function xid({ cluster, agent, settings, table, results }: Stage, nvml: Nvml): Promise<void> {
  const seen: DeviceEvent[] = [];
  const handlers = { event: (event: DeviceEvent) => seen.push(event), lost: () => {}, failed: () => {} };
  const watcher = await nvml.watchEvents(handlers);
  const before = await agent.offered();
  const { stdout } = await promisify(execFile)(path.join(settings.build, "bin/xid_fault"), [], {
    env: { ...process.env, LD_LIBRARY_PATH: settings.driver },
    timeout: 60_000,
  });
  await until("an event of NVML", () => seen.length > 0, { timeoutMs: 20_000 }).catch(() => {});
  await watcher.stop();
  results.xid = seen;
  table.add(
    "NVML tells the XID of a program that faulted",
    seen.length > 0,
    `${stdout.trim()}: ${JSON.stringify(seen)}`,
  );
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const name = { group: "loretoken.dev", version: "v1alpha1", plural: "gpunodes", name: NODE_NAME };
  const node = (await cluster.config().makeApiClient(CustomObjectsApi).getClusterCustomObject(name)) as GpuNode;
  const health = node.status?.gpus[0]?.health;
  const after = await agent.offered();
  table.add(
    "the GPU stays healthy after it",
    health === "Healthy" && before === after,
    `${health}, ${after} units of ${before}`,
  );
  const api = cluster.config().makeApiClient(CoreV1Api);
  const { items } = await api.listNamespacedEvent({ namespace: "default" });
  for (const { reason, message } of items.filter(({ reason: why }) => why === "XidError"))
    table.say(`  Event ${reason}: ${message}`);
}
