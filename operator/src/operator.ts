/** The operator: its parts, wired, and their life. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, Clock } from "@loretoken/kube";
import { type Log, type Page, PageServer } from "@loretoken/service";
import { collectDefaultMetrics, Registry } from "prom-client";
import { decideOnPod } from "./admission/pods.ts";
import { podsPath } from "./admission/webhook-configuration.ts";
import type { CertificateMetrics } from "./certificates/certificate-metrics.ts";
import { KubeSecretStore, KubeTrustStore } from "./certificates/kube-stores.ts";
import { MountedCertificates } from "./certificates/mounted-certificates.ts";
import { OwnCertificates } from "./certificates/own-certificates.ts";
import type { CertificateSource, ServerCertificate } from "./certificates/source.ts";
import type { Config } from "./config/schema.ts";
import { createMetrics } from "./metrics.ts";
import { WebhookServer } from "./server/webhook-server.ts";

/** What the operator takes from the world. */
export interface World {
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly client: Client;
  readonly namespace: string;
}

export class Operator {
  readonly #config: Config;
  readonly #world: World;
  readonly #registry = new Registry();
  readonly #server: WebhookServer;
  readonly #certificates: CertificateSource;
  readonly #pages: PageServer;
  readonly #ending = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #serving = false;
  #first: ((certificate: ServerCertificate) => void) | undefined;

  constructor(config: Config, world: World) {
    this.#config = config;
    this.#world = world;
    const { log, version } = world;
    const metrics = createMetrics(this.#registry, version);
    collectDefaultMetrics({ register: this.#registry });
    const options = { resource: config.resource, replaceGpu: config.replaceGpu === "always" };
    this.#server = new WebhookServer({
      reviews: { [podsPath]: (request) => decideOnPod(request, options) },
      log,
      metrics: metrics.admission,
    });
    this.#certificates = this.#source(metrics.certificates);
    this.#pages = new PageServer(
      {
        "/healthz": () => ({ status: 200, body: "ok\n" }),
        "/readyz": () => this.#readiness(),
        "/metrics": async () => ({
          status: 200,
          body: await this.#registry.metrics(),
          type: this.#registry.contentType,
        }),
      },
      log,
    );
  }

  /**
   * Waits for the first certificate, and serves.
   * @returns the ports; undefined if it was stopped meanwhile. @throws {Error} if an address is taken
   */
  async start(): Promise<{ readonly webhook: number; readonly pages: number } | undefined> {
    const pages = await this.#pages.listen(this.#config.pages);
    const first = new Promise<ServerCertificate>((resolve) => {
      this.#first = resolve;
    });
    this.#looking = this.#certificates.run(this.#ending.signal);
    const certificate = await Promise.race([first, this.#looking]);
    if (certificate === undefined || this.#ending.signal.aborted) return undefined;
    const webhook = await this.#server.listen(this.#config.listen, certificate);
    this.#serving = true;
    // What came while the port was opened.
    if (this.#certificates.current !== undefined) this.#server.use(this.#certificates.current);
    return { webhook, pages };
  }

  /** Not ready from now on; takes requests until the Service sends no more, answers what is under way, and ends. */
  async stop(): Promise<void> {
    this.#ending.abort();
    if (this.#serving) await sleep(this.#config.drainSeconds * 1000);
    await this.#looking;
    await this.#server.close();
    this.#pages.close();
  }

  #source(metrics: CertificateMetrics): CertificateSource {
    const { log, clock, client, namespace } = this.#world;
    const { certificates, certificateFolder, certificateNames, checkSeconds, service, secret, webhookConfiguration } =
      this.#config;
    const use = (certificate: ServerCertificate): void => {
      this.#first?.(certificate);
      this.#server.use(certificate);
    };
    const shared = { every: checkSeconds * 1000, clock, use, metrics, log };
    if (certificates === "mounted") return new MountedCertificates({ ...shared, folder: certificateFolder ?? "" });
    const host = `${service}.${namespace}.svc`;
    return new OwnCertificates({
      ...shared,
      secret: new KubeSecretStore(client, { namespace, name: secret }),
      trust: new KubeTrustStore(client, webhookConfiguration),
      names: [host, `${host}.cluster.local`, `${service}.${namespace}`, ...certificateNames],
      lives: {
        authority: this.#config.authorityLifeSeconds * 1000,
        leaf: this.#config.leafLifeSeconds * 1000,
        settle: this.#config.settleSeconds * 1000,
      },
    });
  }

  #readiness(): Page {
    const { current } = this.#certificates;
    if (this.#ending.signal.aborted) return { status: 503, body: "ending\n" };
    if (!this.#serving || current === undefined) return { status: 503, body: "no certificate yet\n" };
    if (current.notAfter <= this.#world.clock.now()) return { status: 503, body: "the certificate is expired\n" };
    return { status: 200, body: "ok\n" };
  }
}
