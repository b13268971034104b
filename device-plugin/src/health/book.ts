/**
 * Which GPUs are ill. A fault makes a GPU ill at once; it is well again after a while of clean probes, a longer one each time it falls
 * ill again soon. Not every fault shows in a probe, so the while is what protects from a GPU that only looks well.
 */
import type { Health } from "../units/ledger.ts";

export interface HealthSettings {
  readonly ignoredXids: readonly number[];
  /** Milliseconds without a fault until a GPU is well again. */
  readonly recover: number;
}

/** Falling ill again within this many times the last pause is a relapse. */
const relapseFactor = 10;
const longestPause = 3_600_000;

/** What must outlive the agent of one GPU. Times are milliseconds since 1970. */
export interface MedicalRecord {
  ill: boolean;
  cause: string;
  /** The XID it fell ill of; 0 for another cause. */
  xid: number;
  lastFault: number;
  /** Milliseconds without a fault until it is well. */
  pause: number;
  /** Undefined: it was never ill. */
  wellSince?: number | undefined;
  /** Memory errors when it was last asked. */
  uncorrected?: number | undefined;
}

interface Patient extends MedicalRecord {
  cleanProbes: number;
}

/** A GPU that goes on failing is put on record again after so long. */
const faultsNoted = 10_000;

export class HealthBook {
  readonly #settings: HealthSettings;
  readonly #patients = new Map<string, Patient>();
  #revision = 0;
  #faultNoted = Number.NEGATIVE_INFINITY;

  constructor(settings: HealthSettings) {
    this.#settings = settings;
  }

  /** Another number when there is something new to keep. */
  get revision(): number {
    return this.#revision;
  }

  /** By GPU. */
  records(): Record<string, MedicalRecord> {
    const entries = [...this.#patients].map(([uuid, { cleanProbes: _, ...record }]) => [uuid, record] as const);
    return Object.fromEntries(entries);
  }

  /** Takes up what was kept: who was ill is ill until it has answered cleanly, however long there was no agent. */
  restore(records: Readonly<Record<string, MedicalRecord>>, now: number): void {
    for (const [uuid, record] of Object.entries(records)) {
      this.#patients.set(uuid, { ...record, lastFault: Math.min(record.lastFault, now), cleanProbes: 0 });
    }
  }

  /** @returns whether it says something about the GPU's health. Times are milliseconds. */
  xid(uuid: string, xid: number, now: number): boolean {
    if (this.#settings.ignoredXids.includes(xid)) return false;
    this.#fault(uuid, `XID ${xid}`, xid, now);
    return true;
  }

  /** Any other fault: it does not answer, its memory has an error. */
  fault(uuid: string, cause: string, now: number): void {
    this.#fault(uuid, cause, 0, now);
  }

  /** The GPU answered. @param uncorrected its count of memory errors, which makes it ill when it rises. */
  answered(uuid: string, uncorrected: number | undefined, now: number): void {
    const patient = this.#patient(uuid);
    const before = patient.uncorrected;
    patient.uncorrected = uncorrected;
    if (before !== uncorrected) this.#revision += 1;
    if (before !== undefined && uncorrected !== undefined && uncorrected > before) {
      this.#fault(uuid, `memory errors that could not be corrected: ${uncorrected}, ${before} before`, 0, now);
      return;
    }
    if (!patient.ill) return;
    patient.cleanProbes += 1;
    if (patient.cleanProbes < 2 || now - patient.lastFault < patient.pause) return;
    patient.ill = false;
    patient.wellSince = now;
    this.#revision += 1;
  }

  get(uuid: string): Health {
    const patient = this.#patients.get(uuid);
    return patient?.ill ? { state: "unhealthy", cause: patient.cause } : { state: "healthy" };
  }

  /** XID that a GPU is ill of: 0 for another cause, undefined if it is well. */
  xidOf(uuid: string): number | undefined {
    const patient = this.#patients.get(uuid);
    return patient?.ill ? patient.xid : undefined;
  }

  #fault(uuid: string, cause: string, xid: number, now: number): void {
    const patient = this.#patient(uuid);
    if (!patient.ill) {
      const relapse = now - (patient.wellSince ?? Number.NEGATIVE_INFINITY) < patient.pause * relapseFactor;
      patient.pause = relapse ? Math.min(patient.pause * 2, longestPause) : this.#settings.recover;
      patient.ill = true;
      patient.cause = cause;
      patient.xid = xid;
      this.#noted(now);
    } else if (now - this.#faultNoted >= faultsNoted) this.#noted(now);
    patient.lastFault = now;
    patient.cleanProbes = 0;
  }

  #noted(now: number): void {
    this.#faultNoted = now;
    this.#revision += 1;
  }

  #patient(uuid: string): Patient {
    const known = this.#patients.get(uuid);
    if (known !== undefined) return known;
    const patient: Patient = {
      ill: false,
      cause: "",
      xid: 0,
      lastFault: 0,
      cleanProbes: 0,
      pause: this.#settings.recover,
    };
    this.#patients.set(uuid, patient);
    return patient;
  }
}
