/** An error of use: printed without a stack, as cause and fix. */
export class UsageError extends Error {
  override name = "UsageError";
  readonly fix: string | undefined;
  readonly exitCode: number;

  constructor(message: string, options: { fix?: string; exitCode?: number } = {}) {
    super(message);
    this.fix = options.fix;
    this.exitCode = options.exitCode ?? 2;
  }
}
