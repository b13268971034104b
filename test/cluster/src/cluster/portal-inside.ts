/** Runs inside the node: each connection to the socket file starts with a line `host:port`, and goes on as one to there. */
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";

const file = process.argv[2];
if (file === undefined) throw new Error("usage: portal-inside.ts <socket file>");
rmSync(file, { force: true });

createServer((outside) => {
  let head = Buffer.alloc(0);
  outside.on("error", () => {});
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\n");
    if (end < 0) return;
    outside.off("data", onData);
    outside.pause();
    const [host = "", port = ""] = head
      .subarray(0, end)
      .toString()
      .split(/:(?=\d+$)/);
    join(outside, connect(Number(port), host), head.subarray(end + 1));
  };
  outside.on("data", onData);
}).listen(file);

function join(outside: Socket, inside: Socket, rest: Buffer): void {
  inside.on("error", () => outside.destroy());
  outside.on("close", () => inside.destroy());
  inside.on("close", () => outside.destroy());
  if (rest.length > 0) inside.write(rest);
  outside.pipe(inside);
  inside.pipe(outside);
}
