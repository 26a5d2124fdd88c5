// The second opinion: cql-execution over cql-exec-fhir, asked by `tests.oracle`.
//
// Reads jobs on standard input, one JSON object a line, and answers each with one line. A job is
//   { libraries: [elm, …], valueSets: {url: [{code, system, version}]},   kept for the jobs that follow without them
//     main: "MRIShoulder", defines: ["…"] (all if absent), parameters: {name: value}, now: "2026-03-01T12:00:00Z",
//     cases: [{id, resources: [resource, …], parameters: {…}}], repeat: n, defaults: false (to run it as clients do) }
// and the answer { results: {caseId: {define: value}}, milliseconds: {caseId: [of each repetition]} }, or { error }.
// Parameters are plain JSON, read by the type the library declares. A repetition is timed with the patient's data
// loaded anew and the defines evaluated; making the source and reading the libraries are not in it.
//
// Normal form of a value: dates and times in ISO form, {value, unit}, {code, system, version, display} without what is
// null, {codes}, {low, high, lowClosed, highClosed}, {numerator, denominator}, a resource as {reference: "Type/id"},
// another FHIR element as its JSON (a primitive as its value), and {error: "…"} where the define raised.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../cql/translate/package.json", import.meta.url));
const cql = require("cql-execution");
const fhir = require("cql-exec-fhir");

const SYSTEM = "{urn:hl7-org:elm-types:r1}";
const FHIR = "{http://hl7.org/fhir}";

// Each reads the model info anew when made, which takes longer than an evaluation.
const source = fhir.PatientSource.FHIRv401();
const wrapper = fhir.FHIRWrapper.FHIRv401();

/** Every library compiled once: the engine compiles an included one again wherever it is included. */
class Compiled extends cql.Repository {
  #known = new Map();

  resolve(path, version) {
    const name = `${path}|${version ?? ""}`;
    if (!this.#known.has(name)) this.#known.set(name, super.resolve(path, version));
    return this.#known.get(name);
  }
}

function compile({ libraries, valueSets = {} }) {
  const repository = new Compiled(Object.fromEntries(libraries.map((elm, index) => [String(index), elm])));
  const versions = Object.entries(valueSets).map(([canonical, codes]) => {
    const [url, version = ""] = canonical.split("|");
    return [url, { [version]: codes }];
  });
  const codes = new cql.CodeService(Object.fromEntries(versions));
  return { libraries, repository, codes, compiled: new Map() };
}

function libraryOf(kept, name) {
  if (!kept.compiled.has(name)) {
    const elm = kept.libraries.find((each) => each.library.identifier.id === name);
    if (!elm) throw new Error(`no library ${name} among the job's libraries`);
    kept.compiled.set(name, new cql.Library(elm, kept.repository));
  }
  return kept.compiled.get(name);
}

/** A parameter's JSON as the value cql-execution works with, by its type specifier in the ELM. */
function typed(value, type) {
  if (value === null || value === undefined || !type) return value ?? null;
  switch (type.type) {
    case "ListTypeSpecifier":
      return value.map((each) => typed(each, type.elementType));
    case "IntervalTypeSpecifier": {
      const bound = (name) => typed(value[name], type.pointType);
      return new cql.Interval(bound("low"), bound("high"), value.lowClosed ?? true, value.highClosed ?? true);
    }
    case "TupleTypeSpecifier":
      return Object.fromEntries(type.element.map((each) => [each.name, typed(value[each.name], each.elementType)]));
    case "ChoiceTypeSpecifier":
      return typed(value, type.choice.find((each) => each.name === `${FHIR}${value.resourceType}`));
  }
  const name = type.name;
  if (name.startsWith(FHIR)) return wrapper.wrap(value, value.resourceType ? null : name.slice(FHIR.length));
  switch (name.slice(SYSTEM.length)) {
    case "DateTime":
      return cql.DateTime.parse(value);
    case "Date":
      return cql.Date.parse(value);
    case "Time":
      return cql.DateTime.parse(`0000-01-01T${value.replace(/^T/, "")}`).getTime();
    case "Quantity":
      return new cql.Quantity(value.value, value.unit);
    case "Code":
      return new cql.Code(value.code, value.system, value.version, value.display);
    case "Concept":
      return new cql.Concept(value.codes.map((each) => typed(each, { name: `${SYSTEM}Code` })), value.display);
    default:
      return value;
  }
}

function parameterDefinitions(libraries) {
  return libraries.flatMap((elm) => elm.library.parameters?.def ?? []);
}

function parametersOf(kept, given) {
  const types = new Map(
    parameterDefinitions(kept.libraries).map((each) => {
      const named = each.parameterType ?? each.resultTypeName;
      const specifier = each.parameterTypeSpecifier ?? each.resultTypeSpecifier;
      return [each.name, specifier ?? (named && { type: "NamedTypeSpecifier", name: named })];
    }),
  );
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, typed(value, types.get(name))]));
}

