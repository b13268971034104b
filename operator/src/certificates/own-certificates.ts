/** Certificates by an authority of our own: kept in a Secret that replicas share, leaves in memory of each. */
import type { Clock } from "@loretoken/kube";
import { type Log, messageOf } from "@loretoken/service";
import {
  type Lives,
  parseAuthorities,
  rotated,
  type SecretData,
  signerOf,
  toCaBundle,
  toSecretData,
  trustedBy,
  twoThirds,
} from "./authorities.ts";
import type { Authority, Leaf } from "./authority.ts";
import type { CertificateMetrics } from "./certificate-metrics.ts";
import type { CertificateSource, CertificateUser } from "./source.ts";
import { ConflictError, type SecretStore, type TrustStore, type Versioned } from "./stores.ts";

export interface OwnCertificatesOptions {
  readonly secret: SecretStore;
  readonly trust: TrustStore;
  /** DNS names and IP addresses that the server is reached by. */
  readonly names: readonly string[];
  readonly lives: Lives;
  /** Milliseconds between two looks. */
  readonly every: number;
  readonly clock: Clock;
  readonly use: CertificateUser;
  readonly metrics: CertificateMetrics;
  readonly log: Log;
}

/** Times that a write is tried again at once when another replica was faster. */
const tries = 3;

export class OwnCertificates implements CertificateSource {
  readonly #options: OwnCertificatesOptions;
  #authorities: readonly Authority[] = [];
  #leaf: Leaf | undefined;
  /** Since when each authority was seen in the caBundle at every look. */
  #trustedSince: ReadonlyMap<string, number> = new Map();
  /** Told once, not at every look. */
  #trouble = "";

  constructor(options: OwnCertificatesOptions) {
    this.#options = options;
  }

  get current(): Leaf | undefined {
    return this.#leaf;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, every } = this.#options;
    while (!signal.aborted) {
      await this.step();
      await clock.sleep(every, signal);
    }
  }

  /** One look: Secret, caBundle, leaf. What fails is logged; a leaf is renewed by what is known also when nothing can be read. */
  async step(): Promise<void> {
    const { log, metrics } = this.#options;
    try {
      await this.#share();
      this.#trouble = "";
    } catch (error) {
      metrics.failed("share");
      const trouble = messageOf(error);
      if (trouble !== this.#trouble) log.warn({ error: trouble }, "certificates not shared");
      this.#trouble = trouble;
    }
    try {
      await this.#renew();
    } catch (error) {
      metrics.failed("issue");
      log.error({ error: messageOf(error) }, "certificate not issued");
    }
  }

  /** Another replica may be faster at any point: then all is read again. */
  async #share(): Promise<void> {
    for (let attempt = 1; ; ++attempt) {
      try {
        // Before the Secret: an authority in the caBundle was in the Secret before, and the version tells of changes since.
        const bundle = await this.#options.trust.read();
        this.#take(await this.#readOrMake());
        await this.#publish(bundle);
        return;
      } catch (error) {
        if (!(error instanceof ConflictError) || attempt === tries) throw error;
      }
    }
  }

  /** @throws {ConflictError} if another replica wrote first */
  async #readOrMake(): Promise<readonly Authority[]> {
    const { secret, clock, lives, log } = this.#options;
    const kept = await secret.read();
    const there = kept === undefined ? [] : this.#understood(kept);
    // What was deleted or spoilt is put back as it was: leaves that others serve depend on it.
    const known = there.length > 0 ? there : this.#authorities;
    const wanted = await rotated(known, clock.now(), lives);
    const unchanged = wanted.length === there.length && wanted.every((one, at) => one === there[at]);
    if (unchanged) return wanted;
    await secret.write(toSecretData(wanted), kept?.version);
    const made = wanted.length > known.length || wanted[0] !== known[0];
    log.info(
      { authorities: wanted.length, made, put_back: there.length === 0 && known.length > 0 },
      "authorities kept",
    );
    return wanted;
  }

  #understood(kept: Versioned<SecretData>): readonly Authority[] {
    // Unchanged since the last look: nothing to read anew.
    const { "ca.crt": certificates, "ca.key": keys } = toSecretData(this.#authorities);
    if (kept.value["ca.crt"] === certificates && kept.value["ca.key"] === keys) return this.#authorities;
    try {
      return parseAuthorities(kept.value);
    } catch (error) {
      this.#options.log.error({ error: messageOf(error) }, "secret not understood");
      return [];
    }
  }

  #take(authorities: readonly Authority[]): void {
    this.#authorities = authorities;
    this.#options.metrics.authorities(authorities.length);
  }

  /** @throws {ConflictError} if the configuration was changed meanwhile */
  async #publish(bundle: Versioned<string> | undefined): Promise<void> {
    const { trust, clock, log, metrics } = this.#options;
    if (bundle === undefined) {
      this.#trustedSince = new Map();
      throw new Error("there is no webhook configuration");
    }
    this.#observe(bundle.value);
    const wanted = toCaBundle(this.#authorities);
    if (bundle.value === wanted) return;
    await trust.write(wanted, bundle.version);
    this.#observe(wanted);
    metrics.bundleWritten();
    log.info({ authorities: this.#authorities.length, at: clock.now() }, "trusted authorities written");
  }

  #observe(caBundle: string): void {
    const now = this.#options.clock.now();
    const trusted = trustedBy(caBundle, this.#authorities);
    this.#trustedSince = new Map([...trusted].map((one) => [one, this.#trustedSince.get(one) ?? now]));
  }

  async #renew(): Promise<void> {
    const { clock, lives, names, use, metrics, log } = this.#options;
    const now = clock.now();
    const leaf = this.#leaf;
    const trust = { now, since: this.#trustedSince, settle: lives.settle, leaf };
    const signer = signerOf(this.#authorities, trust);
    if (signer === undefined) return;
    if (leaf !== undefined && leaf.authority === signer.fingerprint && now < twoThirds(leaf)) return;
    const issued = await signer.issue(names, { now, life: lives.leaf });
    this.#leaf = issued;
    use(issued);
    metrics.served(issued.notAfter);
    log.info({ notAfter: new Date(issued.notAfter).toISOString(), authority: issued.authority }, "certificate served");
  }
}
