// CQL text to ELM, in one process: models, units and options are set up once and serve any number of libraries.
//
// `createTranslator({ library })` returns `translate(text) -> { elm, problems }`. What was translated before is there
// to be included; of others `library(id, version)` gives the text, or null. A problem is { severity, message, line, column, library }; the ELM of a text
// with an error is null, because the translator writes ELM even then and it must not be used. Write it with `stringify`.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import {
  CqlCompilerOptions,
  CqlTranslator,
  LibraryBuilder,
  LibraryManager,
  ModelManager,
  createLibrarySourceProvider,
  createModelInfoProvider,
  createUcumService,
  stringAsSource,
} from "@cqframework/cql/cql-to-elm";
import ucumPackage from "@lhncbc/ucum-lhc";
import { sortProblems } from "./lint.mjs";

const require = createRequire(import.meta.url);

const MODELS = {
  System: () => readFileSync(new URL("system-modelinfo.xml", import.meta.url), "utf8"),
  FHIR: () => readFileSync(require.resolve("cql-exec-fhir/lib/modelInfos/fhir-modelinfo-4.0.1.xml"), "utf8"),
};

// Annotations bring the local ids that evidence is traced by (their narrative is taken out again below). Demotion and
// promotion of lists are off: a policy that takes one element of many has to say so.
const OPTIONS = [
  CqlCompilerOptions.Options.EnableAnnotations,
  CqlCompilerOptions.Options.EnableLocators,
  CqlCompilerOptions.Options.EnableResultTypes,
  CqlCompilerOptions.Options.DisableListDemotion,
  CqlCompilerOptions.Options.DisableListPromotion,
];

function ucumService() {
  const ucum = ucumPackage.UcumLhcUtils.getInstance();
  const convert = (value, from, to) => {
    const result = ucum.convertUnitTo(from, Number(value), to);
    if (result.status !== "succeeded") throw new Error(`'${from}' does not convert to '${to}'`);
    return String(result.toVal);
  };
  const validate = (unit) => {
    const result = ucum.validateUnitString(unit);
    return result.status === "valid" ? null : `'${unit}' is not a UCUM unit: ${result.msg.join("; ")}`;
  };
  // Needed only to fold products of literals, which translation never asks for.
  const unsupported = () => {
    throw new Error("Units are multiplied by the engine, not by the translator.");
  };
  return createUcumService(convert, validate, unsupported, unsupported);
}

function modelManager() {
  const manager = new ModelManager();
  const provider = createModelInfoProvider((id, system, version) =>
    id in MODELS && (id !== "FHIR" || version == null || version === "4.0.1") ? stringAsSource(MODELS[id]()) : null,
  );
  manager.modelInfoLoader.registerModelInfoProvider(provider);
  return manager;
}

// JavaScript's numbers lose the digits of a quantity such as 1.50 'mg': they travel as strings, marked with a character
// of the private use area, which no policy holds.
const NUMBER = "\uE000";

function parse(json) {
  return JSON.parse(json.replace(/"value"\s*:\s*(-?\d[\d.eE+-]*)/g, `"value":"${NUMBER}$1"`));
}

/** ELM as JSON on one line, numbers with the digits they were written with. */
export function stringify(elm) {
  return JSON.stringify(elm).replace(/"value":"\uE000([^"]*)"/g, '"value":$1');
}

/** Takes out the source text of annotations and empty signatures: local ids, locators and tags stay. */
function slim(node) {
  if (Array.isArray(node)) return node.map(slim);
  if (node === null || typeof node !== "object") return node;
  const copy = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === "signature" && value.length === 0) continue;
    if (key !== "annotation") {
      copy[key] = slim(value);
      continue;
    }
    const kept = value.filter((each) => each.type === "CqlToElmInfo" || (each.t ?? []).length > 0);
    if (kept.length > 0) copy[key] = kept.map(({ s, ...rest }) => rest);
  }
  return copy;
}

/** The tag by which ELM says of which text it was made, lines ended as on Unix. */
function madeOf(text) {
  const value = createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex");
  return { type: "Annotation", t: [{ name: "source-sha256", value }] };
}

/** What the translator found, as it stands in the ELM: its own exceptions hide their place. */
function reported(elm, exceptions) {
  const found = (elm.library.annotation ?? [])
    .filter((each) => each.type === "CqlToElmError")
    .map((each) => ({
      severity: each.errorSeverity ?? "error",
      message: each.message,
      library: each.libraryId ?? null,
      line: each.startLine ?? null,
      column: each.startChar ?? null,
    }));
  if (found.length >= exceptions.length) return found;
  return exceptions.map((each) => ({
    severity: each.severity.name.toLowerCase(),
    message: each.message,
    library: null,
    line: null,
    column: null,
  }));
}

export function createTranslator({ library = () => null } = {}) {
  const models = modelManager();
  const options = new CqlCompilerOptions()
    .withOptions(OPTIONS)
    .withSignatureLevel(LibraryBuilder.SignatureLevel.Overloads);
  const libraries = new LibraryManager(models, options, undefined, ucumService());
  libraries.librarySourceLoader.registerProvider(
    createLibrarySourceProvider((id, system, version) => {
      const text = library(id, version);
      return text == null ? null : stringAsSource(text);
    }),
  );
  return function translate(text) {
    const translator = CqlTranslator.fromText(text, libraries);
    const written = parse(translator.toJson());
    const problems = reported(written, translator.exceptions.asJsReadonlyArrayView());
    if (problems.some((each) => each.severity === "error")) return { elm: null, problems };
    const { identifier } = translator.toELM();
    if (identifier) libraries.compiledLibraries.asJsMapView().set(identifier, translator.translatedLibrary);
    const elm = slim(written);
    elm.library.annotation.push(madeOf(text));
    problems.push(...sortProblems(elm));
    return { elm: problems.some((each) => each.severity === "error") ? null : elm, problems };
  };
}
