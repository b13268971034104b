/** Runs a program whose exit code and signals become our own. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";

export type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals };

/** Sent to us alone, by a person or a supervisor: the program gets them too. */
const forwarded: readonly NodeJS.Signals[] = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT"];

/** At a terminal the kernel sends these to the whole group, the program included: a second one would be too many. */
const fromKeyboard: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** The program did not start; `exitCode` is what a shell would end with. */
export class StartError extends Error {
  override name = "StartError";
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Standard input, output and error are the program's. @throws {StartError} */
export async function launch(program: readonly string[], environment: NodeJS.ProcessEnv): Promise<Ending> {
  const [command = "", ...parameters] = program;
  let child: ChildProcess | undefined;
  const release = passSignals((signal) => child?.kill(signal));
  try {
    return await new Promise<Ending>((resolve, reject) => {
      child = spawn(command, parameters, { stdio: "inherit", env: environment });
      child.on("error", (error: NodeJS.ErrnoException) => reject(startError(command, error)));
      child.on("exit", (code, signal) => resolve(signal ? { signal } : { code: code ?? 1 }));
    });
  } finally {
    release();
  }
}

/** Ends this process as the program ended: the same code, or killed by the same signal. */
export function endAs(ending: Ending): void {
  if ("code" in ending) {
    process.exitCode = ending.code;
    return;
  }
  // Node ignores SIGPIPE and its like for good; for those the shell's 128 + n has to do.
  const fallback = 128 + (constants.signals[ending.signal] ?? 0);
  setTimeout(() => process.exit(fallback), 500);
  process.kill(process.pid, ending.signal);
}

/** @returns what undoes it. */
function passSignals(send: (signal: NodeJS.Signals) => void): () => void {
  const atTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  const handlers = new Map<NodeJS.Signals, () => void>();
  for (const signal of forwarded) handlers.set(signal, () => send(signal));
  for (const signal of fromKeyboard) handlers.set(signal, () => (atTerminal ? undefined : send(signal)));
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

function startError(command: string, error: NodeJS.ErrnoException): StartError {
  if (error.code === "ENOENT") return new StartError(`${command}: no such program`, 127);
  if (error.code === "EACCES") return new StartError(`${command}: not allowed to run it`, 126);
  return new StartError(`${command}: could not be started: ${error.message}`, 126);
}
