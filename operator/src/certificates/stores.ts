/** Where authorities are kept, and where they are trusted; both shared with other replicas, so that writes name what they replace. */

/** What was to be replaced is not there any more as it was read: read again. */
export class ConflictError extends Error {
  override name = "ConflictError";
}

export interface Versioned<T> {
  readonly value: T;
  readonly version: string;
}

export interface SecretStore {
  /** @returns undefined if there is none @throws {Error} if it cannot be read */
  read(): Promise<Versioned<Readonly<Record<string, string>>> | undefined>;
  /**
   * @param version of what is replaced; undefined: there must be none
   * @throws {ConflictError} if it is another by now, {Error} if it cannot be written
   */
  write(data: Readonly<Record<string, string>>, version: string | undefined): Promise<void>;
}

export interface TrustStore {
  /** The caBundle, base64; "" if there is none in a webhook. @returns undefined if there is no webhook configuration */
  read(): Promise<Versioned<string> | undefined>;
  /** @throws as SecretStore.write */
  write(caBundle: string, version: string): Promise<void>;
}
