"""Credit notes: a merchant takes a sum off an invoice, whatever became of it, and now and then takes that back."""

from typing import Any

from recaudo.simulation import model
from recaudo.simulation.asking import MINOR, minor, pesos, request, some, with_twins
from recaudo.simulation.city import Altered, City, KnownNote, Reader
from recaudo.simulation.machine import Answer, Work

# So few that two notes now and then want the same one.
NUMBERS = 12


def issue(city: City) -> list[Work]:
    """Issue a note for a part of an invoice, or for all that is left of it."""
    known = some(city, "treli", altered=Altered.LESS)
    if known is None:
        return []
    owed = known.amount // MINOR
    part = city.chance.choice((None, owed, owed // 2, owed // 3, 20_000))
    body: dict[str, Any] = {"invoice": known.id, "reason": "Servicio no prestado"}
    if part is not None:
        body["amount"] = pesos(part)
    if city.chance.random() < 0.4:
        body["credit_note_number"] = f"NC-{city.chance.randrange(NUMBERS)}"

    def read(answer: Answer) -> None:
        made = answer.json
        lowered = minor(made["applied_to_balance"]) + minor(made["credited_to_customer"])
        note = model.Note(made["id"], known.label, known.account.name, minor(made["amount"]), lowered)
        if part is not None and note.amount != part * MINOR:
            city.wrong(known.label, f"a note of {part} pesos was answered with {made['amount']}")
        city.paper.add_note(note)
        city.notes.append(KnownNote(known.label, known.account, made["id"]))
        city.story.counts["credit notes"] += 1
        city.story.counts["credit notes on money received"] += minor(made["credited_to_customer"]) > 0

    what = "takes all off" if part is None else f"takes {part} off"
    call = ("POST", "/v1/credit_notes")
    sent = request(city, known.account, call, body, label=known.label, what=what, dialect="treli")
    return with_twins(city, sent, Reader(read))


def void(city: City) -> list[Work]:
    """Take a note back."""
    if not city.notes:
        return []
    it = city.chance.choice(city.notes[-6:])

    def read(_: Answer) -> None:
        city.paper.notes[it.id].is_void = True
        city.story.counts["credit notes voided"] += 1

    call = ("POST", f"/v1/credit_notes/{it.id}/void")
    sent = request(
        city, it.account, call, {"reason": "Error"}, label=it.label, what="takes a note back", dialect="treli"
    )
    return [city.errand(sent, Reader(read))]
