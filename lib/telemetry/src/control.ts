/** `@loretoken/telemetry/control`: apart from the readers, so that a program that only reads does without zod. */
export {
  type ControlBlock,
  ControlError,
  type ControlInput,
  controlBlock,
  type DeviceControl,
} from "./control-block.ts";
export { ControlFile, readControl } from "./control-file.ts";
