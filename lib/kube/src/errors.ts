/** What can go wrong between us and the API server, sorted by what there is to do about it. */

/** The `Status` object that the API server answers errors with, as far as it is used here. */
export interface Status {
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string; field?: string }[]; retryAfterSeconds?: number };
}

/** The API server answered, with an error. */
export class ApiError extends Error {
  override name = "ApiError";
  /** HTTP status code. */
  readonly code: number;
  /** Kubernetes' word for it: NotFound, AlreadyExists, Conflict, Expired, … */
  readonly reason: string;
  readonly status: Status;
  /** What the server asks to wait before the next try, milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(request: string, code: number, status: Status, retryAfter?: number) {
    super(`${request}: ${code} ${status.reason ?? ""}: ${status.message ?? "no message"}`);
    this.code = code;
    this.reason = status.reason ?? "";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No answer, or half of one: refused, reset, timed out, no such host. Whether the request was carried out is not known. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

/**
 * Whether the same request may succeed later without anybody changing it: no answer, too many requests, trouble in the
 * server, or credentials that are just being rotated.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof ApiError && (error.code === 401 || error.code === 429 || error.code >= 500);
}

export function hasCode(error: unknown, code: number): error is ApiError {
  return error instanceof ApiError && error.code === code;
}
