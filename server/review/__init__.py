"""The reviewers' side of prior authorization: the queue, the evidence, the decision.

`desk` is the use case, `routes` its API under `/review`, `commands` the command line. What a reviewer decides
becomes the final ClaimResponse, the record of what happened and the notifications owed, in one transaction.
"""
