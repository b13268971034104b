export { type RecordedLine, type RecordingLog, recordingLog } from "@loretoken/service/testing";
