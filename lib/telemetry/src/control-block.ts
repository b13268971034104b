/** What the agent tells the shims of one container, as plain data, and its bytes in the control file. */
import { z } from "zod";
import {
  ABI_MAJOR,
  ABI_MINOR,
  CONTROL_MAGIC,
  type Control,
  type ControlDevice,
  codecs,
  control,
  controlDevice,
  guards,
  MAX_DEVICES,
  modes,
} from "./abi.ts";
import { isUuid, uuidBytes, uuidText } from "./uuid.ts";

/** By number in the file. */
const verifies = ["always", "sample", "off"] as const;
const integrities = ["log", "fail", "passthrough"] as const;
/** 0 in the file is "not set". */
const pointerSafeties = ["learned", "strict"] as const;

const notSet = 0xffff_ffff_ffff_ffffn;
const bytes = z.bigint().min(0n).max(notSet);
const positiveBytes = bytes.min(1n);
const milli = z.int().min(1).max(1_000_000_000);

/** Heat as absolute degrees, or as the margin to the card's slowdown, which is all that some cards report. */
const temperature = z.union([z.strictObject({ milliCelsius: milli }), z.strictObject({ marginMilliCelsius: milli })]);

const verdict = z.strictObject({
  /** At most this mode, whatever the policy asks for. */
  mode: z.enum(modes),
  guard: z.enum(guards),
  /** What was measured and what it was compared with: milli-degrees, milliwatts, XID number. */
  figure: z.int(),
  limit: z.int(),
});

