import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { annotations } from "@loretoken/api";
import { until } from "@loretoken/kube/testing";
import { recordingLog } from "@loretoken/service/testing";
import { Registry } from "prom-client";
import { defaultOptions } from "../admission/enlarge.ts";
import { decideOnPod } from "../admission/pods.ts";
import type { AdmissionReview } from "../admission/review.ts";
import { Authority, type Leaf } from "../certificates/authority.ts";
import { AdmissionMetrics } from "./admission-metrics.ts";
import { type Decide, WebhookServer } from "./webhook-server.ts";

const life = 3_600_000;
const authority = await Authority.create({ now: Date.now(), life });
const issue = (): Promise<Leaf> => authority.issue(["127.0.0.1"], { now: Date.now(), life });
const kind = { group: "", version: "v1", kind: "Pod" };
const pod = { metadata: { annotations: { [annotations.vram]: "8Gi" } }, spec: { containers: [{ name: "a" }] } };
const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" };
const bodyOf = (uid: string, object: object = pod): string =>
  JSON.stringify({ ...review, request: { uid, kind, operation: "CREATE", object } });

const hasty = { body: { size: 3 << 20, time: 400 }, start: 400, silence: 2000, ending: 1000 };

async function serve(
  t: TestContext,
  { decide = (asked) => decideOnPod(asked, defaultOptions), limits = {} }: { decide?: Decide; limits?: object } = {},
) {
  const [log, registry] = [recordingLog(), new Registry()];
  const reviews = { "/mutate-pods": decide };
  const server = new WebhookServer({ reviews, log, metrics: new AdmissionMetrics(registry), limits });
  const port = await server.listen("127.0.0.1:0", await issue());
  t.after(() => server.close());
  return { server, port, log, registry };
}

interface Reply {
  status: number;
  text: string;
  headers: Record<string, unknown>;
}

function post(port: number, body: string | Buffer, options: RequestOptions = {}): Promise<Reply> {
  const headers = { "content-type": "application/json", ...options.headers };
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      { host: "127.0.0.1", port, path: "/mutate-pods", method: "POST", ca: authority.certificate, ...options, headers },
      (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
      },
    );
    asked.on("error", reject);
    if (!("transfer-encoding" in headers)) asked.setHeader("content-length", Buffer.byteLength(body));
    asked.end(body);
  });
}

const responseOf = ({ text }: Reply): AdmissionReview["response"] => (JSON.parse(text) as AdmissionReview).response;

async function tls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, ca: authority.certificate, ...options });
  await once(socket, "secureConnect");
  return socket;
}

test("a review over HTTP/1.1 and over HTTP/2", async (t) => {
  const { port, registry } = await serve(t);
  const one = await post(port, bodyOf("u1"));
  assert.deepEqual([one.status, one.headers["content-type"], responseOf(one).uid], [200, "application/json", "u1"]);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certificate });
  const stream = session.request({
    ":method": "POST",
    ":path": "/mutate-pods?timeout=5s",
    "content-type": "application/json",
  });
  stream.setEncoding("utf8").end(bodyOf("u2"));
  let text = "";
  for await (const chunk of stream) text += chunk;
  session.close();
  assert.equal(responseOf({ status: 200, text, headers: {} }).uid, "u2");
  assert.match(await registry.metrics(), /loretoken_admission_requests_total\{result="changed"\} 2/);
});

test("TLS 1.3 only", async (t) => {
  const { port } = await serve(t);
  await assert.rejects(tls(port, { maxVersion: "TLSv1.2" }), /protocol version/);
  const socket = await tls(port);
  assert.equal(socket.getProtocol(), "TLSv1.3");
  socket.destroy();
});

test("bodies up to 3 MiB; longer ones are refused, whether they say so or not", async (t) => {
  const { port } = await serve(t);
  const fill = (size: number): string => {
    const frame = bodyOf("u", { ...pod, fill: "" });
    return bodyOf("u", { ...pod, fill: "x".repeat(size - frame.length) });
  };
  const whole = fill(3 << 20);
  assert.equal(whole.length, 3 << 20);
  assert.equal(responseOf(await post(port, whole)).allowed, true);
  const said = await post(port, fill((3 << 20) + 1)).catch((error: NodeJS.ErrnoException) => error);
  assert.ok(said instanceof Error ? /EPIPE|ECONNRESET/.test(said.code ?? "") : said.status === 413, String(said));
  const headers = { "transfer-encoding": "chunked" };
  const unsaid = await post(port, fill(4 << 20), { headers }).catch((error: NodeJS.ErrnoException) => error);
  assert.ok(
    unsaid instanceof Error ? /EPIPE|ECONNRESET/.test(unsaid.code ?? "") : unsaid.status === 413,
    String(unsaid),
  );
  assert.equal(responseOf(await post(port, bodyOf("u"))).allowed, true);
});

test("what is no review: HTTP errors for what does not parse, a review for what does", async (t) => {
  const { port, registry } = await serve(t);
  const json = (type: string) => ({ headers: { "content-type": type } });
  assert.equal((await post(port, "{")).status, 400);
  assert.match((await post(port, "{")).text, /^not JSON: /);
  assert.equal((await post(port, "")).status, 400);
  assert.equal((await post(port, bodyOf("u"), json("application/yaml"))).status, 415);
  assert.equal((await post(port, bodyOf("u"), json("application/jsonp"))).status, 415);
  assert.equal((await post(port, bodyOf("u"), json("application/json; charset=utf-8"))).status, 200);
  assert.equal((await post(port, "", { method: "GET" })).status, 405);
  assert.equal((await post(port, bodyOf("u"), { path: "/validate" })).status, 404);
  assert.equal((await post(port, bodyOf("u"), { path: "/toString" })).status, 404);
  const old = await post(port, bodyOf("u9").replace("/v1", "/v1beta1"));
  assert.deepEqual([old.status, responseOf(old).uid, responseOf(old).allowed], [200, "u9", false]);
  for (const body of ["null", "[]", "5", "{}"]) assert.equal(responseOf(await post(port, body)).allowed, false, body);
  const text = await registry.metrics();
  assert.match(text, /requests_total\{result="invalid"\} 8\n/);
  assert.match(text, /loretoken_admission_running 0/);
});