/** What cql-execution 3.3.2 forgets: a parameter's default, of the library itself or of one it includes. */
async function addDefaults(library, context, parameters) {
  for (const [name, definition] of Object.entries(library.parameters ?? {})) {
    if (parameters[name] === undefined && definition.default) parameters[name] = await definition.default.execute(context);
  }
  for (const name of Object.keys(library.includes ?? {})) {
    await addDefaults(library.includes[name], context.getLibraryContext(name), parameters);
  }
}

function withoutNulls(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined));
}

/** An element as its JSON; a primitive that is nothing but its value as that. */
function element(json) {
  if (json === null || typeof json !== "object") return json;
  if (json.resourceType) return { reference: `${json.resourceType}/${json.id}` };
  const plain = withoutNulls(json);
  return Object.keys(plain).length === 1 && "value" in plain && typeof plain.value !== "object" ? plain.value : plain;
}

function normal(value) {
  if (value === null || value === undefined) return null;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(normal);
  if (value.isDateTime || value.isDate) return value.toString();
  if (value.isTime?.()) return value.toString();
  if (value.isInterval) {
    return { low: normal(value.low), high: normal(value.high), lowClosed: value.lowClosed, highClosed: value.highClosed };
  }
  if (value.isQuantity) return { value: value.value, unit: value.unit ?? "1" };
  if (value.isRatio) return { numerator: normal(value.numerator), denominator: normal(value.denominator) };
  if (value.isConcept) return withoutNulls({ codes: normal(value.codes), display: value.display });
  if (value.isCode) {
    return withoutNulls({ code: value.code, system: value.system, version: value.version, display: value.display });
  }
  if (value._json !== undefined) return element(value._json);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, normal(each)]));
}

async function evaluate(kept, library, job, current) {
  // The engine knows no evaluation without a patient.
  const patient = current.resources.find((each) => each.resourceType === "Patient") ?? { resourceType: "Patient" };
  const others = current.resources.filter((each) => each !== patient);
  source.reset();
  source.loadBundles([{ resourceType: "Bundle", entry: [patient, ...others].map((resource) => ({ resource })) }]);
  const parameters = parametersOf(kept, { ...job.parameters, ...current.parameters });
  const now = cql.DateTime.parse(job.now);
  const contextWith = (given) => new cql.PatientContext(library, source.currentPatient(), kept.codes, given, now);
  if (job.defaults ?? true) await addDefaults(library, contextWith(parameters), parameters);
  const context = contextWith(parameters);
  const results = {};
  for (const name of job.defines ?? Object.keys(library.expressions)) {
    const expression = library.expressions[name];
    if (!expression) throw new Error(`no define "${name}" in library ${job.main}`);
    try {
      results[name] = await expression.execute(context);
    } catch (error) {
      results[name] = { error: String(error.cause?.message ?? error.message ?? error) };
    }
  }
  return results;
}

async function answer(kept, job) {
  const library = libraryOf(kept, job.main);
  const results = {};
  const milliseconds = {};
  for (const current of job.cases) {
    milliseconds[current.id] = [];
    for (let turn = 0; turn < (job.repeat ?? 1); turn += 1) {
      const start = performance.now();
      const values = await evaluate(kept, library, job, current);
      milliseconds[current.id].push(performance.now() - start);
      results[current.id] = normal(values);
    }
  }
  return { results, milliseconds };
}

let kept = null;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (!line.trim()) continue;
  let reply;
  try {
    const job = JSON.parse(line);
    if (job.libraries) kept = compile(job);
    reply = job.main ? await answer(kept, job) : { results: {}, milliseconds: {} };
  } catch (error) {
    reply = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
