/** Replicas that look after certificates, on a clock of the test's; and clients that trust the caBundle. */
import { X509Certificate } from "node:crypto";
import { TestClock } from "@loretoken/kube/testing";
import { recordingLog } from "@loretoken/service/testing";
import { Registry } from "prom-client";
import type { Lives } from "../certificates/authorities.ts";
import { CertificateMetrics } from "../certificates/certificate-metrics.ts";
import { OwnCertificates } from "../certificates/own-certificates.ts";
import type { ServerCertificate } from "../certificates/source.ts";
import { Shared, Way } from "./shared-stores.ts";

export const hour = 3_600_000;
export const lives: Lives = { authority: 12 * hour, leaf: hour, settle: 60_000 };

export class TestCluster {
  readonly clock = new TestClock();
  readonly secret = new Shared<Readonly<Record<string, string>>>();
  readonly bundle = new Shared<string>("");

  replica(): Replica {
    return new Replica(this);
  }

  get now(): number {
    return this.clock.now();
  }
}

export class Replica {
  readonly secret: Way<Readonly<Record<string, string>>>;
  readonly trust: Way<string>;
  readonly log = recordingLog();
  readonly certificates: OwnCertificates;
  served: ServerCertificate | undefined;

  constructor({ secret, bundle, clock }: TestCluster) {
    this.secret = new Way(secret);
    this.trust = new Way(bundle);
    this.certificates = new OwnCertificates({
      secret: this.secret,
      trust: this.trust,
      names: ["webhook.loretoken.svc", "127.0.0.1"],
      lives,
      every: 5000,
      clock,
      use: (certificate) => {
        this.served = certificate;
      },
      metrics: new CertificateMetrics(new Registry()),
      log: this.log,
    });
  }

  step(): Promise<void> {
    return this.certificates.step();
  }
}

/** Checks as a TLS client does, at a time of the test's: remembers signatures, since the same are asked for again and again. */
export class Client {
  readonly #parsed = new Map<string, X509Certificate>();
  readonly #signed = new Map<string, boolean>();

  /** @returns why the certificate is not accepted; "" if it is */
  objection(served: string, caBundle: string, now: number): string {
    const leaf = this.#parse(served);
    if (!validAt(leaf, now)) return `the leaf is valid from ${leaf.validFrom} to ${leaf.validTo}`;
    const authorities = Buffer.from(caBundle, "base64")
      .toString()
      .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g);
    const issuers = (authorities ?? []).map((one) => this.#parse(one)).filter((one) => this.#isSigned(leaf, one));
    if (issuers.length === 0) return `none of ${authorities?.length ?? 0} authorities signed it`;
    return issuers.some((one) => validAt(one, now)) ? "" : "its authority is not valid";
  }

  #parse(pem: string): X509Certificate {
    const known = this.#parsed.get(pem) ?? new X509Certificate(pem);
    this.#parsed.set(pem, known);
    return known;
  }

  #isSigned(leaf: X509Certificate, issuer: X509Certificate): boolean {
    const pair = `${leaf.fingerprint256} ${issuer.fingerprint256}`;
    const known = this.#signed.get(pair) ?? (leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey));
    this.#signed.set(pair, known);
    return known;
  }
}

function validAt(certificate: X509Certificate, now: number): boolean {
  return certificate.validFromDate.getTime() <= now && now <= certificate.validToDate.getTime();
}
