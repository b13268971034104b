import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { type Leadership, NotLeadingError } from "./leadership.ts";
import { LeaseElector, type LeaseElectorOptions, type StopReason } from "./lease.ts";
import { TestClock } from "./testing/clock.ts";
import { type LeaseFault, LeaseServer } from "./testing/lease-server.ts";
import { Machine } from "./testing/machine.ts";
import { randomFrom } from "./testing/random.ts";

interface Candidate {
  name: string;
  machine: Machine;
  elector: LeaseElector;
  terms: Leadership[];
  reasons: StopReason[];
  errors: unknown[];
  fault: LeaseFault | undefined;
  /** Milliseconds to the server, and back. */
  way: number;
  stop: () => Promise<void>;
}

/** Electors with the usual times: 15 s, 10 s, 2 s. */
class Election {
  readonly clock = new TestClock();
  readonly server = new LeaseServer();
  readonly candidates: Candidate[] = [];

  join(context: TestContext, name: string, options: Partial<LeaseElectorOptions> = {}): Candidate {
    const machine = new Machine(this.clock);
    const signal = new AbortController();
    const candidate = {
      name,
      machine,
      terms: [],
      reasons: [],
      errors: [],
      fault: undefined,
      way: 5,
    } as unknown as Candidate;
    candidate.elector = new LeaseElector({
      client: this.server.requester(
        name,
        () => candidate.fault,
        () => machine.sleep(candidate.way),
      ),
      namespace: "loretoken",
      name: "operator",
      identity: name,
      onStarted: (leadership) => void candidate.terms.push(leadership),
      onStopped: (reason) => candidate.reasons.push(reason),
      onError: (error) => candidate.errors.push(error),
      clock: machine,
      random: () => 0.5,
      ...options,
    });
    const running = candidate.elector.run(signal.signal);
    candidate.stop = () => {
      signal.abort();
      return running;
    };
    context.after(() => signal.abort());
    this.candidates.push(candidate);
    return candidate;
  }

  /** Those who would write now, if they were to. */
  get leaders(): string[] {
    return this.candidates
      .filter(({ machine, terms }) => !machine.suspended && terms.at(-1)?.leading)
      .map(({ name }) => name);
  }
}

test("one of several leads, renews with one request each time, and the record is as kubectl expects it", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  const start = clock.now();
  const a = election.join(context, "a");
  await clock.advance(100);
  const b = election.join(context, "b");
  await clock.advance(60_000);
  assert.deepEqual([a.elector.leading, b.elector.leading, b.elector.leader], [true, false, "a"]);
  assert.deepEqual(server.holders, ["a"]);
  const { renewTime, acquireTime, ...spec } = server.lease?.spec ?? {};
  assert.deepEqual(spec, { holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 0 });
  assert.match(acquireTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.ok(Date.parse(renewTime ?? "") > start + 55_000);
  const own = server.requests.filter(({ from }) => from === "a").map(({ method }) => method);
  assert.deepEqual([...new Set(own.slice(2))], ["PUT"]);
  assert.ok(own.length < 33, `${own.length} requests in a minute`);
});

test("a clean stop lets the next one in at once, after the work has ended", async (context) => {
  const election = new Election();
  const { clock } = election;
  let ended = false;
  let finish = (): void => {};
  const a = election.join(context, "a", {
    onStarted: () =>
      new Promise<void>((resolve) => {
        finish = () => {
          ended = true;
          resolve();
        };
      }),
    grace: 30_000,
  });
  await clock.advance(100);
  const b = election.join(context, "b", { onStarted: () => assert.ok(ended) });
  await clock.advance(5000);
  const stopped = a.stop();
  await clock.advance(20_000); // longer than the lease, which goes on to be renewed
  assert.deepEqual([a.elector.leading, b.elector.leading], [true, false]);
  finish();
  await clock.advance(100);
  await stopped;
  assert.deepEqual(a.reasons, ["stopped"]);
  assert.equal(election.server.lease?.spec?.holderIdentity, undefined);
  await clock.advance(4000);
  assert.equal(b.elector.leading, true);
  assert.equal(election.server.lease?.spec?.leaseTransitions, 1);
});

