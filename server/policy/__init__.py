"""Coverage policy: data in `cql/`, evaluated into one `Determination`."""

from server.policy.catalog import Catalog, Plan, Policy
from server.policy.determination import Criterion, Decision, Determination, Met, Theme
from server.policy.determine import determine
from server.policy.request import Authorization, Chart, Member

__all__ = [
    "Authorization",
    "Catalog",
    "Chart",
    "Criterion",
    "Decision",
    "Determination",
    "Member",
    "Met",
    "Plan",
    "Policy",
    "Theme",
    "determine",
]
