/** What tests ask of etcd itself. */
async function ask<T>(port: number, path: string, body: object): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`etcd: ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** Forgets all but the newest state. @param port of clients */
export async function compact(port: number): Promise<void> {
  const { header } = await ask<{ header: { revision: string } }>(port, "kv/range", { key: "AA==" });
  await ask(port, "kv/compaction", { revision: header.revision, physical: true });
}
