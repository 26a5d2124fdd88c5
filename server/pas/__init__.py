"""Prior Authorization Support: `Claim/$submit`, `Claim/$inquire` and what belongs to them.

intake     a request Bundle, checked and with its references resolved
lines      each Claim.item as the one ServiceRequest shape that policy reads
verdict    what was decided about an item, as a value
response   the ClaimResponse Bundle, shared by the guide versions; `v2_0` holds what is theirs
submit, inquire    the use cases
routes     the door
"""
