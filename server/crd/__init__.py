"""The CRD door: CDS Hooks services that tell a clinician, while ordering, what the plan needs.

An order's way through it:

    routes          the addresses; a body comes in
    intake          is this a hook call? -> `Call`, or an error that names the element
    focus           which resources are asked about; each becomes one order line
    sight           what is known of the patient: prefetch by content, the EHR's server, else unknown
    answer          each order and each Coverage judged alone by `server.adjudication`, kept, numbered
    saying          a `Judged` in the guide's terms, without its codes
    coverage_information, cards, discovery       those terms rendered, by the table of the version
    v2_0, v2_2      the tables: everything in which CRD 2.0.1 and 2.2.1 differ

What is decided belongs to `server.policy`; nothing is decided here.
"""
