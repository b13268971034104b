/** A test's process in miniature, to be killed by teardown.test.ts: brings a node with a pod up, says where, and waits. */
import { Target } from "@loretoken/test-cluster";
import { shell, shellImage } from "./images.ts";

const target = new Target("crash", { kind: "node", images: [await shell()] });
await target.open();
await target.pods.run({ name: "orphan", image: shellImage, command: ["/bin/sleep", "1000000"] });
if (process.argv[2] === "stop") await target.close(false);
console.log(target.cluster.folder);
setInterval(() => {}, 1000);
