// Translates any number of CQL texts in one process.
//
// Reads lines {"id": …, "cql": "…"} on standard input and writes, in order, a line {"id": …, "elm": {…}} or
// {"id": …, "errors": [{severity, message, library, line, column}]} for each. Included libraries are looked for among
// the texts before, by their ids, and then in cql/.

import { createInterface } from "node:readline";
import { createTranslator, stringify } from "./translator.mjs";
import { readLibrary } from "./translate.mjs";

// The translator's logger announces itself on standard output, which is the answers' here.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

const before = new Map();
const translate = createTranslator({ library: (id) => before.get(id) ?? readLibrary(id) });

function answer({ id, cql }) {
  try {
    const { elm, problems } = translate(cql);
    before.set(id, cql);
    if (elm) return { id, elm };
    return { id, errors: problems.filter((each) => each.severity === "error") };
  } catch (error) {
    // The translator throws on some malformed texts instead of reporting them.
    const message = String(error?.message ?? error);
    return { id, errors: [{ severity: "error", message, library: null, line: null, column: null }] };
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line.trim()) write(`${stringify(answer(JSON.parse(line)))}\n`);
}
