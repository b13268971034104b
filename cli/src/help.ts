/** Help texts. */
import { hintGroups } from "@loretoken/api/hints";
import { settings } from "./settings.gen.ts";

export const mainHelp = `loretoken: runs an unmodified CUDA program on a GPU that seems larger than it is

  loretoken run [options] -- program [arguments]   run a program
  loretoken run --help                             its options, and every setting
  loretoken doctor [--gpu sim:SIZE]                check driver, card and shim; says how to mend what fails
  loretoken --version

Example: loretoken run --limit 24GiB --virtual 48GiB --report -- python train.py
`;

const runOptions = `loretoken run [options] -- program [arguments]

Runs the program with the shim preloaded. Its input, output, exit code and signals are its own.

Options
  --limit SIZE      physical memory that the program may hold on each card
  --virtual SIZE    memory that the program is told each card has
  --host SIZE       pinned host memory for what does not fit packed; 0 for none
  --gpu CARD        index (0), UUID (GPU-…), or sim:SIZE[,SIZE…] for simulated cards
  --check           unmap everything a launch cannot reach before it (slow; finds missed pointers)
  --report          print peaks, ratio, moves and waits when the program has ended
  --help            this text

A SIZE is 24GiB (powers of 1024), 24GB (powers of 1000) or a share such as 80%.
`;

export function runHelp(): string {
  const list = settings.map(({ name, type, fallback, meaning }) => {
    const value = fallback === "" ? "not set" : fallback;
    return `  ${name}\n      ${type}; default: ${value}\n${wrap(meaning, 100, "      ")}`;
  });
  const hints = hintGroups.map(
    ({ framework, variables }) =>
      `  ${framework}\n${Object.entries(variables)
        .map(([name, value]) => `      ${name}=${value}`)
        .join("\n")}`,
  );
  return [
    runOptions,
    "\nSettings (environment; options above replace them)\n",
    `${list.join("\n")}\n`,
    "\nFramework hints (set unless one of the same group is set already)\n",
    `${hints.join("\n")}\n`,
  ].join("");
}

function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length > width && line.trim() !== "") {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join("\n");
}
