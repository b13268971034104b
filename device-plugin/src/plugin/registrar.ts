/**
 * Serves the plugin and keeps it registered: serve first, then register, and again whenever the kubelet was started anew, which shows
 * by another `kubelet.sock` and by our own socket being cleared away.
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";
import { type DevicePlugin, devicePluginServer, register, type SocketServer } from "@loretoken/kubelet";
import { type Log, messageOf } from "../log.ts";

export interface RegistrarOptions {
  /** The kubelet's folder of plugin sockets. */
  readonly folder: string;
  /** Name of our socket in it. */
  readonly endpoint: string;
  readonly resource: string;
  readonly plugin: DevicePlugin;
  readonly log: Log;
  /** The kubelet took the registration; `anew`: another kubelet process than before. */
  readonly registered: (anew: boolean) => void;
  /** Milliseconds between two looks at the sockets, where the file system does not tell of changes. */
  readonly poll?: number;
}

const defaultPoll = 1000;
/** After so many failures in a row the pause is no longer doubled: 32 looks. */
const mostDoublings = 5;

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #socket: string;
  readonly #kubelet: string;
  #server: SocketServer | undefined;
  #ownIdentity: string | undefined;
  /** The kubelet's socket that we are registered at. */
  #registeredAt: string | undefined;
  #kubeletBefore: string | undefined;
  #failures = 0;
  #skip = 0;
  #timer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#socket = join(options.folder, options.endpoint);
    this.#kubelet = join(options.folder, "kubelet.sock");
  }

  /** Whether the kubelet that is there now knows the plugin, and its socket is there. */
  get isRegistered(): boolean {
    return this.#registeredAt !== undefined;
  }

  /** Does nothing after `stop`. */
  start(): void {
    if (this.#stopped) return;
    this.#timer = setInterval(() => this.#wake(false), this.#options.poll ?? defaultPoll);
    this.#wake(true);
  }

  /** Ends what the kubelet watches, which tells it that the plugin is gone, and removes the socket. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
    await this.#running;
    this.#server?.close();
    this.#server = undefined;
    this.#registeredAt = undefined;
  }

  /** @param changed something happened in the folder: pauses after failures are over. */
  #wake(changed: boolean): void {
    if (this.#stopped) return;
    this.#watchFolder();
    if (changed) this.#skip = 0;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (this.#running !== undefined) {
      this.#again ||= changed;
      return;
    }
    this.#running = this.#look().finally(() => {
      this.#running = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.#wake(true);
    });
  }

  /** Tells sooner than the poll; where it is not to be had, the poll must do. */
  #watchFolder(): void {
    if (this.#watcher !== undefined) return;
    const over = (): void => {
      this.#watcher?.close();
      this.#watcher = undefined;
    };
    try {
      this.#watcher = watch(this.#options.folder, { persistent: false }, (_kind, name) => {
        if (name === "kubelet.sock" || name === this.#options.endpoint) this.#wake(true);
      });
      this.#watcher.on("error", over);
      this.#watcher.on("close", over);
    } catch {
      this.#watcher = undefined;
    }
  }

  async #look(): Promise<void> {
    const kubelet = identity(this.#kubelet);
    if (this.#server !== undefined && identity(this.#socket) !== this.#ownIdentity) this.#dropServer();
    if (this.#registeredAt !== kubelet) this.#registeredAt = undefined;
    if (kubelet === undefined || (this.#registeredAt === kubelet && this.#server !== undefined)) return;
    try {
      await this.#serve();
      await this.#register(kubelet);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#skip = 2 ** Math.min(this.#failures - 1, mostDoublings) - 1;
      this.#options.log.warn({ error: messageOf(error), failures: this.#failures }, "registration failed");
    }
  }

  async #serve(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = devicePluginServer(this.#socket, this.#options.plugin);
    await server.listen();
    this.#server = server;
    this.#ownIdentity = identity(this.#socket);
  }

  async #register(kubelet: string): Promise<void> {
    const { endpoint, resource, plugin, registered, log } = this.#options;
    await register({ kubelet: this.#kubelet, endpoint, resource, options: plugin.options });
    const anew = this.#kubeletBefore !== undefined && this.#kubeletBefore !== kubelet;
    this.#kubeletBefore = kubelet;
    this.#registeredAt = kubelet;
    log.info({ resource, anew }, "registered with the kubelet");
    registered(anew);
  }

  /** Its name is gone or another's: what listens at it is reached by nobody any more. */
  #dropServer(): void {
    this.#options.log.info({}, "plugin socket was removed");
    this.#server?.close({ leave: true });
    this.#server = undefined;
    this.#registeredAt = undefined;
  }
}

/** Another for another file of the same name. Undefined: there is none. */
function identity(path: string): string | undefined {
  try {
    const { dev, ino, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${ctimeNs}`;
  } catch {
    return undefined;
  }
}
