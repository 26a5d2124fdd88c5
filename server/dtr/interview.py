"""What an adaptive form asks next: the questions that settle what stands in the way of a decision.

The texts, options and prefill of the questions are those of the region's standard form; an adaptive form of
its own has only the order's facts and the closing question. Of what the determination lists as unknown and
able to change the outcome, the least burdensome comes first, with all of the same burden beside it, and a
sentence that says why. Questions to which an answer led (what "other" means, when the film was taken) come
before anything else.

In a form under way, conditions on earlier answers are settled; what remains are conditions between questions
asked together. A guide that forbids conditions there gets such questions one call later, or as optional ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.dtr.form import ENABLE_WHEN_EXPRESSION, Answers, Form, criterion_of
from server.policy.determination import Criterion, Decision, Determination, Met

Node = dict[str, Any]

WHY = "why"
FACTS = "ORDER"
ISSUE = "PA.issue"


@dataclass(frozen=True, slots=True)
class Interview:
    """A form under way: `own` is the adaptive form, `regional` the standard form of the order's region (or
    any, where the region is not known), `others` those of the other regions."""

    own: Form
    regional: Form
    others: Sequence[Form]
    conditions: bool
    """Whether questions may carry conditions."""

    def facts(self, known: bool) -> list[Node]:
        """The order's facts; where an order is known, what it cannot say: the patient's age."""
        group = dict(self.own.items[FACTS].node)
        if known:
            group["item"] = [node for node in group["item"] if node["linkId"] == "PATIENT.age"]
        return [group]

    def issue(self, issued: frozenset[str]) -> list[Node]:
        """Whether the authorization is to be given now, after a word that the clinical part is over."""
        ended = any(link_id.endswith(".intro") for link_id in issued)
        wanted = (ISSUE,) if ended else (f"{ISSUE}.intro", ISSUE)
        return [dict(self.own.items[link_id].node) for link_id in wanted]

    def known(self, link_id: str) -> bool:
        """Whether this payer ever asks that."""
        return link_id.endswith(f".{WHY}") or self._home(link_id) is not None

    def issued(self, link_ids: Iterable[str]) -> Form:
        """The questions asked so far with the conditions between them: what answers are held to."""
        asked = frozenset(link_ids)
        return Form({"item": [self._node(link_id, asked) for link_id in sorted(asked)]})

    def next(
        self,
        said: Determination,
        ranks: Mapping[str, int],
        curable: frozenset[str],
        mute: frozenset[str],
        issued: frozenset[str],
        answers: Answers,
    ) -> list[Node]:
        """The questions to ask now; empty where nothing that may be asked can change the outcome.

        `ranks` is how much of a burden a criterion's questions are; `curable` holds what is not met but an
        answer can mend, `mute` what no answer tells.
        """
        if said.decision is Decision.DENY:
            return []
        for followed in dict.fromkeys(criterion_of(link_id) for link_id in answers):
            more = [n for n in self._ask({followed}, issued, answers) if n.get("required")]
            if more:
                return [self._shown(node, frozenset(n["linkId"] for n in more)) for node in more]
        if said.decision is not Decision.MORE_INFO:
            return []
        wanted = [
            criterion
            for criterion in said.criteria
            if criterion.id not in mute
            and (criterion.id in said.matters or (criterion.id in said.unmet and criterion.id in curable))
        ]
        for rank in sorted({ranks.get(criterion.id, 1) for criterion in wanted}):
            together = [criterion for criterion in wanted if ranks.get(criterion.id, 1) == rank]
            new = self._ask({c.id for c in together}, issued, answers)
            if new:
                asked = frozenset(n["linkId"] for n in new)
                return [*_why(together, asked, issued), *(self._shown(node, asked) for node in new)]
        return []

    def awaited(
        self, said: Determination, names: Collection[str], issued: frozenset[str], answers: Answers
    ) -> list[Node]:
        """Questions that a request waits for by what only its chart shows: to whoever has the answers alone
        these criteria, `names` among them, look met."""
        hidden = {each.id for each in said.criteria if each.id in names and each.value is Met.YES}
        new = self._ask(hidden, issued, answers)
        return [self._shown(node, frozenset(n["linkId"] for n in new)) for node in new]

    def _ask(self, criteria: set[str], issued: frozenset[str], answers: Answers) -> list[Node]:
        """The questions of these criteria that were not asked yet, in the form's order, and what introduces
        them."""
        questions = [
            item.link_id
            for item in self.regional.questions()
            if any(_settles(item.link_id, criterion) for criterion in criteria)
        ]
        group = frozenset(questions) | issued
        nodes = [self._node(link_id, group) for link_id in questions]
        enabled = Form({"item": nodes}).enabled(answers)
        new = [
            node
            for node in nodes
            if node["linkId"] not in issued
            and (self.conditions or enabled[node["linkId"]] or not node.get("required"))
        ]
        return [*self._introductions(criteria, issued), *new] if new else []

    def _introductions(self, criteria: set[str], issued: frozenset[str]) -> Iterator[Node]:
        for item in self.regional.items.values():
            if (
                item.type == "display"
                and not item.parents
                and item.link_id not in issued
                and item.link_id.partition(".")[0] in criteria
            ):
                yield _unconditional(item.node)

    def _shown(self, node: Node, together: frozenset[str]) -> Node:
        """As the client gets it. Without conditions, what depends on a question beside it cannot be
        required of everybody."""
        if self.conditions or "enableWhen" not in node:
            return node
        depends = any(condition["question"] in together for condition in node["enableWhen"])
        shown = _unconditional(node)
        if depends:
            shown.pop("required", None)
        return shown

    def _node(self, link_id: str, group: frozenset[str]) -> Node:
        """A question with those of its conditions that ask about its own criterion and are in the group."""
        home = self._home(link_id)
        if home is None:
            return {"linkId": link_id, "type": "display"}
        node = home.items[link_id].node
        left = [
            condition
            for condition in node.get("enableWhen", [])
            if condition["question"] in group and _same_matter(condition["question"], link_id)
        ]
        bare = _unconditional(node)
        if not home.items[link_id].is_question:
            bare.pop("item", None)
        if left:
            bare["enableWhen"] = left
            if len(left) > 1:
                bare["enableBehavior"] = node.get("enableBehavior", "all")
        return bare

    def _home(self, link_id: str) -> Form | None:
        forms = (self.regional, self.own, *self.others)
        return next((form for form in forms if link_id in form.items), None)


def _why(criteria: Sequence[Criterion], asked: frozenset[str], issued: frozenset[str]) -> Iterator[Node]:
    for criterion in criteria:
        link_id = f"{criterion.id}.{WHY}"
        if link_id not in issued and any(_settles(each, criterion.id) for each in asked):
            yield {"linkId": link_id, "type": "display", "text": criterion.in_full}


def _settles(link_id: str, criterion: str) -> bool:
    """A positive test is found among the findings; that there was an examination is one question."""
    if criterion_of(link_id) == "EXM":
        return criterion == ("EXM" if link_id == "EXM" else "PE-POS")
    return criterion_of(link_id) == criterion


def _same_matter(one: str, other: str) -> bool:
    return one.partition(".")[0] == other.partition(".")[0]


def _unconditional(node: Mapping[str, Any]) -> Node:
    bare = {name: content for name, content in node.items() if name not in ("enableWhen", "enableBehavior")}
    if "extension" in bare:
        kept = [found for found in bare["extension"] if found["url"] != ENABLE_WHEN_EXPRESSION]
        bare = {**bare, "extension": kept}
        if not kept:
            del bare["extension"]
    return bare
