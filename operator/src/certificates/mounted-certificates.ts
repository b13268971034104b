/**
 * A certificate that someone else makes, as cert-manager does: `tls.crt` and `tls.key` in a folder, which is looked at again and
 * again. The volume of a Secret changes as one: its files are links through `..data`, a link to a folder that is swapped.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@loretoken/kube";
import { type Log, messageOf } from "@loretoken/service";
import type { CertificateMetrics } from "./certificate-metrics.ts";
import type { CertificateSource, CertificateUser, ServerCertificate } from "./source.ts";

export interface MountedCertificatesOptions {
  readonly folder: string;
  /** Milliseconds between two looks. */
  readonly every: number;
  readonly clock: Clock;
  readonly use: CertificateUser;
  readonly metrics: CertificateMetrics;
  readonly log: Log;
}

export class MountedCertificates implements CertificateSource {
  readonly #options: MountedCertificatesOptions;
  #current: ServerCertificate | undefined;
  #trouble = "";

  constructor(options: MountedCertificatesOptions) {
    this.#options = options;
  }

  get current(): ServerCertificate | undefined {
    return this.#current;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, every } = this.#options;
    while (!signal.aborted) {
      await this.step();
      await clock.sleep(every, signal);
    }
  }

  /** One look. A certificate that cannot be used, or is half written, leaves the one that is served. */
  async step(): Promise<void> {
    const { folder, use, log, metrics } = this.#options;
    try {
      const found = await read(folder);
      this.#trouble = "";
      if (found.certificate === this.#current?.certificate && found.key === this.#current.key) return;
      use(found);
      this.#current = found;
      metrics.served(found.notAfter);
      log.info({ folder, notAfter: new Date(found.notAfter).toISOString() }, "certificate served");
    } catch (error) {
      metrics.failed("folder");
      const trouble = messageOf(error);
      if (trouble !== this.#trouble) log.error({ folder, error: trouble }, "mounted certificate not usable");
      this.#trouble = trouble;
    }
  }
}

/** @throws {Error} if it is not there, or certificate and key are not of one pair */
async function read(folder: string): Promise<ServerCertificate> {
  const within = await realpath(join(folder, "..data")).catch(() => folder);
  const certificate = await readFile(join(within, "tls.crt"), "utf8");
  const key = await readFile(join(within, "tls.key"), "utf8");
  const leaf = new X509Certificate(certificate);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error("tls.key is not the key of tls.crt");
  return { certificate, key, notAfter: leaf.validToDate.getTime() };
}
