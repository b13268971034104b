/** Where the webhook's certificate comes from. */

export interface ServerCertificate {
  /** PEM: the leaf, and what leads to the trusted one. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** Milliseconds since 1970, of the leaf. */
  readonly notAfter: number;
}

export interface CertificateSource {
  /** Undefined until the first is there. */
  readonly current: ServerCertificate | undefined;
  /** Looks after certificates until `signal` aborts; rejects never: what fails is logged and tried again. */
  run(signal: AbortSignal): Promise<void>;
}

/** Called with each certificate that is to be served from now on. */
export type CertificateUser = (certificate: ServerCertificate) => void;
