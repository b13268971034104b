export { type RecordedLine, type RecordingLog, recordingLog } from "./log.ts";
