/** AdmissionReview, admission.k8s.io/v1: what the API server asks, and the answer, which always is one. */
import { z } from "zod";
import type { Operation } from "./json-patch.ts";

export const reviewVersion = "admission.k8s.io/v1";

const review = z.looseObject({
  apiVersion: z.literal(reviewVersion),
  kind: z.literal("AdmissionReview"),
  request: z.looseObject({
    uid: z.string().min(1),
    kind: z.looseObject({ group: z.string().optional(), version: z.string(), kind: z.string() }),
    operation: z.string(),
    subResource: z.string().optional(),
    namespace: z.string().optional(),
    name: z.string().optional(),
    dryRun: z.boolean().nullish(),
    object: z.unknown(),
  }),
});

export type AdmissionRequest = z.output<typeof review>["request"];

export type Decision =
  | { readonly allowed: true; readonly patch: readonly Operation[]; readonly warnings: readonly string[] }
  | { readonly allowed: false; readonly code: number; readonly message: string };

export interface AdmissionReview {
  readonly apiVersion: typeof reviewVersion;
  readonly kind: "AdmissionReview";
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly status?: { readonly code: number; readonly message: string };
    readonly warnings?: readonly string[];
    readonly patchType?: "JSONPatch";
    /** Base64 of the operations. */
    readonly patch?: string;
  };
}

/** @param body decoded JSON of whatever kind; what is no review of this version is answered as refused */
export function answer(body: unknown, decide: (request: AdmissionRequest) => Decision): AdmissionReview {
  const { success, data, error } = review.safeParse(body);
  if (success) return answerTo(data.request.uid, decide(data.request));
  const issues = error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`).join("; ");
  const message = `not an AdmissionReview of ${reviewVersion}: ${issues}`;
  return answerTo(uidOf(body), { allowed: false, code: 400, message });
}

function answerTo(uid: string, decision: Decision): AdmissionReview {
  return { apiVersion: reviewVersion, kind: "AdmissionReview", response: { uid, ...responseOf(decision) } };
}

function responseOf(decision: Decision): Omit<AdmissionReview["response"], "uid"> {
  if (!decision.allowed) {
    const { code, message } = decision;
    return { allowed: false, status: { code, message } };
  }
  const { patch, warnings } = decision;
  const encoded = Buffer.from(JSON.stringify(patch)).toString("base64");
  return {
    allowed: true,
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(patch.length === 0 ? {} : { patchType: "JSONPatch" as const, patch: encoded }),
  };
}

function uidOf(body: unknown): string {
  const uid = (body as { request?: { uid?: unknown } } | null)?.request?.uid;
  return typeof uid === "string" ? uid : "";
}
