import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { apply, FieldConflictError } from "./apply.ts";
import { Client } from "./client.ts";
import { ApiError, isTransient, UnreachableError } from "./errors.ts";
import { type KubeObject, pathOf, type Resource } from "./resource.ts";
import { retry } from "./retry.ts";
import { configFor, TestApiServer } from "./testing/api-server.ts";
import { TestClock } from "./testing/clock.ts";

const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
const gpuNodes: Resource = {
  apiVersion: "loretoken.dev/v1alpha1",
  kind: "GpuNode",
  plural: "gpunodes",
  namespaced: false,
};
const path = pathOf(pods, { namespace: "default", name: "a" });

async function serve(context: TestContext, timeout = 2000): Promise<{ server: TestApiServer; client: Client }> {
  const server = await new TestApiServer().start();
  const client = new Client({ config: server.config, userAgent: "loretoken-test", timeout });
  context.after(async () => {
    client.close();
    await server.stop();
  });
  return { server, client };
}

test("paths of the core and of other groups, with and without namespace, name and subresource", () => {
  assert.equal(pathOf(pods, {}), "/api/v1/pods");
  assert.equal(path, "/api/v1/namespaces/default/pods/a");
  assert.equal(
    pathOf(gpuNodes, { name: "n/1", subresource: "status" }),
    "/apis/loretoken.dev/v1alpha1/gpunodes/n%2F1/status",
  );
  assert.throws(() => pathOf(pods, { name: "a" }), /lives in a namespace/);
});

test("a request carries credentials, the program's name and the query, over one kept connection", async (context) => {
  const { server, client } = await serve(context);
  server.objects.set(path, { metadata: { name: "a" } });
  for (let round = 0; round < 3; ++round) {
    await client.request({ method: "GET", path, query: { fieldManager: "x", force: true, left: undefined } });
  }
  const [seen] = server.seen;
  assert.equal(seen?.headers.authorization, "Bearer secret");
  assert.equal(seen?.headers["user-agent"], "loretoken-test");
  assert.equal(seen?.query.toString(), "fieldManager=x&force=true");
});

test("the server's no is an ApiError with code, reason and what it asks to wait", async (context) => {
  const { server, client } = await serve(context);
  server.faults.push({ code: 429, reason: "TooManyRequests", headers: { "retry-after": "3" } });
  const error: unknown = await client.request({ method: "GET", path }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.code, error.reason, error.retryAfter], [429, "TooManyRequests", 3000]);
  assert.match(error.message, /GET \/api\/v1\/namespaces\/default\/pods\/a: 429 TooManyRequests/);
});

test("an answer that is a page of some proxy is told as such", async (context) => {
  const { server, client } = await serve(context);
  server.answer = () => ({ code: 502, body: "<html>bad gateway" });
  await assert.rejects(client.request({ method: "GET", path }), (error) => isTransient(error));
});

for (const fault of ["reset", "silent", "cut"] as const) {
  test(`no answer, or half of one, is Unreachable: ${fault}`, async (context) => {
    const { server, client } = await serve(context, 200);
    server.objects.set(path, { metadata: { name: "a" } });
    server.faults.push(fault);
    await assert.rejects(client.request({ method: "GET", path }), UnreachableError);
    assert.deepEqual(await client.request({ method: "GET", path }), { metadata: { name: "a" } });
  });
}

test("an answer that stands still in the middle is given up", async (context) => {
  const stalled = createServer((_, response) => {
    response.writeHead(200);
    response.write("{");
  }).listen(0, "127.0.0.1");
  await once(stalled, "listening");
  context.after(() => {
    stalled.closeAllConnections();
    stalled.close();
  });
  const client = new Client({
    config: configFor((stalled.address() as AddressInfo).port),
    userAgent: "test",
    timeout: 100,
  });
  await assert.rejects(client.request({ method: "GET", path }), /broke off/);
});

