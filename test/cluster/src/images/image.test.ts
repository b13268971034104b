import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { after, test } from "node:test";
import { extract, type Header } from "tar-stream";
import { libraries } from "./bases.ts";
import { type Image, writeImage } from "./image.ts";
import { type Entry, folder as folderEntries, writeLayer } from "./layer.ts";

const work = mkdtempSync(path.join(tmpdir(), "loretoken-image-test-"));
after(() => rmSync(work, { recursive: true }));

interface Member {
  readonly header: Header;
  readonly content: Buffer;
}

test("a layer has its entries sorted, parents first, owned by root, dated 1970", async () => {
  const tree = path.join(work, "tree");
  mkdirSync(path.join(tree, "sub"), { recursive: true });
  writeFileSync(path.join(tree, "sub/run"), "#!/bin/sh\n");
  chmodSync(path.join(tree, "sub/run"), 0o700);
  symlinkSync("sub/run", path.join(tree, "link"));
  const entries: Entry[] = [{ kind: "text", to: "/etc/motd", text: "hello\n" }, ...folderEntries(tree, "/app")];
  const layer = await writeLayer(entries, path.join(work, "layer.tar"));
  const members = await read(layer.file);
  assert.deepEqual([...members.keys()], ["app", "app/link", "app/sub", "app/sub/run", "etc", "etc/motd"]);
  assert.equal(members.get("app/sub/run")?.header.mode, 0o755);
  assert.equal(members.get("app/link")?.header.linkname, "sub/run");
  assert.equal(members.get("etc/motd")?.content.toString(), "hello\n");
  for (const { header } of members.values()) {
    assert.deepEqual([header.uid, header.gid, header.mtime?.getTime()], [0, 0, 0]);
  }
});

test("the same content makes the same bytes, whatever the order, the times and the umask", async () => {
  const file = path.join(work, "content");
  writeFileSync(file, "x");
  const one: Entry = { kind: "file", to: "/a", from: file };
  const two: Entry = { kind: "text", to: "/b", text: "y" };
  const first = await writeLayer([one, two], path.join(work, "first.tar"));
  utimesSync(file, 1, 1);
  chmodSync(file, 0o600);
  const second = await writeLayer([two, one], path.join(work, "second.tar"));
  assert.equal(first.digest, second.digest);
});

test("two different files for one path are refused", async () => {
  const entries: Entry[] = [
    { kind: "text", to: "/etc/x", text: "1" },
    { kind: "text", to: "etc/x", text: "2" },
  ];
  await assert.rejects(writeLayer(entries, path.join(work, "twice.tar")), /two different entries for \/etc\/x/);
});

test("an archive names its image, and every digest and size in it is true", async () => {
  const image: Image = {
    name: "loretoken.local/thing:test",
    layers: [[{ kind: "text", to: "/lower", text: "1" }], [{ kind: "text", to: "/upper", text: "2" }]],
    config: { entrypoint: ["/run"], args: ["now"], env: { A: "b" }, user: "65532:65532", workdir: "/tmp" },
  };
  const members = await read(await writeImage(image, path.join(work, "image.tar")));
  const blob = ({ digest, size }: { digest: string; size: number }): Buffer => {
    const content = members.get(`blobs/${digest.replace(":", "/")}`)?.content;
    assert.ok(content, digest);
    assert.equal(content.length, size);
    assert.equal(`sha256:${createHash("sha256").update(content).digest("hex")}`, digest);
    return content;
  };
  const [entry] = JSON.parse(String(members.get("index.json")?.content)).manifests;
  assert.equal(entry.annotations["io.containerd.image.name"], image.name);
  const manifest = JSON.parse(blob(entry).toString());
  for (const layer of manifest.layers) blob(layer);
  const config = JSON.parse(blob(manifest.config).toString());
  assert.deepEqual(
    config.rootfs.diff_ids,
    manifest.layers.map(({ digest }: { digest: string }) => digest),
  );
  assert.deepEqual(config.config, {
    Entrypoint: ["/run"],
    Cmd: ["now"],
    Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "A=b"],
    User: "65532:65532",
    WorkingDir: "/tmp",
  });
});

test("the libraries of a program come with its loader, by the paths that it looks at", () => {
  const files = libraries([process.execPath]).map(({ to }) => to);
  assert.ok(
    files.some((file) => /\/ld-linux-.*\.so/.test(file)),
    files.join(" "),
  );
  assert.ok(
    files.some((file) => file.endsWith("/libc.so.6")),
    files.join(" "),
  );
});

test("a library that is missing is an error, not an image that does not start", () => {
  const shim = path.join(work, "program");
  writeFileSync(shim, readFileSync(process.execPath).subarray(0, 100));
  assert.throws(() => libraries([shim]));
});

async function read(file: string): Promise<Map<string, Member>> {
  const members = new Map<string, Member>();
  const archive = createReadStream(file).pipe(extract());
  for await (const entry of archive) {
    members.set(entry.header.name.replace(/\/$/, ""), { header: entry.header, content: await buffer(entry) });
  }
  return members;
}
