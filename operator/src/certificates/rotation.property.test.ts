/** At every instant of many rotations, clients that trust the caBundle accept what is served, whatever replicas go through. */
import assert from "node:assert/strict";
import test from "node:test";
import { type Random, randomFrom } from "../../../lib/api/src/testing/random.ts";
import { Client, hour, lives, type Replica, TestCluster } from "../testing/replicas.ts";

/** A replica that now and then sees nothing for hours, or begins anew. */
class Unsteady {
  readonly #cluster: TestCluster;
  readonly #random: Random;
  /** Whether it loses sight of the caBundle too, not of the Secret alone. */
  readonly #whole: boolean;
  #blindUntil = 0;
  replica: Replica;
  blindSteps = 0;

  constructor(cluster: TestCluster, random: Random, whole: boolean) {
    this.#cluster = cluster;
    this.#random = random;
    this.#whole = whole;
    this.replica = cluster.replica();
  }

  async step(): Promise<void> {
    const blind = this.#cluster.now < this.#blindUntil;
    this.replica.secret.broken = blind;
    this.replica.trust.broken = blind && this.#whole;
    if (blind) this.blindSteps += 1;
    else this.#fate();
    if (this.#random() < 0.9) await this.replica.step();
  }

  /** Blind for less than an authority is trusted after the next one has come. */
  #fate(): void {
    const chance = this.#random();
    if (chance < 0.001) this.#blindUntil = this.#cluster.now + this.#random() * 3.9 * hour;
    else if (chance < 0.002) this.replica = this.#cluster.replica();
  }
}

/** API servers hear of a change late: the caBundle as it is, and as it was. */
class Views {
  readonly #late: number;
  readonly #seen: { readonly at: number; readonly bundle: string }[] = [];

  constructor(late: number) {
    this.#late = late;
  }

  take(at: number, bundle: string): readonly string[] {
    this.#seen.push({ at, bundle });
    while ((this.#seen[1]?.at ?? Number.POSITIVE_INFINITY) <= at - this.#late) this.#seen.shift();
    return [this.#seen[0]?.bundle ?? "", bundle];
  }
}

for (const seed of [1, 2, 3]) {
  test(`clients accept what is served, seed ${seed}`, { timeout: 120_000 }, async () => {
    const random = randomFrom(seed);
    const cluster = new TestCluster();
    const client = new Client();
    const unsteady = [true, false, false].map((whole) => new Unsteady(cluster, random, whole));
    const views = new Views(lives.settle / 2);
    const bundles = new Set<string>();
    const start = cluster.now;
    let checks = 0;
    while (cluster.now - start < 4 * lives.authority) {
      await cluster.clock.advance(1000 + Math.floor(random() * 30_000));
      for (const each of unsteady) await each.step();
      bundles.add(cluster.bundle.value ?? "");
      for (const view of views.take(cluster.now, cluster.bundle.value ?? "")) {
        for (const { replica } of unsteady) {
          if (replica.served === undefined) continue;
          checks += 1;
          const objection = client.objection(replica.served.certificate, view, cluster.now);
          assert.equal(objection, "", `at ${(cluster.now - start) / hour} h`);
        }
      }
    }
    assert.ok(bundles.size >= 8, `${bundles.size} bundles`);
    assert.ok(checks > 20_000 && unsteady.every(({ blindSteps }) => blindSteps > 0), `${checks} checks`);
  });
}