for (const kind of ["timeout", "signal"] as const) {
  test(`of connections that hang together one request finds out (${kind}), and the next one gets through`, async (context) => {
    const patience = () => (kind === "signal" ? { signal: AbortSignal.timeout(200) } : { timeout: 200 });
    const hung = new Set<Socket>();
    const server = createServer((request, response) => {
      if (hung.has(request.socket)) return;
      setTimeout(() => response.end("{}"), 20);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const sockets = new Set<Socket>();
    server.on("connection", (socket) => sockets.add(socket));
    const { port } = server.address() as AddressInfo;
    const client = new Client({ config: configFor(port), userAgent: "test", timeout: 5000 });
    context.after(() => {
      client.close();
      server.closeAllConnections();
      server.close();
    });
    await Promise.all(Array.from({ length: 5 }, () => client.request({ method: "GET", path })));
    assert.equal(sockets.size, 5);
    for (const socket of sockets) hung.add(socket);
    await assert.rejects(client.request({ method: "GET", path, ...patience() }), UnreachableError);
    await client.request({ method: "GET", path });
  });
}

test("a server that is away is Unreachable, and found again", async (context) => {
  const { server, client } = await serve(context);
  server.objects.set(path, { metadata: { name: "a" } });
  await client.request({ method: "GET", path });
  await server.stop();
  await assert.rejects(client.request({ method: "GET", path }), UnreachableError);
  await server.start();
  await client.request({ method: "GET", path });
});

test("an aborted request ends", async (context) => {
  const { server, client } = await serve(context);
  server.faults.push("silent");
  const controller = new AbortController();
  const request = client.request({ method: "GET", path, signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(request, UnreachableError);
});

test("no cluster in the kubeconfig is said, with what to do", async () => {
  const client = new Client({ config: new KubeConfig(), userAgent: "test" });
  await assert.rejects(client.request({ method: "GET", path }), /names no cluster: set KUBECONFIG/);
});

test("retry waits longer each time, at least as long as asked, and gives up what cannot succeed", async () => {
  const clock = new TestClock();
  const tries: number[] = [];
  const errors = [
    new UnreachableError("away"),
    new ApiError("GET /", 503, {}),
    new ApiError("GET /", 429, {}, 60_000),
    new ApiError("GET /", 422, {}),
  ];
  const result = retry(
    async () => {
      tries.push(clock.now());
      throw errors[tries.length - 1];
    },
    { clock, attempts: 9, first: 1000, random: () => 0 },
  );
  const ended = assert.rejects(result, /422/);
  await clock.advance(100_000);
  await ended;
  const waits = tries.slice(1).map((time, index) => time - (tries[index] ?? 0));
  assert.deepEqual(waits, [500, 1000, 61_000]);
});

test("apply states the owner, takes fields over by default, and names who holds them otherwise", async (context) => {
  const { server, client } = await serve(context);
  server.answer = ({ query, body }) => {
    if (query.get("force") === "true") return { code: 200, body };
    const causes = [{ reason: "FieldManagerConflict", message: 'conflict with "kubectl"', field: ".status.gpus" }];
    return { code: 409, body: { reason: "Conflict", details: { causes } } };
  };
  const object: KubeObject = { metadata: { name: "n" } };
  const options = { resource: gpuNodes, object, fieldOwner: "agent" };
  const applied = await apply(client, { ...options, subresource: "status" });
  assert.equal(applied.kind, "GpuNode");
  assert.equal(server.seen[0]?.headers["content-type"], "application/apply-patch+yaml");
  assert.equal(server.seen[0]?.path, "/apis/loretoken.dev/v1alpha1/gpunodes/n/status");
  assert.equal(server.seen[0]?.query.get("fieldManager"), "agent");
  await assert.rejects(
    apply(client, { ...options, force: false }),
    (error) => error instanceof FieldConflictError && /\.status\.gpus \(conflict with "kubectl"\)/.test(error.message),
  );
});
