"""Access tokens that were issued, and client assertions that were used: digests only, until they expire."""

import hashlib
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from server.store import Transaction
from server.store.tables import AccessToken, UsedAssertion


def digest(*parts: str) -> str:
    """SHA-256 in hex; what is kept instead of a secret. A part cannot run into the next."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def use(tx: Transaction, issuer: str, jti: str, expires: datetime, now: datetime) -> bool:
    """False where the issuer used this `jti` before, on whichever replica."""
    tx.execute(delete(UsedAssertion).where(UsedAssertion.expires <= now))
    try:
        with tx.begin_nested():
            tx.add(UsedAssertion(digest=digest(issuer, jti), expires=expires))
            tx.flush()
    except IntegrityError:
        return False
    return True


def issue(tx: Transaction, token: str, client: str, scopes: str, now: datetime, expires: datetime) -> None:
    tx.execute(delete(AccessToken).where(AccessToken.expires <= now))
    tx.add(AccessToken(digest=digest(token), client=client, scopes=scopes, issued=now, expires=expires))
    tx.flush()


def by_token(tx: Transaction, token: str, now: datetime) -> AccessToken | None:
    """None for one that was never issued, or has expired."""
    found = tx.get(AccessToken, digest(token))
    return found if found is not None and found.expires > now else None
