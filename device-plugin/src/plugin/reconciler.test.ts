import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { ContainerDevices } from "@loretoken/kubelet";
import { Controls, controlWriters } from "../control/controls.ts";
import type { Holding } from "../holding.ts";
import { observers } from "../observer.ts";
import { diskFiles } from "../store/files.ts";
import { Store } from "../store/store.ts";
import { GiB, gpuOf, holdingOf, unitsOf } from "../testing/fixtures.ts";
import { recordingLog } from "../testing/log.ts";
import { Ledger } from "../units/ledger.ts";
import { Reconciler, type ReconcilerOptions } from "./reconciler.ts";

const grace = 600_000;
const a = unitsOf(0, 0, 3);
const b = unitsOf(0, 3, 2);

function container(pod: string, ids: string[], name = "c"): ContainerDevices {
  return { namespace: "n", pod, container: name, ids: ids.toReversed() };
}

class Bench {
  now = 1_000_000;
  containers: ContainerDevices[] | Error = [];
  pods = new Set<string>();
  failing = false;
  readonly released: string[] = [];
  readonly log = recordingLog();
  readonly ledger = new Ledger({ expansion: 1.5, reserve: { bytes: GiB } });
  readonly store: Store;
  readonly reconciler: Reconciler;

  constructor(t: TestContext, changes: Partial<ReconcilerOptions> = {}) {
    const folder = mkdtempSync(join(tmpdir(), "loretoken-reconcile-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const rename = async (from: string, to: string): Promise<void> => {
      if (this.failing) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      await diskFiles.rename(from, to);
    };
    this.store = new Store(folder, { ...diskFiles, rename }, 64);
    this.ledger.addGpu(gpuOf(0));
    const { log, ledger, store } = this;
    this.reconciler = new Reconciler({
      ledger,
      store,
      controls: new Controls({ defaults: {}, writers: controlWriters, log, monotonic: () => 1n }),
      listPods: async () => {
        if (this.containers instanceof Error) throw this.containers;
        return { containers: this.containers, pods: this.pods };
      },
      ownPod: undefined,
      podUid: async () => "",
      grace,
      observer: observers([{ releasing: ({ id }) => void this.released.push(id) }]),
      log,
      now: () => this.now,
      changed: () => undefined,
      giveWay: async () => undefined,
      ...changes,
    });
  }

  async hold(id: string, units: string[], changes: Partial<Holding> = {}): Promise<void> {
    const holding = holdingOf(id, units, { ...this.store.filesOf(id), allocatedAt: this.now, ...changes });
    await this.store.create({ holding, shim: "s" }, (path) => writeFileSync(path, ""));
    this.ledger.put(holding);
    this.reconciler.made(id, "s");
    this.now += 1;
  }

  /** @returns who is still on record */
  async round(containers: ContainerDevices[] | Error, after = 10_000): Promise<string[]> {
    this.now += after;
    this.containers = containers;
    await this.reconciler.round();
    return this.ledger.holdings().map(({ id }) => id);
  }
}

const gone = ["x"].slice(1);

test("an owner is learnt by its units, in whatever order they are listed, and kept on disk", async (t) => {
  const bench = new Bench(t, { podUid: async (namespace, pod) => `${namespace}-${pod}-uid` });
  await bench.hold("h", a);
  await bench.round([container("p", a), container("q", b)]);
  const owner = { namespace: "n", pod: "p", podUid: "n-p-uid", container: "c" };
  assert.deepEqual(bench.ledger.holdings()[0]?.owner, owner);
  assert.deepEqual((await bench.store.load()).kept[0]?.holding.owner, owner);
});

test("one list without it is not enough, two are", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  await bench.round([container("p", a)]);
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.deepEqual(await bench.round([container("p", a)]), ["h"]);
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.deepEqual(await bench.round([]), gone);
  assert.deepEqual(bench.released, ["h"]);
  assert.ok(!existsSync(join(bench.store.folder, "h")));
});

test("no answer of the kubelet changes nothing and is said once", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  await bench.round([container("p", a)]);
  for (let round = 0; round < 5; ++round) assert.deepEqual(await bench.round(new Error("UNAVAILABLE")), ["h"]);
  await bench.round([container("p", a)]);
  const said = bench.log.messages.filter((message) => message.startsWith("kubelet"));
  assert.deepEqual(said, ["kubelet does not say who holds what", "kubelet says again who holds what"]);
});

test("what was never listed is kept for the grace period", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  assert.deepEqual(await bench.round([], grace / 2), ["h"]);
  assert.deepEqual(await bench.round([], grace / 3), ["h"]);
  assert.deepEqual(await bench.round([], grace / 3), gone);
});

test("what was given while the kubelet was asked is not judged by its answer", async (t) => {
  const bench = new Bench(t, {
    listPods: async () => {
      if (bench.ledger.holdings().length === 0) await bench.hold("h", a, { allocatedAt: bench.now + 1 });
      return { containers: [], pods: new Set() };
    },
  });
  assert.deepEqual(await bench.round([], grace * 2), ["h"]);
});

