/**
 * A cluster to look at: `node test/cluster/src/up.ts [image.tar…]` brings a node up, says how to reach it, and ends it at
 * Ctrl-C. End-to-end tests may run against it by the variables that it prints.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { Cluster } from "./cluster/cluster.ts";

const cluster = await Cluster.start({ kind: "node", name: "up", images: process.argv.slice(2) });
const load = path.join(cluster.folder, "load-image");
writeFileSync(load, `#!/bin/sh\nexec ${cluster.imageCommand.map((word) => `'${word}'`).join(" ")} "$1"\n`, {
  mode: 0o755,
});
console.log(`export KUBECONFIG=${await cluster.kubeconfigFile()}`);
console.log(`export E2E_LOAD_IMAGE=${load}`);
console.log(`# logs in ${cluster.logs}; Ctrl-C ends it`);

let ending = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (ending) return;
    ending = true;
    cluster.stop().then(() => process.exit(0));
  });
}
