import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { HostProcesses, type HostProcessesOptions } from "./liveness.ts";

/** A /proc that a test fills. */
class Proc {
  readonly folder = mkdtempSync(join(tmpdir(), "proc-"));
  now = 0;

  constructor(context: TestContext) {
    context.after(() => rmSync(this.folder, { recursive: true }));
  }

  add(hostPid: number, own: number, start: number, state = "S"): void {
    const folder = join(this.folder, `${hostPid}`);
    mkdirSync(folder, { recursive: true });
    const fields = Array.from({ length: 18 }, (_, index) => index).join(" ");
    writeFileSync(join(folder, "status"), `Name:\tx\nNSpid:\t${hostPid}\t${own}\nThreads:\t1\n`);
    writeFileSync(join(folder, "stat"), `${hostPid} (a) b) c) ${state} ${fields} ${start} 0`);
  }

  processes(more: HostProcessesOptions = {}): HostProcesses {
    return new HostProcesses({ proc: this.folder, now: () => this.now, rescanAfter: 1000, ...more });
  }
}

/** Asked, looked for, asked again. */
async function lives(processes: HostProcesses, pid: number, start: number): Promise<boolean> {
  assert.equal(processes.alive(pid, start), true, "taken for alive until it was looked for");
  await processes.settled();
  return processes.alive(pid, start);
}

test("processes are found by the pid of their own namespace and their start time", async (context) => {
  const proc = new Proc(context);
  const processes = proc.processes();
  for (let other = 1; other <= 200; ++other) proc.add(other, other, 7);
  proc.add(500, 1, 77);
  assert.equal(await lives(processes, 1, 77), true);
  assert.equal(await lives(processes, 2, 88), true, "not looked for again so soon");
  proc.now = 2000;
  assert.equal(await lives(processes, 2, 88), false);
  proc.add(500, 1, 99);
  assert.equal(processes.alive(1, 77), false, "another process has its pid");
  proc.add(600, 3, 55, "Z");
  proc.now = 4000;
  assert.equal(await lives(processes, 3, 55), false);
});

test("where none of those asked for was ever seen, none is called dead; one that was seen shows that all are", async (context) => {
  const proc = new Proc(context);
  proc.add(10, 10, 1);
  const processes = proc.processes();
  assert.equal(await lives(processes, 2, 88), true);
  proc.now = 2000;
  assert.equal(await lives(processes, 2, 88), true);
  proc.add(500, 1, 77);
  proc.now = 4000;
  assert.equal(await lives(processes, 1, 77), true);
  assert.equal(processes.alive(2, 88), false);
  assert.equal(await lives(proc.processes({ seesAll: true }), 2, 88), false, "in the first namespace it is known");
});

test("this process is alive by the real /proc", async () => {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const start = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const processes = new HostProcesses({ rescanAfter: 0 });
  assert.equal(await lives(processes, process.pid, start), true);
  assert.equal(await lives(processes, process.pid, start - 1), false);
});
