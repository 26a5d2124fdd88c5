// Translates every *.cql here to <Library>.json; with --check, compares instead and exits 1 on a difference.

import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { layOut } from "../../../cql/translate/translate.mjs";
import { createTranslator } from "../../../cql/translate/translator.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SHARED = fileURLToPath(new URL("../../../cql", import.meta.url));

function library(id) {
  const file = [HERE, SHARED].map((folder) => join(folder, `${id}.cql`)).find(existsSync);
  return file ? readFileSync(file, "utf8") : null;
}

const translate = createTranslator({ library });
let failed = false;
for (const file of readdirSync(HERE).filter((name) => name.endsWith(".cql")).sort()) {
  const { elm, problems } = translate(readFileSync(join(HERE, file), "utf8"));
  for (const each of problems) console.error(`${file}:${each.line}: ${each.severity}: ${each.message}`);
  if (!elm) {
    failed = true;
    continue;
  }
  const target = join(HERE, file.replace(/\.cql$/, ".json"));
  if (!process.argv.includes("--check")) writeFileSync(target, layOut(elm));
  else if (readFileSync(target, "utf8") !== layOut(elm)) {
    console.error(`${file}: the ELM beside it is not what it translates to`);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
