import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DevicePlugin, type Devices, deviceHealth, devicePluginServer, register } from "./device-plugin.ts";
import { CallError } from "./grpc.ts";
import { KubeletDouble } from "./testing/kubelet.ts";

const resource = "loretoken.dev/vram";

class Recorder implements DevicePlugin {
  readonly options = { getPreferredAllocationAvailable: true, preStartRequired: true };
  readonly started: string[][] = [];
  readonly watchers = new Set<(devices: Devices) => void>();

  watch(send: (devices: Devices) => void): { ended(): void } {
    this.watchers.add(send);
    send([{ ID: "0-0", health: deviceHealth.healthy }]);
    return { ended: () => this.watchers.delete(send) };
  }
  async preferred(): Promise<{ containerResponses: { deviceIDs: string[] }[] }> {
    return { containerResponses: [{ deviceIDs: ["0-0"] }] };
  }
  async allocate(request: { containerRequests: { devicesIds: string[] }[] }): Promise<never | object> {
    const ids = request.containerRequests[0]?.devicesIds ?? [];
    if (ids.includes("0-9")) throw new Error("0-9 is not known: there are 0-0 to 0-8");
    return { containerResponses: [{ envs: { IDS: ids.join() } }] };
  }
  async preStart({ devicesIds }: { devicesIds: string[] }): Promise<void> {
    this.started.push(devicesIds);
  }
}

async function setUp(t: TestContext): Promise<{ kubelet: KubeletDouble; plugin: Recorder; socket: string }> {
  const root = mkdtempSync(join(tmpdir(), "loretoken-kubelet-"));
  const kubelet = new KubeletDouble(root);
  const plugin = new Recorder();
  const socket = join(kubelet.pluginFolder, "plugin.sock");
  const server = devicePluginServer(socket, plugin);
  await kubelet.start();
  await server.listen();
  t.after(() => {
    kubelet.stop();
    server.close();
    rmSync(root, { recursive: true, force: true });
  });
  return { kubelet, plugin, socket };
}

test("a plugin registers, is watched, and is asked", async (t) => {
  const { kubelet, plugin } = await setUp(t);
  await register({ kubelet: kubelet.socket, endpoint: "plugin.sock", resource, options: plugin.options });
  assert.deepEqual(
    kubelet.registrations.map(({ version, endpoint, resourceName, options }) => ({
      version,
      endpoint,
      resourceName,
      preferred: options?.getPreferredAllocationAvailable,
    })),
    [{ version: "v1beta1", endpoint: "plugin.sock", resourceName: resource, preferred: true }],
  );
  while (kubelet.lists.length === 0) await sleep(5);
  const pod = { namespace: "n", name: "p", containers: [{ name: "c", units: 1 }] };
  const edits = await kubelet.run(pod);
  assert.deepEqual(edits.get("c")?.envs, { IDS: "0-0" });
  assert.deepEqual(plugin.started, [["0-0"]]);
});

test("a change reaches the kubelet as a whole list, and the end of watching reaches the plugin", async (t) => {
  const { kubelet, plugin } = await setUp(t);
  await register({ kubelet: kubelet.socket, endpoint: "plugin.sock", resource, options: plugin.options });
  while (kubelet.lists.length < 1) await sleep(5);
  for (const send of plugin.watchers) send([{ ID: "0-0", health: deviceHealth.unhealthy }]);
  while (kubelet.lists.length < 2) await sleep(5);
  assert.deepEqual(
    kubelet.lists.map(({ devices }) => devices.map(({ ID, health }) => [ID, health])),
    [[["0-0", "Healthy"]], [["0-0", "Unhealthy"]]],
  );
  kubelet.stop();
  while (plugin.watchers.size > 0) await sleep(5);
});

test("what a plugin refuses arrives with its words", async (t) => {
  const { kubelet, plugin } = await setUp(t);
  await register({ kubelet: kubelet.socket, endpoint: "plugin.sock", resource, options: plugin.options });
  await assert.rejects(kubelet.allocate(["0-9"]), (error: CallError) => {
    assert.match(error.message, /0-9 is not known: there are 0-0 to 0-8/);
    return error instanceof CallError && error.status === "FAILED_PRECONDITION";
  });
});

test("registering where no kubelet listens fails with the socket's name within its time", async (t) => {
  const { kubelet, plugin } = await setUp(t);
  const nowhere = join(kubelet.pluginFolder, "absent.sock");
  const request = { kubelet: nowhere, endpoint: "plugin.sock", resource, options: plugin.options };
  await assert.rejects(register(request, 500), (error: CallError) => {
    assert.ok(error.message.includes(nowhere), error.message);
    return error.status === "UNAVAILABLE";
  });
});

test("a socket that a dead process left is replaced", async (t) => {
  const { kubelet, plugin } = await setUp(t);
  const left = join(kubelet.pluginFolder, "left.sock");
  writeFileSync(left, "");
  const server = devicePluginServer(left, plugin);
  t.after(() => server.close());
  await server.listen();
  await register({ kubelet: kubelet.socket, endpoint: "left.sock", resource, options: plugin.options });
});

/** GetDevicePluginOptions by a bare HTTP/2 client. @returns ":status", or the name of the stream's error. */
async function callWithAuthority(socket: string, authority: string): Promise<string> {
  const session = http2.connect("http://localhost", { createConnection: () => createConnection(socket) });
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1beta1.DevicePlugin/GetDevicePluginOptions",
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    return await new Promise((resolve) => {
      stream.on("response", (headers) => resolve(String(headers[":status"])));
      stream.on("error", (error: NodeJS.ErrnoException) => resolve(error.message));
    });
  } finally {
    session.destroy();
  }
}

test("the authority of kubelet 1.26 and later is served; the socket path that older ones send is refused by HTTP/2", async (t) => {
  const { socket } = await setUp(t);
  assert.equal(await callWithAuthority(socket, "localhost"), "200");
  assert.match(await callWithAuthority(socket, socket), /PROTOCOL_ERROR/);
});
