/** Images as OCI tars, written without daemon and registry: `ctr images import`, `kind load image-archive` and others take them. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { type Entry, type Layer, writeLayer } from "./layer.ts";

export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** `uid` or `uid:gid`; root if left out. */
  readonly user?: string;
  readonly workdir?: string;
}

export interface Image {
  /** With registry and tag, as pods name it: `loretoken.local/agent:test`. */
  readonly name: string;
  /** One layer each, lowest first. */
  readonly layers: readonly (readonly Entry[])[];
  readonly config: ImageConfig;
}

const types = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
};

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Writes the image to `file`. The same content makes the same bytes, so that it can be told by its digest. */
export async function writeImage(image: Image, file: string): Promise<string> {
  const work = mkdtempSync(path.join(tmpdir(), "loretoken-image-"));
  try {
    const layers: Layer[] = [];
    for (const [index, entries] of image.layers.entries()) {
      layers.push(await writeLayer(entries, path.join(work, `layer${index}.tar`)));
    }
    await writeArchive(image, layers, file);
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function writeArchive(image: Image, layers: readonly Layer[], file: string): Promise<void> {
  const tar = pack();
  const written = pipeline(tar, createWriteStream(file));
  const addText = (name: string, text: string) => {
    tar.entry({ name, mtime: new Date(0), mode: 0o644 }, text);
  };
  const addJson = (content: object): Blob => {
    const text = JSON.stringify(content);
    const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
    addText(blobPath(digest), text);
    return { digest, size: Buffer.byteLength(text) };
  };
  addText("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const config = addJson(configOf(image.config, layers));
  const manifest = addJson({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, ...config },
    layers: layers.map(({ digest, size }) => ({ mediaType: types.layer, digest, size })),
  });
  const names = {
    "io.containerd.image.name": image.name,
    "org.opencontainers.image.ref.name": image.name.split(":").at(-1) ?? "latest",
  };
  const entry = { mediaType: types.manifest, ...manifest, annotations: names };
  addText("index.json", JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [entry] }));
  const known = new Set<string>();
  for (const layer of layers) {
    if (known.has(layer.digest)) continue;
    known.add(layer.digest);
    const sink = tar.entry({ name: blobPath(layer.digest), mtime: new Date(0), mode: 0o644, size: layer.size });
    await pipeline(createReadStream(layer.file), sink);
  }
  tar.finalize();
  await written;
}

function configOf(config: ImageConfig, layers: readonly Layer[]): object {
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {
      Entrypoint: config.entrypoint,
      Cmd: config.args ?? [],
      Env: Object.entries({ PATH: "/usr/local/bin:/usr/bin:/bin", ...config.env }).map(
        ([key, value]) => `${key}=${value}`,
      ),
      ...(config.user !== undefined && { User: config.user }),
      WorkingDir: config.workdir ?? "/",
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  };
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}
