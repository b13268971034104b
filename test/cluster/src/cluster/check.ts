/** Says why no node can be started on this machine, and fails; says nothing where one can. */
import { whyNoNode } from "./requirements.ts";

const reason = await whyNoNode();
if (reason !== undefined) {
  console.error(`e2e: not run here: ${reason}`);
  process.exit(1);
}
