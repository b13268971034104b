/**
 * Framework hints. A framework's own cache keeps many tensors in one large segment; asking it to leave caching to the
 * driver shows us one allocation per tensor, which is what can be packed alone. A hint is given only if the user set
 * none of its group.
 */
export interface HintGroup {
  readonly framework: string;
  readonly variables: Readonly<Record<string, string>>;
}

export const hintGroups: readonly HintGroup[] = [
  {
    // Releases from 2.9 on read the first name, earlier ones the second. With both there, neither warns.
    framework: "PyTorch",
    variables: {
      PYTORCH_ALLOC_CONF: "backend:cudaMallocAsync",
      PYTORCH_CUDA_ALLOC_CONF: "backend:cudaMallocAsync",
    },
  },
  {
    // "platform" would allocate and free synchronously at every use; "cuda_async" is cuMemAllocAsync and its pools.
    framework: "JAX allocator",
    variables: { XLA_PYTHON_CLIENT_ALLOCATOR: "cuda_async" },
  },
  {
    // Else three quarters of the enlarged card are claimed at the start.
    framework: "JAX preallocation",
    variables: { XLA_PYTHON_CLIENT_PREALLOCATE: "false" },
  },
  { framework: "TensorFlow allocator", variables: { TF_GPU_ALLOCATOR: "cuda_malloc_async" } },
  { framework: "TensorFlow preallocation", variables: { TF_FORCE_GPU_ALLOW_GROWTH: "true" } },
];

/** What to add to the environment of a program. @param isSet whether the user set a variable, or may have */
export function hintsUnless(isSet: (variable: string) => boolean): Record<string, string> {
  const added: Record<string, string> = {};
  for (const { variables } of hintGroups) {
    if (Object.keys(variables).some(isSet)) continue;
    Object.assign(added, variables);
  }
  return added;
}