test("after a start of the kubelet an owner that it has not listed is kept for the grace period", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  await bench.round([container("p", a)]);
  bench.reconciler.kubeletStarted();
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.deepEqual(await bench.round([], grace), gone);
});

test("with a pod of its own, only a list that has this pod says who is gone", async (t) => {
  const bench = new Bench(t, { ownPod: "kube-system/agent" });
  await bench.hold("h", a);
  await bench.round([container("p", a)]);
  for (let round = 0; round < 3; ++round) assert.deepEqual(await bench.round([], grace), ["h"]);
  bench.pods = new Set(["kube-system/agent"]);
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.deepEqual(await bench.round([]), gone);
});

test("of two with the same units the newer is the container's; a pod of the same name that went before goes", async (t) => {
  const bench = new Bench(t);
  await bench.hold("old", a);
  await bench.round([container("web-0", a)]);
  await bench.hold("new", a);
  await bench.round([container("web-0", a)]);
  assert.deepEqual(await bench.round([container("web-0", a)]), ["new"]);
  assert.equal(bench.ledger.holdings()[0]?.owner?.pod, "web-0");
});

test("an init container that was never listed lives as long as who was given its units", async (t) => {
  const bench = new Bench(t);
  await bench.hold("init", a.slice(0, 2));
  await bench.hold("main", a);
  for (let round = 0; round < 3; ++round) {
    assert.deepEqual(await bench.round([container("p", a)], grace), ["init", "main"]);
  }
  assert.equal(bench.ledger.holdings()[0]?.owner, undefined, "never guessed");
  await bench.round([]);
  await bench.round([]);
  assert.deepEqual(await bench.round([]), gone);
});

test("what cannot be removed stays on record and is tried again", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  await bench.round([container("p", a)]);
  bench.failing = true;
  await bench.round([]);
  assert.deepEqual(await bench.round([]), ["h"]);
  assert.ok(bench.log.messages.includes("allocation not removed"));
  bench.failing = false;
  assert.deepEqual(await bench.round([]), gone);
});

test("an API server that does not answer is asked once a round, and again in the next", async (t) => {
  let asked = 0;
  let answers = false;
  const bench = new Bench(t, {
    podUid: () => {
      asked += 1;
      return answers ? Promise.resolve("u") : new Promise<string>(() => undefined);
    },
    sleep: async () => undefined,
  });
  await bench.hold("h", a);
  await bench.hold("i", b);
  const both = [container("p", a), container("q", b)];
  await bench.round(both);
  assert.equal(asked, 1);
  assert.deepEqual(
    bench.ledger.holdings().map(({ owner }) => [owner?.pod, owner?.podUid]),
    [
      ["p", ""],
      ["q", ""],
    ],
  );
  answers = true;
  await bench.round(both);
  assert.deepEqual(
    bench.ledger.holdings().map(({ owner }) => owner?.podUid),
    ["u", "u"],
  );
  await bench.round(both);
  assert.equal(asked, 3, "what is known is not asked again");
});

test("versions of the shim are in use as long as who has them mounted", async (t) => {
  const bench = new Bench(t);
  await bench.hold("h", a);
  assert.deepEqual(bench.reconciler.shimsInUse(), new Set(["s"]));
  await bench.round([container("p", a)]);
  await bench.round([]);
  await bench.round([]);
  assert.deepEqual(bench.reconciler.shimsInUse(), new Set());
});

test("a container without a record has its units until two lists are without it; an incomplete list says nothing", async (t) => {
  const bench = new Bench(t, { ownPod: "kube-system/agent" });
  const held = (): [number | undefined, boolean] => {
    const [gpu] = bench.ledger.gpus();
    return [gpu?.held, (gpu?.guaranteed ?? 0n) > 0n];
  };
  bench.reconciler.adopt([], 1);
  await bench.round([container("p", a)]);
  assert.deepEqual(held(), [0, false]);
  assert.notEqual(bench.reconciler.doubt, "");
  bench.pods = new Set(["kube-system/agent"]);
  for (let round = 0; round < 2; ++round) await bench.round([container("p", a)]);
  assert.deepEqual(held(), [3, true]);
  assert.equal(bench.reconciler.doubt, "");
  assert.equal(bench.ledger.plan(a).rivals[0]?.id, "n/p/c");
  await bench.round([]);
  assert.deepEqual(held(), [3, true]);
  await bench.round([]);
  assert.deepEqual(held(), [0, false]);
  assert.deepEqual(bench.log.messages, ["container without an allocation on record"]);
});

test("who was taken back while its owner was asked for does not come back", async (t) => {
  const bench = new Bench(t, {
    podUid: async () => {
      bench.ledger.remove("h");
      return "u";
    },
  });
  await bench.hold("h", a);
  assert.deepEqual(await bench.round([container("p", a)]), gone);
});
