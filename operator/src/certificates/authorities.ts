/**
 * The authorities that are trusted, newest first, as a Secret keeps them; when a new one is due, and which one signs. All pure.
 *
 * A new authority joins at two thirds of the newest one's life. It signs once it was seen in the caBundle for a while, so that every
 * API server has it. One leaves when it is expired, and with it the last leaf that it can have signed: a replica that never
 * heard of the new one is trusted as long as its leaf is valid.
 */
import { Authority, type Leaf } from "./authority.ts";

export interface Lives {
  /** Milliseconds. */
  readonly authority: number;
  readonly leaf: number;
  /** How long an authority is in the caBundle before it signs. */
  readonly settle: number;
}

export type SecretData = Readonly<Record<string, string>>;

const certificates = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g;
const keys = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n?/g;

/** @param data of a Secret, base64 @throws {Error} that says what is wrong with it */
export function parseAuthorities(data: SecretData): Authority[] {
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const [found, itsKeys] = [text("ca.crt").match(certificates) ?? [], text("ca.key").match(keys) ?? []];
  if (found.length === 0) throw new Error("ca.crt has no certificate");
  if (found.length !== itsKeys.length) throw new Error(`ca.crt has ${found.length}, ca.key ${itsKeys.length}`);
  return newestFirst(found.map((certificate, at) => Authority.parse(certificate, itsKeys[at] ?? "")));
}

export function toSecretData(authorities: readonly Authority[]): SecretData {
  const base64 = (parts: string[]): string => Buffer.from(parts.join("")).toString("base64");
  return {
    "ca.crt": base64(authorities.map(({ certificate }) => certificate)),
    "ca.key": base64(authorities.map(({ key }) => key)),
  };
}

/** As a webhook configuration has it. */
export function toCaBundle(authorities: readonly Authority[]): string {
  return toSecretData(authorities)["ca.crt"] ?? "";
}

/** Fingerprints of what a caBundle trusts; what cannot be read trusts nothing. */
export function trustedBy(caBundle: string, known: readonly Authority[]): Set<string> {
  const text = Buffer.from(caBundle, "base64").toString("utf8");
  const whole = new Set((text.match(certificates) ?? []).map((one) => one.trim()));
  return new Set(known.filter(({ certificate }) => whole.has(certificate.trim())).map((one) => one.fingerprint));
}

/** Those that are not expired; with a new one in front if one is due. */
export async function rotated(authorities: readonly Authority[], now: number, lives: Lives): Promise<Authority[]> {
  const valid = authorities.filter(({ notAfter }) => notAfter > now);
  const [newest] = valid;
  if (newest !== undefined && now < twoThirds(newest)) return valid;
  return [await Authority.create({ now, life: lives.authority }), ...valid];
}

/** A leaf is renewed, and an authority followed, from then on. */
export function twoThirds({ issuedAt, notAfter }: { issuedAt: number; notAfter: number }): number {
  return issuedAt + ((notAfter - issuedAt) * 2) / 3;
}

export interface Trust {
  readonly now: number;
  /** Since when each was seen in the caBundle without a break, by fingerprint. */
  readonly since: ReadonlyMap<string, number>;
  readonly settle: number;
  /** What is served now. */
  readonly leaf: Leaf | undefined;
}

/**
 * Who signs: the newest that is trusted for long enough; else who signed the leaf that is served, as long as it is trusted or
 * nothing is; else the one that may have been trusted for longest.
 * @returns undefined if none is valid
 */
export function signerOf(
  authorities: readonly Authority[],
  { now, since, settle, leaf }: Trust,
): Authority | undefined {
  const valid = authorities.filter(({ notAfter }) => notAfter > now);
  const trusted = valid.filter(({ fingerprint }) => since.has(fingerprint));
  const settled = trusted.find(({ fingerprint }) => (since.get(fingerprint) ?? now) <= now - settle);
  if (settled !== undefined) return settled;
  const own = valid.find(({ fingerprint }) => fingerprint === leaf?.authority);
  if (own !== undefined && (trusted.length === 0 || trusted.includes(own))) return own;
  return trusted.at(-1) ?? valid.at(-1);
}

function newestFirst(authorities: Authority[]): Authority[] {
  return authorities.sort((a, b) => b.issuedAt - a.issuedAt || (a.fingerprint < b.fingerprint ? -1 : 1));
}
