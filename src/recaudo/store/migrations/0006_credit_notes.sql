-- Credit notes: what the merchant takes off an invoice. The ledger rows of a note name it.

-- Of an invoice that notes lowered to nothing, nothing is to be collected.
ALTER TABLE invoice
    DROP CONSTRAINT invoice_amount_minor_check,
    ADD CHECK (amount_minor BETWEEN 0 AND 1000000000000000 AND (amount_minor > 0 OR state = 'void'));

ALTER TABLE transfer ADD COLUMN note_id uuid;

-- applied_minor lowered what was owed, credited_minor had been received and became the customer's credit; what is left of
-- amount_minor had been withheld, or taken off before. unbound_origin: the invoice's number was freed by this note.
CREATE TABLE credit_note (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    customer_id uuid,
    number text,
    state text NOT NULL CHECK (state IN ('issued', 'voided')),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    applied_minor bigint NOT NULL CHECK (applied_minor >= 0),
    credited_minor bigint NOT NULL CHECK (credited_minor >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reason text NOT NULL,
    closed_reason text,
    metadata json NOT NULL,
    unbound_origin boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, invoice_id) REFERENCES invoice (account_id, id),
    CHECK (applied_minor + credited_minor BETWEEN 1 AND amount_minor),
    CHECK ((state = 'voided') = (closed_at IS NOT NULL))
);

-- A number is free again once its note was voided.
CREATE UNIQUE INDEX credit_note_by_number ON credit_note (account_id, number)
    WHERE number IS NOT NULL AND state = 'issued';

CREATE INDEX credit_note_by_invoice ON credit_note (account_id, invoice_id);

CREATE INDEX credit_note_by_creation ON credit_note (account_id, created_at, id);
