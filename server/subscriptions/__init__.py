"""Topic-based subscriptions (R4 backport 1.1.0) to the one topic of PAS: a prior-authorization result.

    resource       a Subscription as a client asks for it, checked against what each guide version allows
    notification   the Bundles that go out
    topic          who is to be told of a result; called in the transaction of the decision
    delivery       sending what is owed, in order, again until it arrives
    routes         create, update, delete, read, `$status`, `$events`

It knows nothing of prior authorization: what an event is about comes in as a `Focus`.
"""
