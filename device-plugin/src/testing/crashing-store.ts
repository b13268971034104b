/** A process that makes, changes and removes allocations until it is killed: node crashing-store.ts <folder> */

import { writeFileSync } from "node:fs";
import { diskFiles } from "../store/files.ts";
import { Store } from "../store/store.ts";
import { holdingOf, unitsOf } from "./fixtures.ts";

const store = new Store(process.argv[2] ?? "", diskFiles, 65_536);
const { kept } = await store.load();
let next = Math.max(-1, ...kept.map(({ holding }) => Number(holding.id))) + 1;
const owner = { namespace: "n", pod: "p", podUid: "u", container: "c" };
process.stdout.write("running\n");
for (;;) {
  const id = String(next);
  next += 1;
  void store.prepare(async () => undefined);
  const holding = holdingOf(id, unitsOf(0, next, 3));
  await store.create({ holding, shim: "1" }, (path) => writeFileSync(path, "control"));
  await store.update({ holding: { ...holding, owner }, shim: "1" });
  if (next % 3 > 0) await store.remove(id);
}
