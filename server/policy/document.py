"""The policies for people: one Markdown page, made of the data alone, for a medical director to sign off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from string import Template

from server.policy.catalog import BenefitManager, Catalog, Policy
from server.policy.manifest import Cell
from server.policy.policies import BY_NAME

MARKS = {
    "P": "a published text was read",
    "G": "general professional knowledge, not verified",
    "D": "ours: public texts differ or are silent; a payer sets its own",
}
THEMES = {
    "D1": "conservative care not documented",
    "D2": "medical necessity or functional impairment not shown",
    "D3": "site of service",
    "D4": "coding",
    "D5": "no rationale that ties the study to the therapy plan",
}


def document(catalog: Catalog) -> str:
    """The whole page, ending with a newline."""
    return "\n".join(_lines(catalog)) + "\n"


def _lines(catalog: Catalog) -> Iterator[str]:
    yield "# Coverage policies"
    yield ""
    yield "Made from the policy data by `make policies`; change the data, not this page."
    yield ""
    yield "A criterion is met, not met or unknown: what a chart does not say is unknown, never not met."
    yield "What a form said was lacking (no film, no change, not examined) is so for its own order; for one"
    yield "written more than a week later it is unknown and asked anew."
    yield "Where its words name a parameter, such as `ccWeeks`, a determination has the plan's value there."
    yield "Marks of a source: " + "; ".join(f"**{mark}** {words}" for mark, words in MARKS.items()) + "."
    yield "Denial themes: " + "; ".join(f"**{theme}** {words}" for theme, words in THEMES.items()) + "."
    yield ""
    yield "## In force"
    yield ""
    yield from _table(
        ("Policy", "Version", "Codes", "From", "Until", "Owner", "Guideline"),
        (
            (
                f"[{policy.title}](#{policy.id})",
                policy.version,
                " ".join(policy.services),
                policy.effective.start.isoformat(),
                policy.effective.end.isoformat() if policy.effective.end else "",
                policy.owner,
                policy.guideline,
            )
            for policy in catalog.policies
        ),
    )
    yield from _shared(catalog)
    for policy in catalog.policies:
        yield from _policy(policy, _shared_names(catalog), set(catalog.engine.defines(policy.library)))
    yield from _managers(catalog)
    yield from _plans(catalog)
    yield from _exemptions(catalog)
    yield from _sources(catalog)


def _shared_names(catalog: Catalog) -> list[str]:
    """Criteria that every policy has in the same words."""
    first, *others = catalog.policies
    return [
        name
        for name, text in first.criteria.items()
        if all(other.criteria.get(name) == text for other in others)
    ]


def _shared(catalog: Catalog) -> Iterator[str]:
    policy = catalog.policies[0]
    yield ""
    yield "## Criteria that all regions share"
    yield ""
    yield from _criteria(policy, _shared_names(catalog))


def _policy(policy: Policy, shared: Sequence[str], defines: set[str]) -> Iterator[str]:
    yield ""
    yield f'## <a id="{policy.id}"></a>{policy.title}'
    yield ""
    yield f"`{policy.canonical}`, form `{policy.questionnaire}`. Guideline: {policy.guideline}."
    yield ""
    yield f"Criteria it applies: {', '.join(name for name in policy.themes if name in defines)}."
    yield ""
    yield from _criteria(policy, [n for n in policy.criteria if n not in shared and n in defines])
    yield ""
    yield f"Immediate indications ({policy.immediate}); any one of them is enough:"
    yield ""
    yield from _table(
        ("Indication", "What it is", "Guideline"),
        ((each.id, each.title, each.guideline) for each in policy.indications.values()),
    )


def _criteria(policy: Policy, names: Iterable[str]) -> Iterator[str]:
    yield from _table(
        (
            "Criterion",
            "Title",
            "Met",
            "Not met",
            "Unknown",
            "What would satisfy it",
            "Theme",
            "Asked",
            "Source",
        ),
        (
            (
                name,
                text.title,
                text.met,
                text.not_met,
                text.unknown,
                text.satisfy,
                str(text.theme or ""),
                " ".join(text.questions),
                text.guideline,
            )
            for name in names
            for text in [policy.criteria[name].spoken(BY_NAME)]
        ),
    )


def _managers(catalog: Catalog) -> Iterator[str]:
    managers = catalog.benefit_managers
    yield ""
    yield "## What the benefit managers ask for"
    yield ""
    yield "Each value with its mark; where it is **D** the public text is silent and the value is ours."
    yield ""
    names = dict.fromkeys(name for manager in managers for name in manager.cells)
    yield from _table(
        ("Parameter", *(manager.title for manager in managers)),
        (
            *((name, *(_cell(manager, name) for manager in managers)) for name in names),
            ("treatment, in words", *(manager.treatment for manager in managers)),
        ),
    )


def _cell(manager: BenefitManager, name: str) -> str:
    cell: Cell | None = manager.cells.get(name)
    if cell is None:
        return ""
    value = " ".join(cell.value) if isinstance(cell.value, tuple) else str(cell.value)
    source = f"; {cell.source}" if cell.source else ""
    return f"{value} **{cell.mark}**{source}"


def _plans(catalog: Catalog) -> Iterator[str]:
    yield ""
    yield "## Plans"
    yield ""
    yield from _table(
        (
            "Plan",
            "Benefit manager",
            "Imaging needs authorization",
            "Who may deny for clinical reasons",
            "Gold cards",
            "Gold cards earned by the rule of",
            "Honours a previous payer for",
        ),
        (
            (
                f"{plan.title} (`{plan.name}`)",
                plan.benefit_manager.title,
                "yes" if plan.imaging_needs_authorization else "no",
                "a reviewer" if plan.reviewer_denies else "the rules",
                " ".join(plan.gold_cards),
                ", ".join(rule.title for rule in plan.gold_card_rules),
                f"{plan.continuity.days} days" if plan.continuity else "",
            )
            for plan in catalog.plans.values()
        ),
    )


def _exemptions(catalog: Catalog) -> Iterator[str]:
    yield ""
    yield "## Exemptions and continuity of care"
    yield ""
    yield "A clinician earns a gold card by earlier requests for the services of one policy: enough of them,"
    yield "decided in the days before the order, were approved. Lists that the payer loads add to it; an"
    yield "empty one exempts nobody."
    yield ""
    yield from _table(
        ("Gold card rule", "Members of", "Approved", "Of at least", "In", "From", "Until", "Mark", "Source"),
        (
            (
                rule.title,
                " ".join(rule.states) or "every state",
                f"{rule.approval_rate} %",
                f"{rule.minimum_requests} requests",
                f"{rule.window_days} days",
                rule.effective.start.isoformat(),
                rule.effective.end.isoformat() if rule.effective.end else "",
                rule.mark,
                rule.source,
            )
            for rule in catalog.exemptions.gold_card_rules.values()
        ),
    )
    yield ""
    yield "What a previous payer had authorized when a coverage began is honoured for the first days of it."
    yield ""
    yield from _table(
        ("Continuity of care", "Days", "Mark", "Source"),
        (
            (name, str(period.days), period.mark, period.source)
            for name, period in catalog.exemptions.continuity_of_care.items()
        ),
    )


def _sources(catalog: Catalog) -> Iterator[str]:
    yield ""
    yield "## Sources"
    yield ""
    yield from _table(
        ("Key", "Source", "Mark", "Note"),
        (
            (key, Template(each.title).substitute(BY_NAME), each.mark, each.note)
            for key, each in catalog.guidelines.items()
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
