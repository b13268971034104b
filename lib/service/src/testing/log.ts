/** A log that is looked at. */
import type { Log } from "../log.ts";

export interface RecordedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export interface RecordingLog extends Log {
  readonly lines: RecordedLine[];
  /** Of all lines, but those at the level debug. */
  readonly messages: string[];
}

export function recordingLog(): RecordingLog {
  const lines: RecordedLine[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, message, fields });
  };
  return {
    lines,
    get messages() {
      return lines.filter(({ level }) => level !== "debug").map(({ message }) => message);
    },
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  } as unknown as RecordingLog;
}
