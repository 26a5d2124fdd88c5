"""Adjudication: who the order is for, what is on file, what the policy says, and the number that follows.

The use case that CRD, DTR and PAS share. A door reads its guide's request into one `ServiceRequest` a line
and asks:

    judged = adjudicator.judge(tx, order, coverage, patient, chart, now)      reads, decides, writes nothing
    number = adjudicator.authorize(tx, judged, "crd", now, …)                 in the answer's own transaction

What is decided belongs to `server.policy`; what is kept, to `server.store`; how it is said, to the door.
`members` has the keys by which a member is known, `orders` reads the order's own facts, `authorizations`
tells which number on file is good for an order, `table` speaks for services no policy governs.
"""
