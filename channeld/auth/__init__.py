"""Authenticators, one module for each type: what it declares, verifies, compares, describes and mints.

Reading order: `authenticator.py` (the contract and its values), `token_places.py` (where a token travels), `jwt.py`, `tokens.py`, `hook.py`
(the types), `authenticators.py` (their table), `revocations.py` (tokens that are refused before they expire), then `jwt_verifier.py`
and `jwk.py`, the only modules that know PyJWT.
"""
