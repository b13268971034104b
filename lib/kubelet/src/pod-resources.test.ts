import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { devicePluginServer, register } from "./device-plugin.ts";
import { CallError } from "./grpc.ts";
import { PodResources } from "./pod-resources.ts";
import { KubeletDouble } from "./testing/kubelet.ts";

const resource = "loretoken.dev/vram";

async function setUp(t: TestContext): Promise<KubeletDouble> {
  const root = mkdtempSync(join(tmpdir(), "loretoken-pods-"));
  const kubelet = new KubeletDouble(root);
  const plugin = devicePluginServer(join(kubelet.pluginFolder, "p.sock"), {
    options: {},
    watch: (send) => {
      send(["0-0", "0-1", "0-2"].map((ID) => ({ ID, health: "Healthy" })));
      return { ended: () => undefined };
    },
    preferred: async () => ({ containerResponses: [{ deviceIDs: ["0-2"] }] }),
    allocate: async () => ({ containerResponses: [{}] }),
    preStart: async () => undefined,
  });
  await kubelet.start();
  await plugin.listen();
  await register({ kubelet: kubelet.socket, endpoint: "p.sock", resource, options: {} });
  t.after(() => {
    kubelet.stop();
    plugin.close();
    rmSync(root, { recursive: true, force: true });
  });
  while (kubelet.lists.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return kubelet;
}

test("containers are listed with their devices of the resource, and no others", async (t) => {
  const kubelet = await setUp(t);
  const containers = [
    { name: "a", units: 1 },
    { name: "b", units: 0 },
  ];
  await kubelet.run({ namespace: "n", name: "p", containers });
  using pods = new PodResources({ socket: kubelet.podResourcesSocket });
  assert.deepEqual(await pods.list(resource), {
    containers: [{ namespace: "n", pod: "p", container: "a", ids: ["0-2"] }],
    pods: new Set(["n/p"]),
  });
  assert.deepEqual(await pods.list("example.com/other"), { containers: [], pods: new Set(["n/p"]) });
});

test("a kubelet that comes back is asked again, after growing pauses", async (t) => {
  const kubelet = await setUp(t);
  kubelet.stopPodResources();
  const pauses: number[] = [];
  using pods = new PodResources({
    socket: kubelet.podResourcesSocket,
    tries: 5,
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
      if (pauses.length === 3) await kubelet.startPodResources();
    },
  });
  assert.deepEqual((await pods.list(resource)).containers, []);
  assert.deepEqual(pauses, [100, 200, 400]);
});

test("after its tries it fails with the socket and the status", async (t) => {
  const kubelet = await setUp(t);
  kubelet.stopPodResources();
  let pauses = 0;
  const sleep = async (): Promise<void> => {
    pauses += 1;
  };
  using pods = new PodResources({ socket: kubelet.podResourcesSocket, sleep });
  await assert.rejects(pods.list(resource), (error: CallError) => {
    assert.ok(error.message.includes(kubelet.podResourcesSocket), error.message);
    return error instanceof CallError && error.status === "UNAVAILABLE";
  });
  assert.equal(pauses, 2);
  await assert.rejects(pods.list(resource, 1));
  assert.equal(pauses, 2, "one try has no pause");
});
