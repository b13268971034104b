/** The bill of materials of an image, CycloneDX 1.6. The same sources and files make the same text: it has no date and no random number. */
import path from "node:path";
import type { Entry } from "@loretoken/test-cluster";
import { type NativeFile, nativeFiles, toolchainOf } from "./native.ts";
import { type NpmPackage, npmPackages } from "./npm.ts";

export interface BillOptions {
  readonly root: string;
  /** Folder of the C++ build. */
  readonly build: string;
  /** Of the image. */
  readonly name: string;
  /** Folder of the program's package. */
  readonly workspace: string;
  readonly version: string;
  /** Files of the image that are not the program's bundle. */
  readonly files: readonly Entry[];
}

export function billOfMaterials({ root, build, name, workspace, version, files }: BillOptions): object {
  const packages = npmPackages(root, workspace, `linux-${process.arch}`);
  const native = nativeFiles(files);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "container",
        name: `loretoken-${name}`,
        version,
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components: [...packages.map(fromNpm), ...native.map((file) => fromFile(file, { build, version }))],
  };
}

function fromNpm({ name, version, license, integrity }: NpmPackage): object {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const hash =
    integrity?.startsWith("sha512-") && Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(hash && { hashes: [{ alg: "SHA-512", content: hash }] }),
  };
}

function fromFile({ at, sha256, debian }: NativeFile, own: { build: string; version: string }): object {
  const common = {
    "bom-ref": `file:${at}`,
    hashes: [{ alg: "SHA-256", content: sha256 }],
    evidence: { occurrences: [{ location: at }] },
  };
  if (at.startsWith("/opt/loretoken/shim/")) return { type: "library", ...common, ...ofShim(at, own) };
  if (path.basename(at) === "node") {
    const version = process.version.slice(1);
    return { type: "application", ...common, name: "node", version, purl: `pkg:generic/node@${version}` };
  }
  const { name, version } = debian ?? { name: path.basename(at), version: undefined };
  return {
    type: "library",
    ...common,
    name,
    ...(version !== undefined && { version, purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}` }),
  };
}

function ofShim(at: string, { build, version }: { build: string; version: string }): object {
  const toolchain = toolchainOf(build);
  const properties = [
    { name: "loretoken:compiler", value: toolchain?.compiler },
    { name: "loretoken:cuda-headers", value: toolchain?.cuda },
  ].filter(({ value }) => value !== undefined);
  const description = at.endsWith(".so")
    ? "the shim; libstdc++ and libgcc of the compiler are linked into it"
    : "kernels for GPUs";
  return { name: path.basename(at), version, description, licenses: [{ license: { id: "Apache-2.0" } }], properties };
}
