-- One sum over several debts is one act: its receipts are tied together, and are undone together. Documents whose
-- invoice came to nothing are swept.

ALTER TABLE receipt ADD COLUMN allocation_id uuid;

CREATE INDEX receipt_by_allocation ON receipt (account_id, allocation_id) WHERE allocation_id IS NOT NULL;

-- due_at is when it is looked whether an invoice uses it, in real time; null once one does.
ALTER TABLE document
    ADD COLUMN due_at timestamptz DEFAULT now(),
    ADD COLUMN leased_until timestamptz,
    ADD COLUMN tries integer NOT NULL DEFAULT 0,
    ADD COLUMN last_error text;

ALTER TABLE document ALTER COLUMN due_at DROP DEFAULT;

CREATE INDEX document_due ON document (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX invoice_by_document ON invoice (account_id, document_id) WHERE document_id IS NOT NULL;
