/**
 * Fixed layouts as C lays them out on x86-64: natural alignment, little endian, no pointers. A layout is a table of
 * fields; offsets, sizes and the type of a decoded value follow from it. Values are read and written in the same shape.
 */

export interface FieldType<T> {
  readonly size: number;
  readonly align: number;
  /** Decodes at byte `at`; the caller has checked that `size` bytes are there. */
  read(view: DataView, at: number): T;
  /** Encodes at byte `at`, all `size` bytes of it. @throws {RangeError} if the value does not fit the field. */
  write(view: DataView, at: number, value: T): void;
}

export interface Struct<T> extends FieldType<T> {
  readonly name: string;
  readonly offsets: ReadonlyMap<string, number>;
  readonly fields: ReadonlyMap<string, FieldType<unknown>>;
  /** As `read`, for a writer whose struct had `stated` bytes: what lies beyond reads as zero. */
  readStated(view: DataView, at: number, stated: number): T;
}

type Values<F extends Record<string, FieldType<unknown>>> = {
  [K in keyof F]: F[K] extends FieldType<infer T> ? T : never;
};

export const u32: FieldType<number> = {
  size: 4,
  align: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, Number(within(BigInt(value), 0n, 0xffff_ffffn)), true),
};

/** Weight of the upper half of a 64-bit figure. By halves reading makes no BigInt, which is most of what a row would cost. */
const high = 2 ** 32;

/** An unsigned 64-bit count as a number: exact to 2^53, far above any count or byte figure of a card. */
export const u64: FieldType<number> = {
  size: 8,
  align: 8,
  read: (view, at) => view.getUint32(at + 4, true) * high + view.getUint32(at, true),
  write: (view, at, value) => view.setBigUint64(at, within(BigInt(value), 0n, largest64), true),
};

/** An unsigned 64-bit value whose every bit matters (magic numbers, "all ones" marks, times to the nanosecond). */
export const bits64: FieldType<bigint> = {
  size: 8,
  align: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, within(value, 0n, largest64), true),
};

export const i64: FieldType<number> = {
  size: 8,
  align: 8,
  read: (view, at) => view.getInt32(at + 4, true) * high + view.getUint32(at, true),
  write: (view, at, value) => view.setBigInt64(at, within(BigInt(value), -(1n << 63n), (1n << 63n) - 1n), true),
};

const largest64 = 0xffff_ffff_ffff_ffffn;

function within(value: bigint, lowest: bigint, highest: bigint): bigint {
  if (value < lowest || value > highest) throw new RangeError(`${value} is outside ${lowest} to ${highest}`);
  return value;
}

export function bytes(length: number): FieldType<Uint8Array> {
  return {
    size: length,
    align: 1,
    read: (view, at) => new Uint8Array(view.buffer.slice(view.byteOffset + at, view.byteOffset + at + length)),
    write: (view, at, value) => fill(view, at, length, value),
  };
}

/** NUL-terminated text in a field of `length` bytes; all of it if there is no NUL. */
export function text(length: number): FieldType<string> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return {
    size: length,
    align: 1,
    read(view, at) {
      const raw = new Uint8Array(view.buffer, view.byteOffset + at, length);
      const end = raw.indexOf(0);
      return decoder.decode(end < 0 ? raw : raw.subarray(0, end));
    },
    write: (view, at, value) => fill(view, at, length, encoder.encode(value)),
  };
}

function fill(view: DataView, at: number, length: number, value: Uint8Array): void {
  if (value.length > length) throw new RangeError(`${value.length} bytes do not fit a field of ${length}`);
  const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
  target.fill(0);
  target.set(value);
}

/** A value may have fewer elements than the field: the rest is written as zero bytes. */
export function array<T>(of: FieldType<T>, count: number): FieldType<T[]> {
  return {
    size: of.size * count,
    align: of.align,
    read: (view, at) => Array.from({ length: count }, (_, index) => of.read(view, at + index * of.size)),
    write(view, at, value) {
      if (value.length > count) throw new RangeError(`${value.length} elements do not fit a field of ${count}`);
      fill(view, at, of.size * count, new Uint8Array(0));
      for (const [index, element] of value.entries()) of.write(view, at + index * of.size, element);
    },
  };
}

export function struct<F extends Record<string, FieldType<unknown>>>(name: string, table: F): Struct<Values<F>> {
  const offsets = new Map<string, number>();
  const fields = new Map<string, FieldType<unknown>>(Object.entries(table));
  let end = 0;
  let align = 1;
  for (const [field, type] of fields) {
    const offset = Math.ceil(end / type.align) * type.align;
    offsets.set(field, offset);
    end = offset + type.size;
    align = Math.max(align, type.align);
  }
  const size = Math.ceil(end / align) * align;

  const places = [...fields].map(([field, type]) => ({ field, type, offset: offsets.get(field) ?? 0 }));
  function read(view: DataView, at: number): Values<F> {
    const values: Record<string, unknown> = {};
    for (const { field, type, offset } of places) values[field] = type.read(view, at + offset);
    return values as Values<F>;
  }
  function readStated(view: DataView, at: number, stated: number): Values<F> {
    if (stated >= size) return read(view, at);
    const whole = new Uint8Array(size);
    whole.set(new Uint8Array(view.buffer, view.byteOffset + at, stated));
    return read(new DataView(whole.buffer), 0);
  }
  function write(view: DataView, at: number, values: Values<F>): void {
    for (const [field, type] of fields) {
      type.write(view, at + (offsets.get(field) ?? 0), (values as Record<string, unknown>)[field]);
    }
  }
  return { name, size, align, offsets, fields, read, readStated, write };
}
