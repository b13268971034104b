import assert from "node:assert/strict";
import test from "node:test";
import { apply, FieldConflictError } from "./apply.ts";
import { type Call, Client, type Requester } from "./client.ts";
import { systemClock } from "./clock.ts";
import { fenced, Leadership, momentOf, NotLeadingError } from "./leadership.ts";
import type { Resource } from "./resource.ts";
import { TestApiServer } from "./testing/api-server.ts";
import { TestClock } from "./testing/clock.ts";
import { until } from "./testing/until.ts";

const gpuNodes: Resource = {
  apiVersion: "loretoken.dev/v1alpha1",
  kind: "GpuNode",
  plural: "gpunodes",
  namespaced: false,
};
const object = { metadata: { name: "n" } };

test("a fenced client reads always, writes only while it leads, and breaks a write off when that ends", async (context) => {
  const server = await new TestApiServer().start();
  const client = new Client({ config: server.config, userAgent: "test", timeout: 5000 });
  context.after(async () => {
    client.close();
    await server.stop();
  });
  server.answer = ({ body }) => ({ code: 200, body: body ?? {} });
  const clock = new TestClock();
  const leadership = new Leadership(clock, momentOf(clock), 10_000, 0);
  const writer = fenced(client, leadership);
  await apply(writer, { resource: gpuNodes, object, fieldOwner: "operator" });
  server.faults.push("silent");
  const hanging = apply(writer, { resource: gpuNodes, object, fieldOwner: "operator" });
  await until("it is on its way", () => server.seen.length === 2);
  leadership.end();
  await assert.rejects(hanging);
  await assert.rejects(apply(writer, { resource: gpuNodes, object, fieldOwner: "operator" }), NotLeadingError);
  await writer.request({ method: "GET", path: "/api/v1/pods" });
  assert.deepEqual(
    server.seen.map(({ method }) => method),
    ["PATCH", "PATCH", "GET"],
  );
});

test("once it has ended it stays so, whatever is confirmed", async () => {
  const clock = new TestClock();
  const leadership = new Leadership(clock, momentOf(clock), 10_000, 0);
  await clock.advance(9000);
  const sent = momentOf(clock);
  assert.deepEqual([leadership.confirm(sent), leadership.left], [true, 10_000]);
  await clock.advance(9000);
  const late = momentOf(clock);
  await clock.advance(1000);
  assert.equal(leadership.confirm(late), false);
  assert.equal(leadership.signal.aborted, true);
});

test("after the event loop was blocked the first question has the right answer, before any timer", () => {
  const leadership = new Leadership(systemClock, momentOf(systemClock), 50, 0);
  assert.equal(leadership.leading, true);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
  assert.equal(leadership.signal.aborted, false);
  assert.throws(() => leadership.assertLeading(), NotLeadingError);
  assert.equal(leadership.signal.aborted, true);
});

test("time that passes while credentials are fetched counts too: nothing is sent", async (context) => {
  const server = await new TestApiServer().start();
  const { config } = server;
  const clock = new TestClock();
  const ask = config.applyToHTTPSOptions.bind(config);
  config.applyToHTTPSOptions = async (options) => {
    await ask(options);
    await clock.advance(11_000);
  };
  const client = new Client({ config, userAgent: "test" });
  context.after(async () => {
    client.close();
    await server.stop();
  });
  const writer = fenced(client, new Leadership(clock, momentOf(clock), 10_000, 0));
  await assert.rejects(apply(writer, { resource: gpuNodes, object, fieldOwner: "operator" }), NotLeadingError);
  assert.equal(server.seen.length, 0);
});

test("fields are taken over from those who are named, and from nobody else", async () => {
  const { ApiError } = await import("./errors.ts");
  const forced: unknown[] = [];
  const owners = (...names: string[]): Requester => ({
    async request<T>({ query, body }: Call): Promise<T> {
      forced.push(query?.force);
      if (query?.force === true) return body as T;
      const causes = names.map((name) => ({
        reason: "FieldManagerConflict",
        message: `conflict with ${name} using v1`,
        field: ".spec.a",
      }));
      throw new ApiError("PATCH", 409, { reason: "Conflict", details: { causes } });
    },
  });
  const options = { resource: gpuNodes, object, fieldOwner: "operator", force: { from: ["old", 'a "b"'] } };
  await apply(owners('"old"', '"a \\"b\\""'), options);
  assert.deepEqual(forced, [false, true]);
  const error: unknown = await apply(owners('"old"', '"kubectl-edit" with subresource "status"'), options).catch(
    (e: unknown) => e,
  );
  assert.ok(error instanceof FieldConflictError);
  assert.deepEqual(error.managers, ["old", "kubectl-edit"]);
  assert.deepEqual(error.conflicts[1], {
    field: ".spec.a",
    manager: "kubectl-edit",
    subresource: "status",
    message: 'conflict with "kubectl-edit" with subresource "status" using v1',
  });
  assert.deepEqual(forced, [false, true, false]);
});
