/** The pod is not admitted; the message is for its author: what was written, what is allowed. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** A message of one form for every annotation. */
export function wrongValue(annotation: string, value: string, allowed: string): Refusal {
  const shown = JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  return new Refusal(`annotation ${annotation}: ${shown} is not allowed; allowed: ${allowed}`);
}
