/** Reads a request's body within a size and a time. */
import type { Http2ServerRequest } from "node:http2";

/** The request cannot be read; `status` says why in HTTP's words. */
export class BodyError extends Error {
  override name = "BodyError";
  readonly status: 400 | 408 | 413;

  constructor(status: BodyError["status"], message: string) {
    super(message);
    this.status = status;
  }
}

export interface BodyLimits {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds from the headers to the last byte. */
  readonly time: number;
}

/** @throws {BodyError} */
export function readBody(request: Http2ServerRequest, { size, time }: BodyLimits): Promise<Buffer> {
  const tooLarge = new BodyError(413, `the body is longer than ${size} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > size) return Promise.reject(tooLarge);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (): void => {
      clearTimeout(timer);
      request.removeListener("data", take);
    };
    const fail = (error: BodyError): void => {
      end();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > size) fail(tooLarge);
      else chunks.push(chunk);
    };
    const timer = setTimeout(() => fail(new BodyError(408, `the body did not come within ${time} ms`)), time);
    request.on("data", take);
    request.on("end", () => {
      end();
      resolve(Buffer.concat(chunks, length));
    });
    const broken = (): void => fail(new BodyError(400, "the request broke off"));
    request.on("aborted", broken);
    request.on("error", broken);
  });
}
