"""Payers: they open a link, read the page's form, and post it, now and then twice."""

from html.parser import HTMLParser
from random import Random
from urllib.parse import urlencode

from recaudo.simulation.city import City, Known
from recaudo.simulation.machine import Answer, Work

HEADERS = {"Accept-Encoding": "identity", "sec-fetch-site": "same-origin", "Accept-Language": "es"}
POSTED = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
FORMS_KEPT = 20


class Form(HTMLParser):
    """The form of a page: where it posts to, what it would post untouched, and what there is to choose from."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of forms and their inputs."""
        of = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = of.get("action", "")
        elif tag == "input" and of.get("type") == "radio":
            self.choices.setdefault(of["name"], []).append(of.get("value", ""))
            if "checked" in of:
                self.fields[of["name"]] = of.get("value", "")
        elif tag == "input" and "name" in of:
            self.fields[of["name"]] = of.get("value", "")

    def filled(self, chance: Random, amount_minor: int) -> dict[str, str]:
        """What a payer posts: some method, the whole or a part."""
        chosen = {name: chance.choice(values) for name, values in self.choices.items()}
        fields = {**self.fields, **chosen}
        if "amount" in fields:
            pesos = max(1, int(amount_minor // 100 * chance.choice((0.25, 0.4, 0.5, 1.0))))
            fields["amount"] = str(pesos)
        return fields


def visit(city: City, known: Known) -> Work:
    """Open one of the invoice's links and pay, if the page lets one."""
    link = city.chance.choice(known.links)
    again = "&again=1" if city.chance.random() < 0.4 else ""

    async def go() -> None:
        page = await city.machine.ask("GET", f"{link}?lang=es{again}", HEADERS)
        _judge(city, known.label, page)
        form = Form(page.body.decode())
        if not form.action or "attempt_key" not in form.fields:
            city.story.tell(known.label, "a payer finds nothing to pay")
            return
        fields = form.filled(city.chance, known.amount)
        # The page makes up a key at random; the payer's own is the seed's.
        fields["attempt_key"] = f"visit-{city.number()}"
        body = urlencode(fields).encode()
        city.forms = [*city.forms[-FORMS_KEPT:], (known.label, form.action, body)]
        answer = await city.machine.ask("POST", form.action, POSTED, body)
        _judge(city, known.label, answer)
        confirmation = Form(answer.body.decode()) if answer.status == 200 else None
        if confirmation is not None and confirmation.fields.get("understood_minor"):
            body = urlencode(confirmation.fields).encode()
            city.forms[-1] = (known.label, confirmation.action, body)
            answer = await city.machine.ask("POST", confirmation.action, POSTED, body)
            _judge(city, known.label, answer)
        city.story.counts["payers"] += 1
        city.story.tell(known.label, f"a payer pays: {answer.status}")

    return go


def press_again(city: City) -> Work:
    """Post a form that was posted before: a double click, or a reload. Nobody is charged twice."""
    label, target, body = city.chance.choice(city.forms)

    async def go() -> None:
        city.story.fault("form posted twice")
        answer = await city.machine.ask("POST", target, POSTED, body)
        _judge(city, label, answer)
        city.story.tell(label, f"a payer presses again: {answer.status}")

    return go


def come_back(city: City, known: Known) -> Work:
    """Reload the page of a link."""
    link = city.chance.choice(known.links)

    async def go() -> None:
        page = await city.machine.ask("GET", link, HEADERS)
        _judge(city, known.label, page)

    return go


def _judge(city: City, label: str, answer: Answer) -> None:
    status = answer.status
    if answer.is_away:
        return
    if status >= 500 or status in {403, 404, 429}:
        city.wrong(label, f"a page was answered {status}")
