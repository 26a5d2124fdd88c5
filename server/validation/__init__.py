"""Is this resource what its profiles ask for? Profiles of FHIR packages, compiled once to functions.

    validator = Validator(Packages.read(folder, roots))
    validator.check(bundle)            -> findings, worst first; empty when nothing is wrong

Slicing by value, pattern, type, profile and existence, cardinality, fixed values and patterns, bindings to
value sets that can be expanded, references and their targets, invariants. What cannot be checked (a code
system that is not in the packages, an invariant that our FHIRPath cannot evaluate) is never an error;
`validator.unchecked` lists it.
"""
