/** A node for tests: an agent on simulated GPUs, a kubelet over real sockets, folders of their own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until as untilWithin } from "@loretoken/kube/testing";
import { KubeletDouble, type PodSpec } from "@loretoken/kubelet/testing";
import { openNvml } from "@loretoken/nvml";
import { inject, simulatedLibrary } from "@loretoken/nvml/testing";
import { Agent, type World } from "../agent.ts";
import { loadConfig } from "../config/load.ts";
import { recordingLog } from "./log.ts";

/** Long enough for a machine that is busy with much else; nothing waits so long where all is well. */
const patience = 30_000;

/** Waits until it is so. @throws {Error} naming what it waited for. */
export function until(what: string, isSo: () => boolean): Promise<void> {
  return untilWithin(what, isSo, patience);
}

export function pod(name: string, ...units: number[]): PodSpec {
  return { namespace: "default", name, containers: units.map((count, index) => ({ name: `c${index}`, units: count })) };
}

let allocations = 0;

export class TestNode {
  readonly root = mkdtempSync(join(tmpdir(), "loretoken-node-"));
  readonly hostFolder = join(this.root, "host");
  readonly shimFolder = join(this.root, "image");
  readonly kubelet = new KubeletDouble(this.root);
  readonly log = recordingLog();
  readonly #agents: Agent[] = [];

  constructor() {
    mkdirSync(this.shimFolder);
    writeFileSync(join(this.shimFolder, "libloretoken.so"), "a shim");
  }

  /** Flags of the agent, fast where it would be slow. */
  flags(more: readonly string[] = []): string[] {
    const at = {
      "host-folder": this.hostFolder,
      "shim-folder": this.shimFolder,
      "plugin-folder": this.kubelet.pluginFolder,
      "pod-resources": this.kubelet.podResourcesSocket,
      "nvml-library": simulatedLibrary,
      "gpu-access": "none",
      listen: "127.0.0.1:0",
      "guard-seconds": "0.1",
      "reconcile-seconds": "0.1",
      "recover-seconds": "1",
      "context-size": "0",
    };
    return [...Object.entries(at).map(([name, value]) => `--${name}=${value}`), ...more];
  }

  /** Another agent on the same folders. */
  agent(more: readonly string[] = [], world: Partial<World> = {}): Agent {
    const line = loadConfig(this.flags(more));
    if (!("config" in line)) throw new Error("no settings");
    const { config } = line;
    const agent = new Agent(config, {
      version: "0.0.0",
      log: this.log,
      openNvml: () => openNvml({ library: config.nvmlLibrary }),
      now: Date.now,
      monotonic: () => process.hrtime.bigint(),
      newId: () => {
        allocations += 1;
        return `a${allocations}`;
      },
      ...world,
    });
    this.#agents.push(agent);
    return agent;
  }

  /** An agent that is registered, with its list at the kubelet. */
  async started(more: readonly string[] = [], world: Partial<World> = {}): Promise<{ agent: Agent; port: number }> {
    await this.kubelet.start();
    const agent = this.agent(more, world);
    const port = await agent.start();
    await until("the kubelet has the list", () => this.kubelet.lists.length > 0);
    return { agent, port };
  }

  async end(): Promise<void> {
    for (const agent of this.#agents) await agent.stop();
    this.kubelet.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** One that ends with the test, which leaves the simulated GPUs well. */
export function nodeOf(t: TestContext): TestNode {
  const node = new TestNode();
  t.after(async () => {
    await node.end();
    await inject();
  });
  return node;
}
