// What the translator lets pass and a policy must not do.
//
// `sort by` converts nothing: sorting by an element of a FHIR type compares FHIR objects, which have no order, and an
// engine may answer in any order without a word. Such a sort is an error here.

const FHIR = "{http://hl7.org/fhir}";

function typeNames(node) {
  const names = node?.resultTypeName ? [node.resultTypeName] : [];
  return names.concat(specifierNames(node?.resultTypeSpecifier));
}

function specifierNames(specifier) {
  if (!specifier) return [];
  if (specifier.type === "ChoiceTypeSpecifier") return specifier.choice.flatMap(specifierNames);
  return specifier.name ? [specifier.name] : [];
}

function elementTypeNames(query) {
  return specifierNames(query.resultTypeSpecifier?.elementType);
}

function place(node) {
  const [line, column] = /^(\d+):(\d+)/.exec(node.locator ?? "")?.slice(1).map(Number) ?? [null, null];
  return { line, column };
}

function* queries(node) {
  if (Array.isArray(node)) {
    for (const each of node) yield* queries(each);
  } else if (node !== null && typeof node === "object") {
    if (node.type === "Query" && node.sort) yield node;
    for (const value of Object.values(node)) yield* queries(value);
  }
}

/** Problems with the sorts of a library, in the translator's shape. */
export function sortProblems(elm) {
  const found = [];
  for (const query of queries(elm.library.statements?.def ?? [])) {
    for (const by of query.sort.by) {
      const names =
        by.type === "ByDirection" ? elementTypeNames(query) : typeNames(by.type === "ByExpression" ? by.expression : by);
      const type = names.find((name) => name.startsWith(FHIR));
      if (!type) continue;
      const what = by.path ? `"${by.path}"` : "this expression";
      found.push({
        severity: "error",
        message:
          `Sorting by ${what} compares FHIR.${type.slice(FHIR.length)} objects, which have no order. ` +
          "Sort by its value, as in: sort by (performed as FHIR.dateTime).value",
        library: elm.library.identifier?.id ?? null,
        ...place(by.locator ? by : query.sort.locator ? query.sort : query),
      });
    }
  }
  return found;
}
