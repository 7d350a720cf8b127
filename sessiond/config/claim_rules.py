"""How the claims of one issuer's users are read, as its table says."""

from datetime import timedelta

from sessiond.config import IssuerConfig
from sessiond.core.claims import ClaimRules


def claim_rules(config: IssuerConfig) -> ClaimRules:
    """Return the rules for whatever verifies this issuer's tokens."""
    return ClaimRules(
        issuer=config.name,
        user_claim=config.user_claim,
        subject_claim=config.subject_claim,
        unverified_email=config.unverified_email,
        lease=timedelta(seconds=config.lease),
        roles_claim=config.roles_claim,
        roles=config.roles,
        role_names=config.role_names,
        default_roles=config.default_roles,
        attributes=config.attributes,
    )
