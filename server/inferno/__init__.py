"""Presets for the Inferno test kits of the three guides: what a tester would otherwise type into its forms.

    davinci-payer inferno preset pas           writes tests/inferno/pas_server_v201.json and …_v221.json

A guide's module (`crd`, `dtr`, `pas`) offers `presets(base, day)`; it is found by its name. Payloads are
requests like any other: each is a case of the policy, with a member of its own, and comes out as its policy
has it. Nothing in the server knows them.
"""
