/**
 * For bundles of programs that use lib/kube: @kubernetes/client-node has a class for every kind of object of Kubernetes, and
 * does not say that they may be left out. Of all that only KubeConfig is used here; told so, esbuild leaves out the rest,
 * which saves a program about 13 MiB of memory.
 */
import type { Plugin } from "esbuild";

const folder = "/@kubernetes/client-node/dist/";

export const clientNodeIsPure: Plugin = {
  name: "client-node-is-pure",
  setup(build) {
    build.onResolve({ filter: /^(\.|@kubernetes\/client-node$)/ }, async ({ path, pluginData, ...options }) => {
      const within = options.importer.includes(folder) || !path.startsWith(".");
      if (!within || pluginData === clientNodeIsPure) return undefined; // the latter: asked by the line below
      const resolved = await build.resolve(path, { ...options, pluginData: clientNodeIsPure });
      return resolved.path.includes(folder) ? { ...resolved, sideEffects: false } : undefined;
    });
  },
};
