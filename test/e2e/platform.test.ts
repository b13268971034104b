/** The ground that the other end-to-end tests stand on: pods, services, device plugins, and what happens when parts fail. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { AppsV1Api, CoreV1Api } from "@kubernetes/client-node";
import { PodResources } from "@loretoken/kubelet";
import { conditionOf, needsOwnCluster, until, useTarget } from "@loretoken/test-cluster";
import { build, node, nodeImage, shell, shellImage, train, trainImage } from "./support/images.ts";
import { TestPlugin } from "./support/plugin.ts";

const target = useTarget("platform", async () => ({
  kind: "node",
  images: [await shell(), await node(), await train()],
}));
const own = { skip: needsOwnCluster };
const forever = ["/bin/sleep", "1000000"];

test("a pod runs, its log can be read, commands run in it and their exit codes come back", async () => {
  const { pods } = target.current;
  await pods.run({ name: "hello", image: shellImage, command: ["/bin/sh", "-c", "echo from inside; sleep 1000000"] });
  assert.equal(await pods.logs("hello"), "from inside\n");
  const answer = await pods.exec("hello", ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.deepEqual(answer, { code: 7, stdout: "out\n", stderr: "err\n" });
  await pods.remove("hello");
});

test("a program trains on the simulated driver in a container, with the bits that it computes outside", async () => {
  const { pods } = target.current;
  const args = ["--steps", "5", "--live", "32MiB"];
  const env = { LORETOKEN_SIM_DEVICES: "1GiB" };
  await pods.create({ name: "train", image: trainImage, env, container: { args } });
  const code = await pods.ended("train");
  const inside = await pods.logs("train");
  assert.equal(code, 0, inside);
  const outside = execFileSync(path.join(build, "bin/lt_train_example"), args, {
    encoding: "utf8",
    env: { ...process.env, ...env, LD_LIBRARY_PATH: path.join(build, "lib/sim") },
  });
  const hash = /^hash \S+$/m;
  assert.match(inside, hash);
  assert.equal(hash.exec(inside)?.[0], hash.exec(outside)?.[0]);
});

test("a service leads to a pod, from another pod", own, async () => {
  const { pods, config, namespace } = target.current;
  const script = 'require("http").createServer((_, answer) => answer.end("served")).listen(8080)';
  await pods.run({
    name: "server",
    image: nodeImage,
    labels: { app: "server" },
    command: ["node", "-e", script],
    container: { readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } },
  });
  const service = await config.makeApiClient(CoreV1Api).createNamespacedService({
    namespace,
    body: {
      metadata: { name: "server" },
      spec: { selector: { app: "server" }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  });
  await pods.run({ name: "client", image: nodeImage, command: forever });
  const call = `fetch("http://${service.spec?.clusterIP}/").then((answer) => answer.text()).then(console.log)`;
  const page = await until("the service answers", async () => {
    const { code, stdout, stderr } = await pods.exec("client", ["node", "-e", call]);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  });
  assert.equal(page, "served\n");
  const { status } = await pods.read("server");
  const port = await target.current.cluster.portal(status?.podIP ?? "", 8080);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "served");
});

test("a device plugin is asked for a preferred allocation, and a pod gets what it allocated", own, async () => {
  const { pods, cluster } = target.current;
  const plugin = new TestPlugin(cluster, "e2e.loretoken.dev/unit", 8);
  await plugin.start();
  try {
    await allocatable("e2e.loretoken.dev/unit", "8");
    await pods.run({ name: "units", image: shellImage, command: forever, limits: { "e2e.loretoken.dev/unit": 3 } });
    assert.deepEqual(plugin.allocated, [["0-5", "0-6", "0-7"]]);
    assert.ok(plugin.preferredCalls > 0, "GetPreferredAllocation was not called");
    const look = "echo $E2E_DEVICES; head -c 2 /dev/e2e0 | wc -c; echo written > /run/e2e/file";
    const { stdout, code, stderr } = await pods.exec("units", ["/bin/sh", "-c", look]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "0-5,0-6,0-7\n2\n");
    assert.equal(await cluster.exec(["cat", `${plugin.hostFolder}/file`]), "written\n");

    using resources = new PodResources({ socket: path.join(kubeletFolder(), "pod-resources/kubelet.sock") });
    const [held, ...others] = (await resources.list("e2e.loretoken.dev/unit")).containers;
    assert.deepEqual(others, []);
    assert.equal(held?.pod, "units");
    assert.deepEqual(held?.ids.toSorted(), ["0-5", "0-6", "0-7"]);
  } finally {
    plugin.stop();
  }
});

test("a kubelet that restarts forgets its plugins until they register anew, and keeps its pods", own, async () => {
  const { pods, cluster } = target.current;
  const resource = "e2e.loretoken.dev/again";
  const plugin = new TestPlugin(cluster, resource, 4);
  await plugin.start();
  await allocatable(resource, "4");
  await pods.run({ name: "stays", image: shellImage, command: forever, limits: { [resource]: 2 } });
  const before = await pods.read("stays");

  await cluster.components.kubelet?.kill();
  await until("the kubelet has left the plugin", () => plugin.watchers === 0);
  await cluster.components.kubelet?.start();
  const socket = path.join(kubeletFolder(), "device-plugins/e2e.sock");
  await until("the kubelet has cleared its folder", () => !existsSync(socket));
  await cluster.nodeReady();
  plugin.stop(true);
  await allocatable(resource, "0");
  await plugin.start();
  await allocatable(resource, "4");

  const now = await pods.ready("stays");
  assert.equal(now.status?.containerStatuses?.[0]?.containerID, before.status?.containerStatuses?.[0]?.containerID);
  assert.equal(now.status?.containerStatuses?.[0]?.restartCount, 0);
  plugin.stop();
});

test("an API server that hangs stops nothing that runs, and goes on where it was", own, async () => {
  const { pods, cluster } = target.current;
  await pods.run({ name: "under-pause", image: shellImage, command: forever });
  const { apiServer } = cluster.components;
  apiServer.pause();
  await assert.rejects(cluster.apiReady(3000), /gave up after 3 s on: the API server is ready/);
  apiServer.resume();
  await cluster.apiReady();
  await cluster.nodeReady();
  assert.equal((await pods.ready("under-pause")).status?.containerStatuses?.[0]?.restartCount, 0);
  await pods.run({ name: "after-pause", image: shellImage, command: forever });
});

test("the API server and etcd killed with -9 lose nothing", own, async () => {
  const { cluster, config, namespace } = target.current;
  const api = config.makeApiClient(CoreV1Api);
  await api.createNamespacedConfigMap({ namespace, body: { metadata: { name: "kept" }, data: { key: "value" } } });
  const { etcd, apiServer } = cluster.components;
  await Promise.all([etcd.kill(), apiServer.kill()]);
  await etcd.start();
  await apiServer.start();
  await cluster.apiReady();
  assert.deepEqual((await api.readNamespacedConfigMap({ namespace, name: "kept" })).data, { key: "value" });
});

test("containers outlive containerd, and pods start when it is back", own, async () => {
  const { pods, cluster } = target.current;
  const before = await pods.run({ name: "outlives", image: shellImage, command: forever });
  await cluster.components.containerd?.kill();
  await cluster.components.containerd?.start();
  await until("commands run in the container again", async () => {
    return (await pods.exec("outlives", ["/bin/echo", "here"])).stdout === "here\n";
  });
  const now = await pods.ready("outlives");
  assert.equal(now.status?.containerStatuses?.[0]?.containerID, before.status?.containerStatuses?.[0]?.containerID);
  await pods.run({ name: "after-containerd", image: shellImage, command: forever });
});

test("a node that loses power starts its pods again with what was on disk", own, async () => {
  const { cluster, config, namespace, pods } = target.current;
  const spec = { containers: [{ name: "main", image: shellImage, command: forever, imagePullPolicy: "Never" }] };
  const metadata = { labels: { app: "rebooted" } };
  await config.makeApiClient(AppsV1Api).createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name: "rebooted" },
      spec: { selector: { matchLabels: metadata.labels }, template: { metadata, spec } },
    },
  });
  const podOf = async () => {
    const selector = { namespace, labelSelector: "app=rebooted" };
    return (await config.makeApiClient(CoreV1Api).listNamespacedPod(selector)).items[0];
  };
  const name = await until("the deployment's pod is ready", async () => {
    const pod = await podOf();
    return pod !== undefined && conditionOf(pod, "Ready") === "True" && pod.metadata?.name;
  });
  await cluster.exec(["sh", "-c", "echo kept > /var/lib/marker; echo lost > /run/marker"]);
  await cluster.reboot();
  assert.equal(
    await cluster.exec(["sh", "-c", "cat /var/lib/marker; ls /run/marker 2>&1 || true"]),
    "kept\nls: cannot access '/run/marker': No such file or directory\n",
  );
  const pod = await pods.waitFor(
    name,
    "was started again",
    ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1,
    90_000,
  );
  assert.equal(pod.metadata?.name, name);
  await pods.ready(name);
});

function kubeletFolder(): string {
  const { node } = target.current.cluster;
  assert.ok(node);
  return node.kubeletFolder;
}

async function allocatable(resource: string, count: string): Promise<void> {
  const { config, cluster } = target.current;
  const api = config.makeApiClient(CoreV1Api);
  await until(`the node offers ${count} of ${resource}`, async () => {
    const found = (await api.readNode({ name: cluster.nodeName })).status?.allocatable?.[resource];
    if (found !== count) throw new Error(`it offers ${found ?? "none"}`);
    return true;
  });
}
