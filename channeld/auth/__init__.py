"""Authenticators, a module a type: what each declares, verifies, compares, describes and mints.

Reading order: `authenticator` (the contract and its values), `places` (where a token travels), `jwt`, `tokens`, `hook`
(the types), `types` (their table), then `jwt_verifier` and `jwk`, the only modules that know PyJWT.
"""
