-- What an invoice charges (lines, taxes, retentions), instalments with terms of their own, due days that are told when
-- they are over, documents that we keep, and certificates of what payers withheld.

ALTER TABLE invoice
    ADD COLUMN bill json,
    ADD COLUMN rule_id uuid,
    ADD COLUMN document_id uuid,
    ADD COLUMN closed_at timestamptz;

-- overdue_at is the end of the due day, until that was told: it is due work, as expires_at is.
ALTER TABLE collection
    ADD COLUMN terms json,
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN overdue_at timestamptz;

ALTER TABLE receipt ADD COLUMN reference text;

-- What payers withhold under one retention of one invoice, and the certificate that proves it, once it was sent.
CREATE TABLE withholding (
    account_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    retention_id uuid NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    certificate_number text,
    certificate_url text,
    certified_at timestamptz,
    PRIMARY KEY (account_id, invoice_id, retention_id),
    FOREIGN KEY (account_id, invoice_id) REFERENCES invoice (account_id, id)
);

-- Documents of invoices that were sent to us as bytes, served under an address that cannot be guessed.
CREATE TABLE document (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    token text NOT NULL,
    content bytea NOT NULL CHECK (length(content) <= 5242880),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX document_by_token ON document (token);
