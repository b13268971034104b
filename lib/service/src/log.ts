/** JSON lines with constant messages: what varies is in the fields. */
import pino, { type Logger } from "pino";

export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ sync: true }));
}

/** An error's message, for a field. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
