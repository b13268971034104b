/** What node.sh found on the machine, by environment variables of these names. */
import path from "node:path";

export interface Settings {
  /** The simulated driver in the place of a card: shows that script and manifests work, and no figure of it counts. */
  readonly simulated: boolean;
  /** Results go here. */
  readonly out: string;
  /** Scratch folder of the node; paths of sockets in it are short. */
  readonly root: string;
  /** Folder of the cluster's programs. */
  readonly bin: string;
  /** C++ build: `lib/libloretoken.so`, `bin/lt_train_example` and what is beside them. */
  readonly build: string;
  /** The agent's bundle, as its image has it. */
  readonly agent: string;
  /** Folder of the driver's libraries. */
  readonly driver: string;
  /** Python with PyTorch, and further folders that it is made of. */
  readonly python: string;
  readonly pythonFolders: readonly string[];
  /** The project's tree. */
  readonly tree: string;
  /** When all must be over, milliseconds since 1970. */
  readonly end: number;
  readonly steps: ReadonlySet<string>;
  readonly commit: string;
}

/** @throws {Error} naming the variable that is missing */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const get = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === "")
      throw new Error(`${name} is not set: start this by bench/hardware/node.sh`);
    return value;
  };
  const folder = (name: string) => path.resolve(get(name));
  return {
    simulated: get("NODE_GPU") === "sim",
    out: folder("NODE_OUT"),
    root: folder("NODE_ROOT"),
    bin: folder("NODE_BIN"),
    build: folder("NODE_BUILD"),
    agent: folder("NODE_AGENT"),
    driver: folder("NODE_DRIVER"),
    python: environment.NODE_PYTHON ?? "",
    pythonFolders: (environment.NODE_PYTHON_FOLDERS ?? "").split(":").filter((name) => name !== ""),
    tree: folder("NODE_TREE"),
    end: Date.now() + Number(get("NODE_SECONDS")) * 1000,
    steps: new Set(get("NODE_STEPS").split(",")),
    commit: environment.COMMIT ?? "unknown",
  };
}

/** Memory of the simulated card. */
export const simulatedCard = "8GiB";

/** What the simulated driver needs to be told, in every process that uses it; nothing with a card. */
export function driverVariables({ simulated }: Settings): Record<string, string> {
  return simulated ? { LORETOKEN_SIM_DEVICES: simulatedCard, LORETOKEN_SIM_POISON: "0" } : {};
}
