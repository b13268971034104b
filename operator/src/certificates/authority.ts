/** A certificate authority of our own: made, read back, and what it signs. ECDSA P-256 throughout. */
import "reflect-metadata"; // @peculiar/x509 wants it first
import { createPrivateKey, KeyObject, type webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type GeneralNameType,
  X509Certificate as IssuedCertificate,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { ServerCertificate } from "./source.ts";

/** Certificates begin so much before they are made, for clocks that are behind; milliseconds. */
const backdate = 300_000;
const curve = { name: "ECDSA", namedCurve: "P-256" } as const;
const signature = { name: "ECDSA", hash: "SHA-256" } as const;

interface Times {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Milliseconds from now. */
  readonly life: number;
}

/** A leaf, and who signed it. */
export interface Leaf extends ServerCertificate {
  /** The authority's fingerprint. */
  readonly authority: string;
  readonly issuedAt: number;
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  readonly notAfter: number;

  private constructor(certificate: X509Certificate, key: string) {
    this.certificate = certificate.toString();
    this.key = key;
    this.fingerprint = certificate.fingerprint256;
    this.issuedAt = certificate.validFromDate.getTime() + backdate;
    this.notAfter = certificate.validToDate.getTime();
  }

  static async create({ now, life }: Times): Promise<Authority> {
    const keys = await newKeys();
    const serialNumber = newSerialNumber();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber,
      name: `CN=LoreToken webhook CA ${serialNumber.slice(0, 8)}`,
      keys,
      signingAlgorithm: signature,
      notBefore: new Date(now - backdate),
      notAfter: new Date(now + life),
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(new X509Certificate(certificate.toString("pem")), pemOf(keys.privateKey));
  }

  /** @throws {Error} if these are no authority, or the key is another's */
  static parse(certificate: string, key: string): Authority {
    const parsed = new X509Certificate(certificate);
    if (!parsed.ca) throw new Error(`the certificate of ${parsed.subject} is no authority's`);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw new Error(`the key is not that of ${parsed.subject}`);
    return new Authority(parsed, key.trim().concat("\n"));
  }

  /** A leaf for a server. @param names DNS names and IP addresses. Its life ends with the authority's at the latest. */
  async issue(names: readonly string[], { now, life }: Times): Promise<Leaf> {
    const keys = await newKeys();
    const issuer = new IssuedCertificate(this.certificate);
    const notAfter = Math.floor(Math.min(now + life, this.notAfter) / 1000) * 1000; // X.509 has seconds
    const extensions: Extension[] = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: kindOf(value), value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer),
    ];
    const leaf = await X509CertificateGenerator.create({
      serialNumber: newSerialNumber(),
      subject: "CN=LoreToken webhook",
      issuer: issuer.subject,
      publicKey: keys.publicKey,
      signingKey: await signingKey(this.key),
      signingAlgorithm: signature,
      notBefore: new Date(now - backdate),
      notAfter: new Date(notAfter),
      extensions,
    });
    const certificate = `${leaf.toString("pem")}\n`;
    return { certificate, key: pemOf(keys.privateKey), notAfter, authority: this.fingerprint, issuedAt: now };
  }
}

function kindOf(name: string): GeneralNameType {
  return isIP(name) === 0 ? "dns" : "ip";
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(curve, true, ["sign", "verify"]);
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: "pkcs8", format: "pem" }).toString();
}

function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const encoded = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", encoded, curve, false, ["sign"]);
}

/** 127 bits at random, in hex; positive, as it has to be. */
function newSerialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
