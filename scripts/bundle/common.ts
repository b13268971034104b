/** How programs are bundled: as one file for Node 24, without what they do not use of the Kubernetes client and of zod. */
import { builtinModules } from "node:module";
import { join } from "node:path";
import { type BuildOptions, build, type OnResolveArgs, type Plugin } from "esbuild";

/**
 * The Kubernetes client does not say that its files do nothing when they are only imported. They do not, and of its thousands of
 * models the agent uses none: 10 MiB less.
 */
const pureClient: Plugin = {
  name: "pure-client",
  setup(bundling) {
    const resolve = async ({ path, importer, resolveDir, kind, pluginData, with: attributes }: OnResolveArgs) => {
      const own = path === "@kubernetes/client-node" || importer.includes("/@kubernetes/client-node/");
      if (pluginData === "resolving" || !own) return undefined;
      const found = await bundling.resolve(path, {
        importer,
        resolveDir,
        kind,
        with: attributes,
        pluginData: "resolving",
      });
      return { ...found, sideEffects: false };
    };
    bundling.onResolve({ filter: /^@kubernetes\/client-node$|^\./ }, resolve);
  },
};

/**
 * The Kubernetes client brings an HTTP client for requests that the agent makes by Node's own: it lies beside, and is loaded if it is
 * wanted after all. 10 MiB less.
 */
const lazyHttpClient: Plugin = {
  name: "lazy-http-client",
  setup(bundling) {
    bundling.onResolve({ filter: /^undici$/ }, ({ importer }) =>
      importer.includes("/@kubernetes/client-node/") ? { path: "undici", namespace: "lazy" } : undefined,
    );
    bundling.onLoad({ filter: /.*/, namespace: "lazy" }, () => ({
      contents: [
        'const load = () => require("./undici.cjs");',
        "export const fetch = (...given) => load().fetch(...given);",
        ...["Agent", "ProxyAgent"].map(
          (name) => `export class ${name} { constructor(...given) { return new (load().${name})(...given); } }`,
        ),
      ].join("\n"),
    }));
    bundling.onResolve({ filter: /^\.\/undici\.cjs$/ }, () => ({ path: "./undici.cjs", external: true }));
  },
};

/**
 * Node's own modules by `require`, whatever the form in the sources: an `import` of one reads all that it exports, and some of that is
 * made when it is read: node:http makes a whole HTTP client, with WebSockets, that nobody here calls. 12 MiB less.
 */
const requiredBuiltins: Plugin = {
  name: "required-builtins",
  setup(bundling) {
    const names = [...builtinModules, "node:.+"].join("|");
    bundling.onResolve({ filter: new RegExp(`^(${names})$`) }, ({ path, kind }) =>
      kind === "require-call" ? { path, external: true } : { path, namespace: "builtin" },
    );
    bundling.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** Of zod's fifty languages the agent speaks one. */
const english: Plugin = {
  name: "english",
  setup(bundling) {
    bundling.onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer, resolveDir }) =>
      importer.includes("/zod/")
        ? { path: "locales", namespace: "english", pluginData: join(resolveDir, "../locales") }
        : undefined,
    );
    bundling.onLoad({ filter: /.*/, namespace: "english" }, ({ pluginData }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: pluginData as string,
    }));
  },
};

export const common = {
  bundle: true,
  minify: true,
  keepNames: true, // errors say their class
  plugins: [requiredBuiltins, pureClient, lazyHttpClient, english],
  platform: "node",
  target: "node24",
  format: "esm",
  legalComments: "none",
  // Packages in the older form of modules call require.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
} as const satisfies BuildOptions;

/** What `lazyHttpClient` expects beside the program. */
export async function bundleHttpClient(folder: string): Promise<void> {
  await build({
    stdin: { contents: 'module.exports = require("undici");', resolveDir: import.meta.dirname },
    outfile: join(folder, "undici.cjs"),
    bundle: true,
    minify: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    legalComments: "none",
  });
}
