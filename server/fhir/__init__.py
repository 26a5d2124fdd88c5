"""FHIR R4 as plain JSON: reading, references, dates, errors, answers. Knows no business rule and nobody
above it.

A resource is the `dict` that came over the wire: decimals keep their digits, unknown members stay, order
stays.
"""
