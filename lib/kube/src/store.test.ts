import assert from "node:assert/strict";
import test from "node:test";
import { Store } from "./store.ts";
import { randomFrom } from "./testing/random.ts";

interface Pod {
  node: string;
  owners: string[];
}

const indexes = { node: ({ node }: Pod) => [node], owner: ({ owners }: Pod) => owners };

test("objects are found by key and by each value of each index", () => {
  const store = new Store<Pod, "node" | "owner">(indexes);
  store.set("a", { node: "n1", owners: ["x", "y", "x"] });
  store.set("b", { node: "n1", owners: [] });
  assert.deepEqual(store.keysBy("node", "n1"), ["a", "b"]);
  assert.deepEqual(store.keysBy("owner", "y"), ["a"]);
  store.set("a", { node: "n2", owners: ["y"] });
  assert.deepEqual(store.keysBy("node", "n1"), ["b"]);
  assert.deepEqual(store.keysBy("owner", "x"), []);
  assert.deepEqual(store.by("node", "n2"), [{ node: "n2", owners: ["y"] }]);
  store.delete("a");
  assert.deepEqual(store.valuesOf("owner"), []);
  assert.deepEqual([store.size, store.has("a"), store.get("b")?.node], [1, false, "n1"]);
  assert.throws(() => store.by("name" as "node", "x"), /no index name/);
});

test("an index function that throws changes nothing", () => {
  const store = new Store<Pod, "node">({
    node: ({ node }) => {
      if (node === "") throw new Error("no node");
      return [node];
    },
  });
  store.set("a", { node: "n1", owners: [] });
  assert.throws(() => store.set("a", { node: "", owners: [] }), /no node/);
  assert.deepEqual(store.keysBy("node", "n1"), ["a"]);
});

test("indexes say what a search through all would, after any changes", () => {
  const random = randomFrom(7);
  const store = new Store<Pod, "node" | "owner">(indexes);
  const plain = new Map<string, Pod>();
  for (let step = 0; step < 3000; ++step) {
    const key = `k${Math.floor(random() * 30)}`;
    if (random() < 0.3) {
      store.delete(key);
      plain.delete(key);
    } else {
      const owners = ["x", "y", "z"].filter(() => random() < 0.4);
      const pod = { node: `n${Math.floor(random() * 4)}`, owners };
      store.set(key, pod);
      plain.set(key, pod);
    }
  }
  for (const [index, of] of Object.entries(indexes) as ["node" | "owner", (pod: Pod) => string[]][]) {
    const values = new Set([...plain.values()].flatMap(of));
    assert.deepEqual(new Set(store.valuesOf(index)), values);
    for (const value of values) {
      const found = [...plain].filter(([, pod]) => of(pod).includes(value)).map(([key]) => key);
      assert.deepEqual(store.keysBy(index, value).sort(), found.sort());
    }
  }
});
