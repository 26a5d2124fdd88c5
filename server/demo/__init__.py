"""`davinci-payer demo`: orders as an EHR lives them, against a running server or one inside.

    stories.json   the orders, charts and answers: cases in the format of `server.policy.cases`, with what the
                   clinician answers when asked
    ehr            the client side of the three guides, over HTTP and with nothing but what the payer sends
    tell           what is shown of each step
    commands       the command

It stands above the application, as a client would.
"""