test("a fault of ours is an answer too, and a line in the log", async (t) => {
  const { port, log, registry } = await serve(t, {
    decide: () => {
      throw new Error("broken");
    },
  });
  const { uid, allowed, status } = responseOf(await post(port, bodyOf("u7")));
  assert.deepEqual([uid, allowed, status?.code, status?.message], ["u7", false, 500, "the webhook failed: broken"]);
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [["error", "review failed"]],
  );
  assert.match(await registry.metrics(), /requests_total\{result="error"\} 1/);
});

test("refusals are logged with their reason", async (t) => {
  const { port, log } = await serve(t);
  await post(port, bodyOf("u", { ...pod, metadata: { annotations: { [annotations.vram]: "x" } } }));
  assert.deepEqual(log.messages, ["refused"]);
  assert.match(String(log.lines[0]?.fields.reason), /is not allowed/);
});

test("slow clients: no TLS, half of the headers, half of the body, silence; others are served meanwhile", async (t) => {
  const { port } = await serve(t, { limits: hasty });
  const { connect: plain } = await import("node:net");
  const mute = plain(port, "127.0.0.1");
  const [headers, body, silent] = [await tls(port), await tls(port), await tls(port)];
  const h2 = await tls(port, { ALPNProtocols: ["h2"] });
  headers.write("POST /mutate-pods HTTP/1.1\r\nHost: a\r\n");
  body.write("POST /mutate-pods HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
  let answered = "";
  body.on("data", (chunk) => {
    answered += chunk;
  });
  const begin = performance.now();
  const gone = [mute, headers, body, silent, h2].map((socket) => {
    socket.on("error", () => {});
    socket.resume();
    return once(socket, "close").then(() => performance.now() - begin);
  });
  assert.equal((await post(port, bodyOf("u"))).status, 200);
  const times = await Promise.all(gone);
  assert.ok(
    times.every((time) => time > 300 && time < 4500),
    times.join(),
  );
  assert.match(answered, /^HTTP\/1.1 408/);
});

test("half of a body over HTTP/2 is answered by 408, and its stream ends", async (t) => {
  const { port } = await serve(t, { limits: hasty });
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certificate });
  const stream = session.request({ ":method": "POST", ":path": "/mutate-pods", "content-type": "application/json" });
  stream.write("{");
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(headers[":status"], 408);
  stream.resume();
  const begin = performance.now();
  if (!stream.closed) await once(stream, "close");
  assert.ok(performance.now() - begin < 1000, "not only with the silent connection");
  session.destroy();
});

test("a client that goes away leaves nothing behind", async (t) => {
  const { port, registry } = await serve(t);
  const socket = await tls(port);
  socket.write(
    "POST /mutate-pods HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  );
  await sleep(50);
  socket.destroy();
  let text = "";
  await until("it is counted", () => {
    void registry.metrics().then((now) => {
      text = now;
    });
    return /running 0/.test(text) && /result="invalid"\} 1/.test(text);
  });
});

test("a new certificate for new connections, while those that are there go on; none fails", async (t) => {
  const { server, port } = await serve(t);
  const kept = new Agent({ keepAlive: true, maxSockets: 2, ca: authority.certificate });
  const fresh = new Agent({ keepAlive: false, ca: authority.certificate });
  const seen = new Set<string>();
  const statuses = new Map<number, number>();
  let over = false;
  const load = async (agent: Agent): Promise<void> => {
    while (!over) {
      const { status } = await post(port, bodyOf("u"), { agent });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  const loads = [kept, kept, fresh, fresh].map(load);
  for (let change = 0; change < 10; ++change) {
    const leaf = await issue();
    server.use(leaf);
    const socket = await tls(port);
    seen.add(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
    assert.equal(socket.getPeerX509Certificate()?.fingerprint256, new X509Certificate(leaf.certificate).fingerprint256);
    assert.equal(socket.getProtocol(), "TLSv1.3");
    socket.destroy();
    await assert.rejects(tls(port, { maxVersion: "TLSv1.2" }));
    await sleep(20);
  }
  over = true;
  await Promise.all(loads);
  kept.destroy();
  assert.equal(seen.size, 10);
  assert.deepEqual([...statuses.keys()], [200]);
});

test("at its end it answers what is under way, and closes idle connections", async (t) => {
  const { server, port } = await serve(t, { limits: hasty });
  const agent = new Agent({ keepAlive: true, ca: authority.certificate });
  await post(port, bodyOf("u"), { agent });
  const idle = await tls(port);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certificate });
  await once(session, "connect");
  const late = await tls(port);
  const body = bodyOf("late");
  late.write(
    `POST /mutate-pods HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n{`,
  );
  await sleep(50);
  const begin = performance.now();
  const closed = server.close();
  await assert.rejects(tls(port), /ECONNREFUSED/);
  late.write(body.slice(1));
  let answered = "";
  for await (const chunk of late) answered += chunk;
  assert.match(answered, /^HTTP\/1.1 200(.|\s)*"uid":"late"/);
  await closed;
  assert.ok(performance.now() - begin < 900, "it did not wait for idle connections");
  idle.destroy();
  agent.destroy();
});
