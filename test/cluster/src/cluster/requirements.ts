/** Whether this machine can hold a node, and if not, why. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

const way = "give KUBECONFIG of a cluster that may be used for tests instead (kind, for one)";

/** @returns the reason why no node can be started here, with the way out; undefined where one can */
export async function whyNoNode(): Promise<string | undefined> {
  if (process.platform !== "linux") return `a node needs Linux, this is ${process.platform}: ${way}`;
  if (process.getuid?.() !== 0) {
    return `a node needs root for mounts, network and cgroups of its own: run as root (sudo -E make e2e), or ${way}`;
  }
  for (const tool of ["ip", "nft", "nsenter", "setpriv"]) {
    if (!(await succeeds("which", [tool]))) return `\`${tool}\` is missing: run scripts/bootstrap.sh cluster`;
  }
  const namespaces = ["--net", "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "--mount-proc"];
  const mounts = "mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run && ip link add cni0 type bridge";
  const error = await failure("unshare", [...namespaces, "--propagation", "private", "sh", "-c", mounts]);
  if (error !== undefined) {
    return `root may not make namespaces, mounts or bridges here (a container without the rights?): ${error}; ${way}`;
  }
  return undefined;
}

async function succeeds(file: string, args: string[]): Promise<boolean> {
  return (await failure(file, args)) === undefined;
}

async function failure(file: string, args: string[]): Promise<string | undefined> {
  try {
    await run(file, args, { timeout: 10_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return (stderr ?? "").trim() || message;
  }
}
