/**
 * Writes images as OCI archives, without daemon and registry: `node images/write-archive.ts <agent|operator> <name:tag> <file.tar>`.
 * `skopeo copy oci-archive:…`, `podman load`, `ctr images import` and `kind load image-archive` take them.
 */
import { statSync } from "node:fs";
import { writeImage } from "@loretoken/test-cluster";
import { contentsOf, type ImageName, imageNames } from "./contents.ts";

const [name = "", reference = "", file = ""] = process.argv.slice(2);
if (!imageNames.some((one) => one === name) || !/:/.test(reference) || file === "") {
  console.error(`usage: write-archive.ts <${imageNames.join("|")}> <name:tag> <file.tar>`);
  process.exit(2);
}
const { layers, config } = await contentsOf(name as ImageName);
await writeImage({ name: reference, layers, config }, file);
console.log(`${reference} ${file} ${(statSync(file).size / 2 ** 20).toFixed(1)} MiB`);
