// Translates every ../*.cql to ../elm/<Library>.json.
//
//   node translate.mjs          write
//   node translate.mjs --check  compare with what is there, exit 1 on a difference
//
// A library with an error is reported and not written, and the run fails; warnings are printed, but for those about texts
// that are equal to a name: an id of a criterion stands in its rules as both.

import { existsSync, mkdirSync, readFileSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTranslator, stringify } from "./translator.mjs";

const SOURCES = fileURLToPath(new URL("..", import.meta.url));
const ELM = fileURLToPath(new URL("../elm", import.meta.url));
const IDS = /^String literal '.*' matches the identifier/;

/** JSON with a line for each definition: a changed define is a changed line, and nothing else moves. */
export function layOut(elm) {
  const sections = Object.entries(elm.library).map(([name, value]) => {
    if (!Array.isArray(value?.def)) return `${stringify(name)}:${stringify(value)}`;
    return `${stringify(name)}:{"def":[\n${value.def.map(stringify).join(",\n")}\n]}`;
  });
  return `{"library":{\n${sections.join(",\n")}\n}}\n`;
}

export function readLibrary(id) {
  const file = join(SOURCES, `${id}.cql`);
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

function show({ severity, message, library, line, column }, file) {
  const name = library !== null && readLibrary(library) !== null ? `cql/${library}.cql` : `cql/${file}`;
  console.error(`${[name, line, column].filter((part) => part !== null).join(":")}: ${severity}: ${message}`);
}

/** The libraries of ../, each after those it includes: none is compiled twice. */
function inOrder() {
  const found = new Set();
  const visit = (id, within = []) => {
    if (within.includes(id)) {
      console.error(`cql/${id}.cql: error: libraries include each other in a circle: ${[...within, id].join(" -> ")}.`);
      process.exit(1);
    }
    const text = found.has(id) ? null : readLibrary(id);
    if (text === null) return;
    for (const [, included] of text.matchAll(/^include (\w+)/gm)) visit(included, [...within, id]);
    found.add(id);
  };
  readdirSync(SOURCES).filter((name) => name.endsWith(".cql")).sort().forEach((name) => visit(basename(name, ".cql")));
  return [...found];
}

function translateAll({ quiet }) {
  const translate = createTranslator({ library: readLibrary });
  const results = new Map();
  let failed = false;
  for (const id of inOrder()) {
    const file = `${id}.cql`;
    const { elm, problems } = translate(readLibrary(id));
    problems.filter((each) => each.severity === "error" || !(quiet || IDS.test(each.message))).forEach((each) => show(each, file));
    const declared = elm?.library.identifier?.id;
    if (elm && declared !== id) {
      const message = `the file declares library ${declared}: the two names must be equal`;
      show({ severity: "error", message, library: null, line: 1, column: 1 }, file);
      failed = true;
    } else if (elm) {
      results.set(`${declared}.json`, layOut(elm));
    } else {
      failed = true;
    }
  }
  return { results, failed };
}

function differences(results) {
  const there = existsSync(ELM) ? readdirSync(ELM).filter((name) => name.endsWith(".json")) : [];
  const current = ([name, text]) => there.includes(name) && readFileSync(join(ELM, name), "utf8") === text;
  const stale = [...results].filter((each) => !current(each));
  const orphans = there.filter((name) => readLibrary(basename(name, ".json")) === null);
  return { stale: stale.map(([name]) => name), orphans };
}

function main(check) {
  const { results, failed } = translateAll({ quiet: check });
  const { stale, orphans } = differences(results);
  if (check) {
    stale.forEach((name) => console.error(`cql/elm/${name} is not what its CQL gives: run \`make elm\`.`));
    orphans.forEach((name) => console.error(`cql/elm/${name} has no CQL: run \`make elm\`.`));
    return failed || stale.length + orphans.length > 0 ? 1 : 0;
  }
  mkdirSync(ELM, { recursive: true });
  stale.forEach((name) => writeFileSync(join(ELM, name), results.get(name)));
  orphans.forEach((name) => unlinkSync(join(ELM, name)));
  console.log(`${results.size} libraries translated, ${stale.length} changed, ${orphans.length} removed.`);
  return failed ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.includes("--check")));
