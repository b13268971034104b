/** Names that LoreToken and its users meet each other by. */
export const group = "loretoken.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

/** The extended resource: one unit is 1 GiB of virtual GPU memory. */
export const vramResource = `${group}/vram`;

/** Annotations on pods. */
export const annotations = {
  /** Virtual GPU memory that the pod's container gets, as a Kubernetes quantity. */
  vram: `${group}/vram`,
  /** The container it is for; left out: the one that asks for a GPU, else the pod's default container, else the first. */
  container: `${group}/container`,
  /** The policy that applies, by name. */
  policy: `${group}/policy`,
  /** `full` or `off`. */
  mode: `${group}/mode`,
  /** `true`: what the container asks of another device plugin's GPU is replaced; `false`: it never is. */
  replaceGpu: `${group}/replace-gpu`,
} as const;

/** Labels on pods. */
export const labels = {
  /** "true" on every pod that was given memory by its annotation: annotations cannot be selected by. */
  managed: `${group}/managed`,
} as const;

/** Field owners in server-side apply: one per writer and purpose. */
export const fieldOwners = {
  /** The node agent, for its GpuNode. */
  agent: "loretoken-agent",
  /** The operator, for the certificates that the API server is to trust. */
  certificates: "loretoken-certificates",
} as const;

/** What reports events, as `kubectl describe` shows it. */
export const components = {
  agent: "loretoken-agent",
} as const;

/** Environment variables that tell a container about its allocation; nothing of ours reads them. */
export const allocationVariables = {
  gpu: "LORETOKEN_GPU",
  units: "LORETOKEN_UNITS",
  allocation: "LORETOKEN_ALLOCATION",
} as const;