test("work that does not end in its time loses the right, and the lease is left to expire", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  let leadership: Leadership | undefined;
  const a = election.join(context, "a", {
    onStarted: (given) => {
      leadership = given;
      return new Promise(() => {});
    },
    grace: 5000,
  });
  await clock.advance(3000);
  const stopped = a.stop();
  await clock.advance(4900);
  assert.equal(leadership?.leading, true);
  await clock.advance(3000);
  await stopped;
  assert.throws(() => leadership?.assertLeading(), NotLeadingError);
  assert.equal(server.lease?.spec?.holderIdentity, "a");
});

for (const fault of ["refused", "hang", 500, 429, 403] as const) {
  test(`a leader whose renewals meet "${fault}" stops within renewDeadline, before anyone else can start`, async (context) => {
    const election = new Election();
    const { clock } = election;
    const a = election.join(context, "a");
    await clock.advance(3000);
    const b = election.join(context, "b");
    await clock.advance(10_000);
    a.fault = fault;
    const start = clock.now();
    while (a.elector.leading) await clock.advance(10);
    assert.ok(clock.now() - start <= 10_000);
    assert.deepEqual(a.reasons, ["lost"]);
    assert.equal(a.terms[0]?.signal.aborted, true);
    assert.equal(b.elector.leading, false);
    while (!b.elector.leading) await clock.advance(10);
    assert.ok(clock.now() - start <= 15_000 + 2.2 * 2000 + 100);
    a.fault = undefined;
    await clock.advance(30_000);
    assert.deepEqual([election.leaders, a.elector.leader], [["b"], "b"]);
  });
}

for (const fault of ["lost", "hangAfter"] as const) {
  test(`a renewal whose answer is lost ("${fault}") is found out, and the leader goes on`, async (context) => {
    const election = new Election();
    const { clock } = election;
    const a = election.join(context, "a");
    await clock.advance(3000);
    a.fault = fault;
    await clock.advance(2500);
    a.fault = undefined;
    await clock.advance(30_000);
    assert.deepEqual([a.terms.length, a.elector.leading, a.reasons], [1, true, []]);
  });
}

test("after standing still the leader knows before its first write, before any timer", async (context) => {
  const election = new Election();
  const { clock } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  election.join(context, "b");
  await clock.advance(5000);
  a.machine.suspend();
  await clock.advance(60_000);
  assert.deepEqual(election.leaders, ["b"]);
  const [term] = a.terms;
  assert.equal(term?.signal.aborted, false); // no timer had its turn
  assert.throws(() => term?.assertLeading(), NotLeadingError);
  assert.equal(term?.signal.aborted, true);
  a.machine.resume();
  await clock.advance(10_000);
  assert.deepEqual([election.leaders, a.reasons], [["b"], ["lost"]]);
});

test("a renewal that was answered only after the deadline does not bring the right back", async (context) => {
  const election = new Election();
  const { clock } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  while (election.server.requests.at(-1)?.method !== "PUT") await clock.advance(1);
  const count = election.server.requests.length;
  while (election.server.requests.length === count) await clock.advance(1);
  a.machine.suspend(); // with the renewal on its way
  await clock.advance(11_000);
  a.machine.resume();
  await clock.advance(1);
  assert.equal(a.terms[0]?.leading, false);
  await clock.advance(5000);
  assert.deepEqual([a.terms.length, a.elector.leading], [2, true]); // nobody else was there: a new term
});

test("the right counts from when the renewal was sent, not from its answer", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  a.way = 2000;
  await clock.advance(8000);
  const version = server.lease?.metadata?.resourceVersion;
  while (server.lease?.metadata?.resourceVersion === version) await clock.advance(1);
  const sent = clock.now() - 2000;
  await clock.advance(2001); // the answer is there
  a.fault = "hang";
  while (a.elector.leading) await clock.advance(10);
  assert.ok(clock.now() - sent <= 10_000, `${clock.now() - sent} ms`);
});

test("a clock that is set ahead ends the right, one that is set back does not lengthen it", async (context) => {
  const election = new Election();
  const { clock } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  const [term] = a.terms;
  a.fault = "refused";
  clock.step(-3_600_000);
  assert.equal(term?.leading, true);
  await clock.advance(10_000);
  assert.equal(term?.leading, false);
  a.fault = undefined;
  await clock.advance(5000);
  clock.step(3_600_000);
  assert.equal(a.terms.at(-1)?.leading, false);
});

