/** Decides on pods that are created. */
import { type EnlargeOptions, enlarge } from "./enlarge.ts";
import { diff } from "./json-patch.ts";
import { podSchema } from "./pod.ts";
import { Refusal } from "./refusal.ts";
import type { AdmissionRequest, Decision } from "./review.ts";

const unchanged: Decision = { allowed: true, patch: [], warnings: [] };

export function decideOnPod(request: AdmissionRequest, options: EnlargeOptions): Decision {
  const { kind, operation, subResource, object } = request;
  if (kind.group || kind.version !== "v1" || kind.kind !== "Pod") {
    const what = `${kind.group ? `${kind.group}/` : ""}${kind.version} ${kind.kind}`;
    return { allowed: false, code: 400, message: `this webhook is for v1 Pod, not for ${what}` };
  }
  // A pod's resources stay as they were made.
  if (operation !== "CREATE" || subResource) return unchanged;
  const parsed = podSchema.safeParse(object);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { allowed: false, code: 400, message: `not a pod: ${issue?.path.join(".")}: ${issue?.message}` };
  }
  try {
    const { pod, warnings } = enlarge(parsed.data, options);
    return { allowed: true, patch: diff(parsed.data, pod), warnings };
  } catch (error) {
    if (error instanceof Refusal) return { allowed: false, code: 422, message: error.message };
    throw error;
  }
}
