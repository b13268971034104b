/**
 * What the chart renders for each file of cases/ is what expected/ has; what failing/ has is refused, in the words of its first line.
 * UPDATE=1 writes expected/ anew.
 */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { chart, filesIn, helm, readText, render } from "./helm.ts";

const cases = filesIn("cases");
const expected = path.join(import.meta.dirname, "expected");

for (const [name, file] of cases) {
  test(`${name} is rendered as expected, and lint has nothing to say`, async () => {
    const text = await render(file);
    const golden = path.join(expected, `${name}.yaml`);
    if (process.env.UPDATE === "1") writeFileSync(golden, text);
    assert.ok(existsSync(golden), `${golden} is missing: UPDATE=1 writes it`);
    assert.equal(text, readText(golden));
    await helm(["lint", "--strict", chart, `--values=${file}`]);
  });
}

test("nothing is expected of a case that is not there", () => {
  assert.deepEqual([...filesIn("expected").keys()], [...cases.keys()]);
});

for (const [name, file] of filesIn("failing")) {
  test(`${name} is refused, and the message says where and why`, async () => {
    const words = /^# (.*)$/m.exec(readText(file))?.[1] ?? assert.fail(`${file} does not say what is expected`);
    // Lint goes on where a template says `fail`.
    const commands = [["template", "x", chart], ...(words.startsWith("at ") ? [["lint", "--strict", chart]] : [])];
    for (const command of commands) {
      await assert.rejects(
        helm([...command, `--values=${file}`]),
        (error: Error & { stdout: string; stderr: string }) => {
          assert.ok(`${error.stdout}${error.stderr}`.includes(words), `${command[0]}: ${error.stdout}${error.stderr}`);
          return true;
        },
      );
    }
  });
}