test("a lease that someone gives to another ends the leadership at the next renewal", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  const { lease } = server;
  assert.ok(lease?.spec);
  server.lease = {
    ...lease,
    metadata: { ...lease.metadata, resourceVersion: "x" },
    spec: { holderIdentity: "thief", leaseDurationSeconds: 15 },
  };
  await clock.advance(2100);
  assert.deepEqual([a.elector.leading, a.reasons, a.elector.leader], [false, ["lost"], "thief"]);
  await clock.advance(22_000);
  assert.equal(a.elector.leading, true); // the thief shows no sign of life
});

test("a lease that was deleted is made again by its leader; others wait for it", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  const b = election.join(context, "b");
  await clock.advance(5000);
  server.lease = undefined;
  await clock.advance(30_000);
  assert.deepEqual([election.leaders, a.terms.length, b.terms.length], [["a"], 1, 0]);
  assert.equal(server.lease !== undefined, true);
});

test("a change of labels is no sign of life", async (context) => {
  const election = new Election();
  const { clock, server } = election;
  const a = election.join(context, "a");
  await clock.advance(3000);
  const b = election.join(context, "b");
  await clock.advance(3000);
  a.machine.suspend();
  for (let second = 0; second < 25; ++second) {
    const lease = server.lease;
    const version = `label-${second}`;
    if (!b.elector.leading) server.lease = { ...lease, metadata: { ...lease?.metadata, resourceVersion: version } };
    await clock.advance(1000);
  }
  assert.equal(b.elector.leading, true);
});

test("work that fails gives the lease up, and another try follows", async (context) => {
  const election = new Election();
  const { clock } = election;
  let tries = 0;
  const a = election.join(context, "a", {
    onStarted: async () => {
      tries += 1;
      await Promise.resolve();
      if (tries === 1) throw new Error("of the work");
    },
  });
  await clock.advance(20_000);
  assert.deepEqual([tries, a.reasons, a.elector.leading], [2, ["failed"], true]);
  assert.match(String(a.errors[0]), /of the work/);
});

test("times that do not fit each other are refused", () => {
  const client = new LeaseServer().requester("a", () => undefined);
  const make = (options: Partial<LeaseElectorOptions>) => (): LeaseElector =>
    new LeaseElector({ client, namespace: "n", name: "l", identity: "a", onStarted: () => {}, ...options });
  assert.throws(make({ leaseDuration: 10_000 }), /longer than renewDeadline/);
  assert.throws(make({ leaseDuration: 15_500 }), /whole seconds/);
  assert.throws(make({ retryPeriod: 9000 }), /longer than 1.2 times/);
  assert.throws(make({ identity: "" }), /identity/);
});

for (const seed of [...Array.from({ length: 6 }, (_, index) => index + 1), Date.now() % 1e9]) {
  test(`never two lead, whatever is lost, hangs or stands still; and somebody does in the end: seed ${seed}`, async (context) => {
    const random = randomFrom(seed);
    const election = new Election();
    const { clock } = election;
    const names = ["a", "b", "c"];
    for (const name of names) election.join(context, name, { random });
    let led = 0;
    const faults: (LeaseFault | undefined)[] = ["lost", "refused", "hang", "hangAfter", 500, 409];
    for (let step = 0; step < 12_000; ++step) {
      const each = election.candidates[Math.floor(random() * names.length)] as Candidate;
      if (random() < 0.03) each.fault = faults[Math.floor(random() * faults.length)];
      else if (random() < 0.06) each.fault = undefined;
      if (random() < 0.01) each.machine.suspend();
      else if (random() < 0.02) each.machine.resume();
      if (random() < 0.002) clock.step(random() * 40_000 - 20_000);
      await clock.advance(random() * 300);
      const { leaders } = election;
      assert.ok(leaders.length <= 1, `${leaders} at step ${step}`);
      led += leaders.length;
    }
    for (const each of election.candidates) {
      each.fault = undefined;
      each.machine.resume();
    }
    await clock.advance(30_000);
    assert.equal(election.leaders.length, 1);
    assert.ok(led > 2000, `led at ${led} of 12000 steps`);
    assert.ok(new Set(election.server.holders).size >= 2, "it never changed hands");
  });
}
