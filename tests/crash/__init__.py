"""`make crash`: a server that is killed again and again while clients work, and the books afterwards.

    python -m tests.crash --kills 100 --database sqlite --database postgresql

Clients submit requests, some approved at once, some pended until a reviewer decides, and repeat each until
it is answered. The server gets SIGKILL at random moments, in the middle of its work and of its start, and is
started again; one time in five it is PostgreSQL that crashes under it. Then the books are balanced: whatever
a client was told is found by `$inquire`, no authorization number exists twice, and every notification owed
has arrived.

    servers     the process that is killed
    clients     what clients ask, and what they were told
    books       what must be true in the end
"""