const device = z.strictObject({
  uuid: z.string().refine(isUuid, "must be a GPU UUID, GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
  /** Physical bytes for the whole container on this device; left out: not limited by the agent. */
  limit: positiveBytes.optional(),
  /** Bytes the program is told; left out: as the shim decides. */
  virtualSize: positiveBytes.optional(),
  verdict: verdict.optional(),
  /** Packing runs at 1 / 2^n of its rate. */
  backoff: z.int().min(0).max(31).default(0),
});

export const controlBlock = z.strictObject({
  /** Generation of the policy that this came from; 0: none. */
  policyGeneration: z.int().min(0).default(0),
  mode: z.enum(modes).default("full"),
  verify: z.enum(verifies).default("always"),
  integrity: z.enum(integrities).default("fail"),
  /** Mismatches within the window from which `integrity` is done; left out: the first. */
  integrityThreshold: z.int().min(1).max(0xffff_ffff).optional(),
  integrityWindowSeconds: z.int().min(1).max(0xffff_ffff).optional(),
  /** Share of the time that launches may wait for us; left out: no limit. */
  maxPenaltyPermille: z.int().min(1).max(1000).optional(),
  penaltyWindowMilliseconds: z.int().min(1).max(0xffff_ffff).optional(),
  /** Codecs that may be used; left out: all lossless ones. */
  codecs: z.array(z.enum(codecs)).min(1).optional(),
  /** Pinned host memory in bytes, 0 for none; left out: not set. */
  hostLimit: bytes.max(notSet - 1n).optional(),
  maxTemperature: temperature.optional(),
  maxPowerMilliwatts: milli.optional(),
  /** Of the enforced power limit. */
  maxPowerPermille: z.int().min(1).max(2000).optional(),
  pointerSafety: z.enum(pointerSafeties).optional(),
  /** CLOCK_MONOTONIC in nanoseconds (process.hrtime.bigint()) of the agent's last sign of life; left out: no agent. */
  heartbeat: z.bigint().min(1n).max(notSet).optional(),
  devices: z.array(device).max(MAX_DEVICES).default([]),
});

/** As it is written down by hand: what has a default may be left out. */
export type ControlInput = z.input<typeof controlBlock>;
export type ControlBlock = z.output<typeof controlBlock>;
export type DeviceControl = z.output<typeof device>;

/** The control file is missing, damaged, or another version's; the message names cause and fix. */
export class ControlError extends Error {
  override name = "ControlError";
}

/** @param sequence what the file says at offset `control.offsets.get("sequence")` */
export function encodeControl(input: ControlInput, sequence: bigint): Uint8Array {
  const block = controlBlock.parse(input);
  const target = new Uint8Array(control.size);
  control.write(new DataView(target.buffer), 0, {
    magic: CONTROL_MAGIC,
    version_major: ABI_MAJOR,
    version_minor: ABI_MINOR,
    size: control.size,
    sequence,
    policy_generation: block.policyGeneration,
    mode: modes.indexOf(block.mode),
    verify: verifies.indexOf(block.verify),
    integrity: integrities.indexOf(block.integrity),
    max_penalty_permille: block.maxPenaltyPermille ?? 0,
    codecs: (block.codecs ?? []).reduce((set, codec) => set | (1n << BigInt(codecs.indexOf(codec))), 0n),
    host_limit: block.hostLimit ?? notSet,
    max_temperature_milli: temperatureField(block.maxTemperature),
    max_power_milliwatts: block.maxPowerMilliwatts ?? 0,
    device_count: block.devices.length,
    device_size: controlDevice.size,
    heartbeat_ns: block.heartbeat ?? 0n,
    integrity_threshold: block.integrityThreshold ?? 0,
    integrity_window_s: block.integrityWindowSeconds ?? 0,
    penalty_window_ms: block.penaltyWindowMilliseconds ?? 0,
    max_power_permille: block.maxPowerPermille ?? 0,
    pointer_safety: block.pointerSafety === undefined ? 0 : pointerSafeties.indexOf(block.pointerSafety) + 1,
    reserved0: 0,
    reserved: [],
    devices: block.devices.map(deviceFields),
  });
  return target;
}

/** @throws {ControlError} if a field has a value that no version of this layout knows. */
export function decodeControl(fields: Control): ControlBlock {
  const raw = {
    policyGeneration: fields.policy_generation,
    mode: named(modes, fields.mode, "mode"),
    verify: named(verifies, fields.verify, "verify"),
    integrity: named(integrities, fields.integrity, "integrity"),
    integrityThreshold: fields.integrity_threshold || undefined,
    integrityWindowSeconds: fields.integrity_window_s || undefined,
    maxPenaltyPermille: fields.max_penalty_permille || undefined,
    penaltyWindowMilliseconds: fields.penalty_window_ms || undefined,
    codecs: fields.codecs === 0n ? undefined : codecs.filter((_, bit) => (fields.codecs >> BigInt(bit)) & 1n),
    hostLimit: fields.host_limit === notSet ? undefined : fields.host_limit,
    maxTemperature: temperatureOf(fields.max_temperature_milli),
    maxPowerMilliwatts: fields.max_power_milliwatts || undefined,
    maxPowerPermille: fields.max_power_permille || undefined,
    pointerSafety:
      fields.pointer_safety === 0 ? undefined : named(pointerSafeties, fields.pointer_safety - 1, "pointer_safety"),
    heartbeat: fields.heartbeat_ns || undefined,
    devices: fields.devices.slice(0, Math.min(fields.device_count, MAX_DEVICES)).map(deviceOf),
  };
  const parsed = controlBlock.safeParse(stated(raw));
  if (!parsed.success) throw new ControlError(z.prettifyError(parsed.error));
  return parsed.data;
}

function deviceFields(device: DeviceControl): ControlDevice {
  return {
    uuid: uuidBytes(device.uuid),
    limit: device.limit ?? 0n,
    virtual_size: device.virtualSize ?? 0n,
    verdict_mode: modes.indexOf(device.verdict?.mode ?? "full"),
    verdict_guard: guards.indexOf(device.verdict?.guard ?? "none"),
    verdict_figure: device.verdict?.figure ?? 0,
    verdict_limit: device.verdict?.limit ?? 0,
    verdict_backoff: device.backoff,
    reserved0: 0,
    reserved: [],
  };
}

function deviceOf(fields: ControlDevice): unknown {
  const guard = named(guards, fields.verdict_guard, "verdict_guard");
  return stated({
    uuid: uuidText(fields.uuid),
    limit: fields.limit || undefined,
    virtualSize: fields.virtual_size || undefined,
    verdict:
      guard === "none"
        ? undefined
        : {
            mode: named(modes, fields.verdict_mode, "verdict_mode"),
            guard,
            figure: fields.verdict_figure,
            limit: fields.verdict_limit,
          },
    backoff: fields.verdict_backoff,
  });
}

function named<T extends string>(names: readonly T[], number: number, field: string): T {
  const name = names[number];
  if (name === undefined) throw new ControlError(`${field} is ${number}, known are 0 to ${names.length - 1}`);
  return name;
}

function stated(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function temperatureField(limit: ControlBlock["maxTemperature"]): number {
  if (limit === undefined) return 0;
  return "milliCelsius" in limit ? limit.milliCelsius : -limit.marginMilliCelsius;
}

function temperatureOf(field: number): ControlBlock["maxTemperature"] {
  if (field === 0) return undefined;
  return field > 0 ? { milliCelsius: field } : { marginMilliCelsius: -field };
}
